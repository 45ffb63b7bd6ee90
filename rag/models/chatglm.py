"""ChatGLM2 and ChatGLM3 in process, from the folder as published and without its code."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from transformers import PreTrainedModel

from rag.errors import ModelFailed, ModelMissing
from rag.models.checkpoint import read_config, read_json
from rag.models.device import pick_device, pick_dtype
from rag.models.glm_tokenizer import GlmTokenizer
from rag.models.glm_weights import Generation, open_glm
from rag.models.local_chat import ChatTokenizer, LocalChat


class ChatGLM(LocalChat):
    """Chat with a ChatGLM2 or ChatGLM3 folder of safetensors (its .py files are never run)."""

    template: Literal["auto", "chatglm2", "chatglm3"] = "auto"
    """How a conversation is written; `auto` goes by what the folder calls itself."""

    @property
    def _llm_type(self) -> str:
        return "chatglm"

    def _open(self) -> tuple[ChatTokenizer, PreTrainedModel]:
        config = read_config(self.folder, self.source)
        vocabulary = self.folder / "tokenizer.model"
        if not vocabulary.is_file():
            raise ModelMissing(
                f"The model in {self.folder} has no tokenizer.model: copy it there from the "
                "published checkpoint."
            )
        generation = self._generation(config)
        device = pick_device(self.device)
        model = open_glm(
            self.folder,
            generation,
            device=device,
            dtype=pick_dtype(self.dtype, device, str(config.get("torch_dtype", ""))),
            source=self.source,
        )
        return GlmTokenizer(vocabulary, generation), model

    def _generation(self, config: dict[str, Any]) -> Generation:
        if self.template != "auto":
            return self.template
        named = generation_of(self.folder, config)
        if named is None and float(config.get("rope_ratio") or 1) != 1:
            # The two generations stretch positions in different ways: a guess could be nonsense.
            raise ModelFailed(
                f"Nothing in {self.folder} says whether it is ChatGLM2 or ChatGLM3: set the "
                "model's template to chatglm2 or chatglm3 in config.yaml."
            )
        return named or "chatglm2"


def generation_of(folder: Path, config: dict[str, Any]) -> Generation | None:
    """Return the generation that a folder's files, or its own name, tell; None if they don't."""
    settings = read_json(folder / "tokenizer_config.json")
    if "<|user|>" in str(settings):
        return "chatglm3"
    names = [settings.get("name_or_path"), config.get("_name_or_path"), folder.resolve().name]
    for name in (str(name).lower() for name in names):
        if "chatglm3" in name:
            return "chatglm3"
        if "chatglm2" in name:
            return "chatglm2"
    return None
