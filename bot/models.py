"""The models that the settings name; imports are late, since each brings a large library."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.model_settings import (
    ChatGlmModel,
    CrossEncoderModel,
    EmbeddedModel,
    GgufModel,
    LocalModel,
    ModelSettings,
    SentenceTransformersModel,
    ServerModel,
    TransformersModel,
)
from bot.settings import Settings, SettingsError
from rag.ingest.ocr import Ocr
from rag.models.embedding_recipes import Pooling
from rag.models.embeddings import EmbeddingModel, SentenceTransformerEmbeddings
from rag.models.manifest import EmbeddedModel as ManifestModel
from rag.models.manifest import default_cache, load_manifest, locate, target
from rag.models.model_process import EmbeddingProcess, RerankerProcess
from rag.models.reranker import CrossEncoderReranker

if TYPE_CHECKING:
    from rag.models.llamacpp import LlamaCppChat
    from rag.models.local_chat import LocalChat
    from rag.models.server import ServerChat
    from rag.retrieval import Reranker

    Chat = LlamaCppChat | LocalChat | ServerChat


def cache_of(settings: Settings) -> Path:
    """Return where embedded models are kept."""
    return settings.models_cache or default_cache()


def model_settings(settings: Settings, name: str) -> ModelSettings:
    """Return the settings of a model by its name, or of a file or folder by its path."""
    if name in settings.models:
        return settings.models[name]
    path = Path(name).expanduser().absolute()
    if path.suffix == ".gguf":
        return GgufModel(provider="gguf", path=path)
    if (path / "modules.json").is_file():
        return SentenceTransformersModel(provider="sentence-transformers", path=path)
    if (path / "config.json").is_file():
        config = (path / "config.json").read_text(encoding="utf-8")
        is_chatglm = '"chatglm"' in config or '"quantization_bit"' in config
        return (
            ChatGlmModel(provider="chatglm", path=path)
            if is_chatglm
            else TransformersModel(provider="transformers", path=path)
        )
    known = ", ".join(sorted(settings.models))
    raise SettingsError(
        f"There is no model {name!r}: use one of {known}, or the path of a .gguf file or a model "
        "folder."
    )


def chat_model(settings: Settings) -> Chat:
    """Return the configured chat model, not loaded yet; raise `SettingsError`."""
    name = settings.chat_model
    length = settings.answers.max_tokens
    match model_settings(settings, name):
        case EmbeddedModel(threads=threads):
            from rag.models.llamacpp import LlamaCppChat

            entry = load_manifest().get(name)
            if entry is None or entry.role != "chat":
                raise SettingsError(f"{name} is not an embedded chat model: see `models list`.")
            path = target(entry, cache_of(settings))
            return LlamaCppChat(
                model_path=path, name_shown=name, max_tokens=length, threads=threads
            )
        case GgufModel(path=path, context_window=window, threads=threads):
            from rag.models.llamacpp import LlamaCppChat

            return LlamaCppChat(
                model_path=path,
                name_shown=name,
                max_tokens=length,
                context_window=window,
                threads=threads,
            )
        case ChatGlmModel(template=template) as local:
            from rag.models.chatglm import ChatGLM

            return ChatGLM(template=template, **_local(local, name, length))
        case TransformersModel() as local:
            from rag.models.transformers_chat import TransformersChat

            return TransformersChat(**_local(local, name, length))
        case ServerModel() as server:
            from rag.models.server import server_chat

            return server_chat(
                base_url=_address(server, name),
                model=server.model,
                api_key=_key(settings, server),
                key_name=server.key_env,
                name_shown=name,
                context_window=server.context_window,
                max_tokens=length,
                timeout=server.timeout,
                max_retries=server.retries,
            )
        case _:
            raise SettingsError(f"{name} is no chat model: name another one as chat_model.")


def _local(model: LocalModel, name: str, length: int) -> dict[str, Any]:
    """Return what every chat model in process is made from."""
    return {
        "folder": model.path,
        "name_shown": name,
        "device": model.device,
        "dtype": model.dtype,
        "context_window": model.context_window,
        "slots": model.slots,
        "memory": dict(model.memory),
        "offload": model.offload,
        "max_tokens": length,
    }


def answers_at_once(settings: Settings) -> int:
    """Return how many questions the chat model answers together; raise `SettingsError`."""
    if settings.limits.questions_at_once is not None:
        return settings.limits.questions_at_once
    match model_settings(settings, settings.chat_model):
        case LocalModel(slots=slots) | ServerModel(slots=slots):
            return slots
        case _:
            return 1  # llama.cpp on few cores gains nothing from more


def first_token_seconds(settings: Settings) -> float:
    """Return how long an answer's first token may take; raise `SettingsError`.

    A model in process reads one prompt after the other, so those that came together before it add
    to it.
    """
    local = isinstance(model_settings(settings, settings.chat_model), LocalModel)
    return settings.answers.first_token_seconds * (answers_at_once(settings) if local else 1)


def embedding_model(settings: Settings, named: str | None = None) -> EmbeddingModel:
    """Return the configured embedding model, or another, not loaded yet; raise `SettingsError`."""
    name = named or settings.embedding_model
    match model_settings(settings, name):
        case EmbeddedModel():
            entry = load_manifest().get(name)
            if entry is None or entry.role != "embedding":
                raise SettingsError(f"{name} is no embedded embedding model: see `models list`.")
            # Its files are pinned by hash: its name tells them already.
            return _in_its_process(name, target(entry, cache_of(settings)), key=name)
        case SentenceTransformersModel() as folder:
            return _in_its_process(
                name,
                folder.path,
                device=folder.device,
                pooling=folder.pooling,
                query_prefix=folder.query_prefix,
                passage_prefix=folder.passage_prefix,
            )
        case ServerModel() as server:
            from rag.models.server_embeddings import ServerEmbeddings

            return ServerEmbeddings(
                name,
                base_url=_address(server, name),
                model=server.model,
                api_key=_key(settings, server),
                key_name=server.key_env,
                query_prefix=server.query_prefix,
                passage_prefix=server.passage_prefix,
                timeout=server.timeout,
                max_retries=server.retries,
            )
        case _:
            raise SettingsError(f"{name} is no embedding model: name another as embedding_model.")


def _address(server: ServerModel, name: str) -> str:
    if server.base_url is None:
        raise SettingsError(f"The model {name} has no base_url: set it in config.yaml.")
    return server.base_url


def _key(settings: Settings, server: ServerModel) -> str:
    secrets = settings.secrets
    key = secrets.server_keys.get(server.key_env)
    if key is None and server.key_env == "OPENAI_API_KEY":
        key = secrets.openai_api_key
    return key.get_secret_value() if key else ""


def reranker(settings: Settings) -> Reranker | None:
    """Return the configured reranker, not loaded yet, or None; raise `SettingsError`."""
    name = settings.reranker
    if name is None:
        return None
    match model_settings(settings, name):
        case CrossEncoderModel(path=path, device=device):
            make = partial(CrossEncoderReranker, name, path, device=device)
            return RerankerProcess(name, make)
        case _:
            raise SettingsError(f"{name} is no reranker: name one with provider: cross-encoder.")


def embedding_model_of(settings: Settings, key: str) -> EmbeddingModel | None:
    """Return the model that made vectors of this key, if the config still has it."""
    for name in dict.fromkeys([key, *settings.models]):
        with suppress(SettingsError):
            model = embedding_model(settings, name)
            if model.key == key:
                return model
    return None


def ocr(settings: Settings, pause: Callable[[], None]) -> Ocr | None:
    """Return what reads pictures, or None if nothing is to; raise `SettingsError`."""
    name = settings.ocr_model
    if name is None:
        return None
    entry = load_manifest().get(name)
    if entry is None or entry.role != "ocr":
        raise SettingsError(f"{name} reads no pictures: name pp-ocrv6-small as ocr_model, or null.")
    detection = entry.parts[0].member_bytes
    return Ocr(target(entry, cache_of(settings)), detection, pause=pause)


def _in_its_process(
    name: str,
    folder: Path,
    *,
    key: str = "",
    device: str = "auto",
    pooling: Pooling | None = None,
    query_prefix: str | None = None,
    passage_prefix: str | None = None,
) -> EmbeddingModel:
    make = partial(
        SentenceTransformerEmbeddings,
        name,
        folder,
        key=key,
        device=device,
        pooling=pooling,
        query_prefix=query_prefix,
        passage_prefix=passage_prefix,
    )
    return EmbeddingProcess(name, make().key, make)


def list_models(settings: Settings) -> list[dict[str, Any]]:
    """Return every model that the config names: provider, whether it is used and is there."""
    rows = []
    manifest = load_manifest()
    for name in dict.fromkeys([*_used(settings), *settings.models]):
        model = model_settings(settings, name)
        match model:
            case EmbeddedModel():
                entry = manifest.get(name)
                ready = bool(entry and locate(entry, cache_of(settings)))
                detail = _embedded_detail(entry) if entry else "not in the manifest"
            case ServerModel(base_url=address, model=served):
                ready, detail = address is not None, f"{served} at {address}"
            case _:
                ready, detail = model.path.exists(), str(model.path)
        used = name in _used(settings)
        rows.append(
            {
                "name": name,
                "provider": model.provider,
                "used": used,
                "ready": ready,
                "detail": detail,
            }
        )
    return rows


def _used(settings: Settings) -> list[str]:
    names = (
        settings.chat_model,
        settings.embedding_model,
        settings.reranker,
        settings.ocr_model,
    )
    return [name for name in names if name is not None]


def _embedded_detail(entry: ManifestModel) -> str:
    return f"{entry.upstream}, {entry.license}, {entry.download_bytes / 1e6:,.0f} MB"


def pull_models(settings: Settings, name: str | None, *, say: Callable[[str], None]) -> None:
    """Fetch one embedded model, or those that the config uses, with a progress bar.

    Raise `ModelMissing` with what to do, or `SettingsError` for a model that isn't embedded.
    """
    from rag.models.fetch import pull, terminal_progress

    manifest = load_manifest()
    if name is not None and name not in manifest:
        raise SettingsError(
            f"{name} is not an embedded model: they are {', '.join(sorted(manifest))}."
        )
    wanted = [name] if name else _used(settings)
    cache = cache_of(settings)
    missing = [
        manifest[one] for one in wanted if one in manifest and not locate(manifest[one], cache)
    ]
    if missing:
        total = sum(model.download_bytes for model in missing) / 1e6
        names = ", ".join(f"{model.name} ({model.license})" for model in missing)
        say(f"Downloading {names}: {total:,.0f} MB in all, kept in {cache}.")
    for model in missing:
        with terminal_progress() as progress:
            pull(model, cache, progress=progress, mirror=settings.models_mirror)
