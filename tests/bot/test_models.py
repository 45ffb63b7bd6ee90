from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.models import (
    answers_at_once,
    chat_model,
    embedding_model,
    first_token_seconds,
    list_models,
    model_settings,
    pull_models,
    reranker,
)
from bot.settings import SettingsError, load_settings
from rag.errors import ModelMissing
from rag.models.manifest import load_manifest
from tests.bot.fakes import MODELS, config, settings

SERVER = {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}


def by_role(role: str) -> str:
    return next(name for name, entry in load_manifest().items() if entry.role == role)


def described(folder: Path, config: dict[str, Any]) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"provider": "gguf", "path": "x.gguf"}, "LlamaCppChat"),
        ({"provider": "chatglm", "path": "x"}, "ChatGLM"),
        ({"provider": "transformers", "path": "x"}, "TransformersChat"),
    ],
)
def test_every_local_provider_makes_its_model_without_loading_it(
    tmp_path: Path, entry: dict[str, Any], kind: str
) -> None:
    chosen = chat_model(settings(tmp_path, chat_model="mine", models={**MODELS, "mine": entry}))
    assert type(chosen).__name__ == kind
    assert chosen.name_shown == "mine"
    with pytest.raises(ModelMissing):
        chosen.load()


@pytest.mark.parametrize(
    ("model", "together"),
    [
        ({"provider": "gguf", "path": "x.gguf"}, 1),
        ({"provider": "chatglm", "path": "x"}, 4),
        ({"provider": "transformers", "path": "x", "slots": 8}, 8),
        ({"provider": "openai", "model": "m", "slots": 16}, 16),
    ],
)
def test_as_many_questions_are_answered_together_as_the_model_has_slots(
    tmp_path: Path, model: dict[str, Any], together: int
) -> None:
    models = {**MODELS, "chat": model}
    assert answers_at_once(settings(tmp_path, models=models)) == together
    chosen = settings(tmp_path, models=models, limits={"questions_at_once": 3})
    assert answers_at_once(chosen) == 3


@pytest.mark.parametrize(
    ("model", "times"),
    [
        ({"provider": "chatglm", "path": "x", "slots": 3}, 3),
        ({"provider": "openai", "model": "m", "slots": 3}, 1),
        ({"provider": "gguf", "path": "x.gguf"}, 1),
    ],
)
def test_who_asks_together_waits_for_the_prompts_of_the_others(
    tmp_path: Path, model: dict[str, Any], times: int
) -> None:
    chosen = settings(tmp_path, models={**MODELS, "chat": model})
    assert first_token_seconds(chosen) == times * chosen.answers.first_token_seconds


@pytest.mark.parametrize("provider", ["chatglm", "transformers"])
def test_a_model_in_process_is_spread_as_the_config_says(tmp_path: Path, provider: str) -> None:
    spread = {"memory": {0: "10GB", "cpu": "20GB"}, "offload": "rest", "slots": 2}
    models = {**MODELS, "chat": {"provider": provider, "path": "x", **spread}}
    chat: Any = chat_model(settings(tmp_path, models=models))
    assert chat.memory == spread["memory"]
    assert (chat.offload.name, chat.slots) == ("rest", 2)


def test_a_server_is_a_chat_model(tmp_path: Path) -> None:
    chosen = chat_model(settings(tmp_path, chat_model="mine", models={**MODELS, "mine": SERVER}))
    assert type(chosen).__name__ == "ServerChat"
    assert chosen.context_window == 8192


def test_an_embedded_chat_model_that_is_missing_names_the_command(tmp_path: Path) -> None:
    name = by_role("chat")
    models = {**MODELS, name: {"provider": "embedded"}}
    chosen = chat_model(
        settings(tmp_path, chat_model=name, models=models, models_cache=tmp_path / "cache")
    )
    with pytest.raises(ModelMissing, match="models pull"):
        chosen.load()


def test_an_embedding_model_that_is_missing_names_the_command(tmp_path: Path) -> None:
    name = by_role("embedding")
    models = {**MODELS, name: {"provider": "embedded"}}
    cache = tmp_path / "cache"
    for chosen in (
        settings(tmp_path),
        settings(tmp_path, embedding_model=name, models=models, models_cache=cache),
    ):
        with pytest.raises(ModelMissing, match="models pull"):
            embedding_model(chosen).load()


