"""A transformers tokenizer with a chat template, safe from what people write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from langchain_core.messages import BaseMessage
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from rag.errors import ModelFailed
from rag.models.checkpoint import read_json
from rag.models.glm_tokenizer import FORGED_TURN

_ROLES = {"system": "system", "human": "user", "ai": "assistant", "tool": "tool"}


def open_template(folder: Path) -> TemplateTokenizer:
    """Open a folder's tokenizer; raise `ModelFailed`."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # transformers raises what its parts happen to raise
        raise ModelFailed(f"The tokenizer in {folder} could not be loaded: {error}") from error
    ends: list[int | None] = []
    for name in ("generation_config.json", "config.json"):
        said = read_json(folder / name).get("eos_token_id")
        ends += said if isinstance(said, list) else [said]
    return TemplateTokenizer(tokenizer, ends)


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
        # ChatGLM2's rounds, in a folder that was converted: marks that are plain text.
        self._has_rounds = "[Round " in str(tokenizer.chat_template)
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
        if self._has_rounds:
            text = FORGED_TURN.sub("\n", text)
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
