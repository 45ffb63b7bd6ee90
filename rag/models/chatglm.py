"""ChatGLM of three generations in process, from the folder as published and without its code."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from transformers import PreTrainedModel

from rag.errors import ModelFailed, ModelMissing
from rag.models.checkpoint import read_config, read_json
from rag.models.device import pick_device, pick_dtype
from rag.models.glm_tokenizer import GlmTokenizer
from rag.models.glm_weights import Generation, is_first_generation, open_glm
from rag.models.ice_tokenizer import IMAGES, IceTokenizer
from rag.models.local_chat import ChatTokenizer, LocalChat
from rag.models.template_tokenizer import open_template


class ChatGLM(LocalChat):
    """Chat with a ChatGLM folder of safetensors (its .py files are never run)."""

    template: Literal["auto", "chatglm", "chatglm2", "chatglm3"] = "auto"
    """How a conversation is written; `auto` goes by the tokenizer's roles, then by the names that
    the folder gives itself. The first ChatGLM-6B has only its own."""

    @property
    def _llm_type(self) -> str:
        return "chatglm"

    def _open(self) -> tuple[ChatTokenizer, PreTrainedModel]:
        config = read_config(self.folder, self.source)
        first = is_first_generation(config)
        generation = "chatglm" if first else self._generation(config)
        tokenizer = self._tokens(generation)
        device = pick_device(self.device)
        stored = str(config.get("dtype") or config.get("torch_dtype") or "")
        dtype = self.dtype
        if first and device.type == "cuda" and dtype == "auto" and stored == "float16":
            dtype = stored  # bfloat16's few digits cost this generation more than the others
        model = open_glm(
            self.folder,
            generation,
            device=device,
            dtype=pick_dtype(dtype, device, stored),
            source=self.source,
            memory=self.memory,
            offload=self.offload,
        )
        return tokenizer, model

    def _tokens(self, generation: Generation) -> ChatTokenizer:
        """Open the folder's tokenizer: the published one, or transformers' own of GLM-4."""
        vocabulary = self.folder / (
            "ice_text.model" if generation == "chatglm" else "tokenizer.model"
        )
        if not vocabulary.is_file() and (self.folder / "tokenizer.json").is_file():
            return open_template(self.folder)
        if not vocabulary.is_file():
            raise ModelMissing(
                f"The model in {self.folder} has no {vocabulary.name}: copy it there from the "
                "published checkpoint."
            )
        if generation != "chatglm":
            return GlmTokenizer(vocabulary, generation)
        said = read_json(self.folder / "tokenizer_config.json")
        return IceTokenizer(vocabulary, images=int(said.get("num_image_tokens", IMAGES)))

    def _generation(self, config: dict[str, Any]) -> Generation:
        if self.template == "chatglm":
            raise ModelFailed(f"{self.folder} is no ChatGLM-6B: its template is another one.")
        if self.template != "auto":
            return self.template
        return sure_generation(self.folder, config)


def sure_generation(folder: Path, config: dict[str, Any]) -> Generation:
    """Return the generation of a folder, ChatGLM2 if nothing tells and it makes no difference to
    what is computed; raise `ModelFailed` otherwise."""
    named = generation_of(folder, config)
    if named is None and float(config.get("rope_ratio") or 1) != 1:
        # The two generations stretch positions in different ways: a guess could be nonsense.
        raise ModelFailed(
            f"Nothing in {folder} says whether it is ChatGLM2 or ChatGLM3: set the model's "
            "template to chatglm2 or chatglm3 in config.yaml, or name it with --template."
        )
    return named or "chatglm2"


def generation_of(folder: Path, config: dict[str, Any]) -> Generation | None:
    """Return the generation that a folder's files, or its own name, tell; None if they don't."""
    settings = read_json(folder / "tokenizer_config.json")
    template = folder / "chat_template.jinja"
    written = template.read_text(encoding="utf-8") if template.is_file() else ""
    if "<|user|>" in str(settings) or "<|assistant|>" in written:
        return "chatglm3"
    if "[Round" in written:
        return "chatglm2"
    names = [settings.get("name_or_path"), config.get("_name_or_path"), folder.resolve().name]
    for name in (str(name).lower() for name in names):
        if "chatglm3" in name:
            return "chatglm3"
        if "chatglm2" in name:
            return "chatglm2"
    return None