@pytest.mark.parametrize(
    ("chat", "sentence"),
    [
        ("no-such-model", "no-such-model"),
        ("embedder", "no chat model"),
        ("wrong-role", "embedded chat model"),
        ("not-in-manifest", "embedded chat model"),
        ("nowhere", "base_url"),
    ],
)
def test_a_chat_model_that_cannot_be_is_told(tmp_path: Path, chat: str, sentence: str) -> None:
    embedding = by_role("embedding")
    models = {
        **MODELS,
        embedding: {"provider": "embedded"},
        "not-in-manifest": {"provider": "embedded"},
        "nowhere": {"provider": "openai", "model": "m"},
    }
    name = embedding if chat == "wrong-role" else chat
    with pytest.raises(SettingsError, match=sentence):
        chat_model(settings(tmp_path, chat_model=name, models=models))


@pytest.mark.parametrize("name", ["no-such-model", "chat", "wrong-role"])
def test_an_embedding_model_that_cannot_be_is_told(tmp_path: Path, name: str) -> None:
    chat = by_role("chat")
    models = {**MODELS, chat: {"provider": "embedded"}}
    name = chat if name == "wrong-role" else name
    with pytest.raises(SettingsError, match=name):
        embedding_model(settings(tmp_path, embedding_model=name, models=models))


def test_a_path_is_recognised_by_what_is_there(tmp_path: Path) -> None:
    glm = described(tmp_path / "glm", {"model_type": "chatglm"})
    other = described(tmp_path / "other", {"model_type": "qwen2"})
    embedder = described(tmp_path / "e5", {"model_type": "bert"})
    (embedder / "modules.json").write_text("[]")
    known = settings(tmp_path)
    providers = {
        path: model_settings(known, str(path)).provider
        for path in (tmp_path / "absent.gguf", glm, other, embedder)
    }
    assert list(providers.values()) == ["gguf", "chatglm", "transformers", "sentence-transformers"]


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="chat, embedder"):
        model_settings(settings(tmp_path), "no-such-model")


def test_the_list_says_what_is_used_and_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "there.gguf").touch()
    models = {
        **MODELS,
        "there": {"provider": "gguf", "path": tmp_path / "there.gguf"},
        "served": SERVER,
        by_role("chat"): {"provider": "embedded"},
    }
    rows = list_models(
        settings(tmp_path, chat_model="there", models=models, models_cache=tmp_path / "cache")
    )
    used = {row["name"] for row in rows if row["used"]}
    ready = {row["name"] for row in rows if row["ready"]}
    assert used == {"there", "embedder"}
    assert ready == {"there", "served"}
    assert len(rows) == len(models)


def test_only_embedded_models_are_pulled(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(SettingsError, match="no-such-model"):
        pull_models(settings(tmp_path), "no-such-model", say=said.append)
    pull_models(settings(tmp_path), None, say=said.append)
    assert not said


def test_a_server_embeds_too_with_a_key_of_its_own(tmp_path: Path) -> None:
    file = config(tmp_path, "embedding_model: far\n")
    text = file.read_text().replace(
        "models:", "models:\n  far: {provider: openai, model: bge-m3, base_url: 'http://h/v1', "
        "key_env: FAR_KEY}",
    ).replace("embedding_model: embedder\n", "")  # fmt: skip
    file.write_text(text)
    known = {"FAR_KEY": "hush", "OPENAI_API_KEY": "other", "OPENAI_BASE_URL": "http://o/v1"}
    chosen = load_settings(file, environment=known)
    far = embedding_model(chosen)
    assert type(far).__name__ == "ServerEmbeddings"
    assert far.key.startswith("bge-m3")
    assert {name: key.get_secret_value() for name, key in chosen.secrets.server_keys.items()} == {
        "FAR_KEY": "hush"
    }
    assert "hush" not in repr(chosen)
    addresses = {name: getattr(m, "base_url", None) for name, m in chosen.models.items()}
    assert (addresses["far"], addresses["served"]) == ("http://h/v1", "http://o/v1")


def test_a_reranker_is_one_or_none(tmp_path: Path) -> None:
    models = {**MODELS, "second": {"provider": "cross-encoder", "path": tmp_path / "absent"}}
    assert reranker(settings(tmp_path)) is None
    chosen = reranker(settings(tmp_path, models=models, reranker="second"))
    assert chosen is not None
    with pytest.raises(ModelMissing, match="second"):
        chosen.load()
    with pytest.raises(SettingsError, match="cross-encoder"):
        reranker(settings(tmp_path, reranker="chat"))
