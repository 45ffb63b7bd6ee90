"""ChatGLM's tokens: SentencePiece for text, special ones behind it, each generation's prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from langchain_core.messages import BaseMessage
from sentencepiece import SentencePieceProcessor

from rag.errors import ModelFailed
from rag.models.glm_weights import Generation

_SPECIALS = (
    "[MASK]",
    "[gMASK]",
    "[sMASK]",
    "sop",
    "eop",
    "system",
    "user",
    "assistant",
    "observation",
)
_ROLES = {"system": "system", "human": "user", "ai": "assistant", "tool": "observation"}
# ChatGLM2 marks turns by plain text on a line after an empty one: texts may not have it there.
FORGED_TURN = re.compile(r"\n\s*\n(?=\[Round \d|问：|答：)")


class GlmTokenizer:
    """The tokenizer of a ChatGLM2 or ChatGLM3 checkpoint; a `ChatTokenizer`.

    Special tokens are numbers behind SentencePiece's own, so no text can spell one.
    """

    def __init__(self, path: Path, generation: Generation) -> None:
        """Open the SentencePiece model at `path`; raise `ModelFailed`."""
        try:
            self._pieces = SentencePieceProcessor()
            self._pieces.LoadFromSerializedProto(path.read_bytes())
        except (OSError, RuntimeError) as error:
            raise ModelFailed(
                f"{path} is not ChatGLM's SentencePiece model: {error}. (GLM-4 has another "
                "tokenizer: use its -hf folder with provider: transformers.)"
            ) from error
        self._generation = generation
        self._size = int(self._pieces.vocab_size())
        self._special = {name: self._size + at for at, name in enumerate(_SPECIALS)}
        self.ends = frozenset({int(self._pieces.eos_id())})
        if generation == "chatglm3":
            self.ends |= {self._special["user"], self._special["observation"]}

    def encode(self, text: str) -> list[int]:
        """Return the tokens of plain text."""
        return list(self._pieces.encode(text))

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of `tokens`, leaving out special ones."""
        pieces = self._pieces
        plain = [t for t in tokens if 0 <= t < self._size and not pieces.is_control(t)]
        return str(pieces.decode(plain))

    def prompt(self, messages: Sequence[BaseMessage]) -> list[int]:
        """Return the conversation as this generation reads it, up to where its answer begins."""
        start = [self._special["[gMASK]"], self._special["sop"]]
        if self._generation == "chatglm2":
            return start + self.encode(_rounds(messages))
        for message in messages:
            role = _ROLES.get(message.type, "user")
            start += [self._special[role], *self.encode("\n"), *self.encode(message.text)]
        return [*start, self._special["assistant"]]


def _rounds(messages: Sequence[BaseMessage]) -> str:
    """Write a conversation in ChatGLM2's rounds; system messages stand before the first."""
    system, rounds = "", ""
    count, answered = 0, True
    for message in messages:
        text = FORGED_TURN.sub("\n", message.text)
        if message.type == "system":
            system += f"{text}\n\n"
        elif message.type == "ai":
            rounds += f"{text}\n\n"
            answered = True
        elif answered:
            count += 1
            rounds += f"[Round {count}]\n\n问：{text}\n\n答："
            answered = False
        else:  # two questions in a row are one
            rounds = f"{rounds.removesuffix('答：')}{text}\n\n答："
    return system + rounds
