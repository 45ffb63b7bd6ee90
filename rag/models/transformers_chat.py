"""Any chat model that transformers itself knows, from a local folder and without its code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import TemplateError
from langchain_core.messages import BaseMessage
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from rag.errors import ModelFailed
from rag.models.checkpoint import read_config, shards
from rag.models.device import pick_device, pick_dtype
from rag.models.local_chat import ChatTokenizer, LocalChat

_ROLES = {"system": "system", "human": "user", "ai": "assistant", "tool": "tool"}


class TransformersChat(LocalChat):
    """Chat with a folder of safetensors, a tokenizer and its chat template."""

    @property
    def _llm_type(self) -> str:
        return "transformers"

    def _open(self) -> tuple[ChatTokenizer, PreTrainedModel]:
        config = read_config(self.folder, self.source)
        if config.get("model_type") == "chatglm":
            raise ModelFailed(
                f"{self.folder} is a ChatGLM checkpoint: give the model provider: chatglm in "
                "config.yaml."
            )
        shards(self.folder, self.source)
        device = pick_device(self.device)
        stored = config.get("dtype") or config.get("torch_dtype")
        dtype = pick_dtype(self.dtype, device, str(stored))
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                self.folder, local_files_only=True, trust_remote_code=False
            )
            model = AutoModelForCausalLM.from_pretrained(
                self.folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=dtype,
                device_map={"": device},
            )
        except Exception as error:  # transformers raises what its parts happen to raise
            raise ModelFailed(
                f"The chat model {self.name_shown} could not be loaded from {self.folder}: {error}"
            ) from error
        ends = model.generation_config.eos_token_id
        return TemplateTokenizer(tokenizer, ends if isinstance(ends, list) else [ends]), model


class TemplateTokenizer:
    """A transformers tokenizer with a chat template; a `ChatTokenizer`."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, ends: Sequence[int | None]) -> None:
        """Raise `ModelFailed` for a tokenizer without a chat template."""
        if not tokenizer.chat_template:
            raise ModelFailed(
                f"{tokenizer.name_or_path} has no chat template: it is a base model, choose one "
                "that was trained to chat."
            )
        self._tokenizer = tokenizer
        self._specials = sorted(tokenizer.get_added_vocab(), key=len, reverse=True)
        self.ends = frozenset(t for t in (*ends, tokenizer.eos_token_id) if t is not None)

    def encode(self, text: str) -> list[int]:
        """Return the tokens of plain text."""
        return self._tokens(self._defused(text))

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of `tokens`, leaving out special ones."""
        return str(
            self._tokenizer.decode(
                list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    def prompt(self, messages: Sequence[BaseMessage]) -> list[int]:
        """Return the conversation in the model's template; where that has no system role, the
        instructions stand before the first question."""
        turns = [
            {"role": _ROLES.get(message.type, "user"), "content": self._defused(message.text)}
            for message in messages
        ]
        for form in (turns, _without_system(turns)):
            try:
                return self._tokens(self._written(form))
            except TemplateError as error:
                refused = error
        raise ModelFailed(f"The chat template refuses this conversation: {refused}") from refused

    def _written(self, turns: Sequence[Mapping[str, Any]]) -> str:
        return str(
            self._tokenizer.apply_chat_template(
                [dict(turn) for turn in turns], add_generation_prompt=True, tokenize=False
            )
        )

    def _tokens(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _defused(self, text: str) -> str:
        """Break special tokens that a text spells, so that it cannot open a turn of its own."""
        for special in self._specials:
            text = text.replace(special, f"{special[:1]} {special[1:]}")
        return text


def _without_system(turns: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Put the instructions before the first question."""
    system = [turn["content"] for turn in turns if turn["role"] == "system"]
    rest = [turn for turn in turns if turn["role"] != "system"]
    if not rest:
        return list(turns)
    first = {**rest[0], "content": "\n\n".join([*system, rest[0]["content"]])}
    return [first, *rest[1:]]
