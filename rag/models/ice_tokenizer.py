"""The first ChatGLM-6B's tokens: SentencePiece over text in which white space is spelled out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from langchain_core.messages import BaseMessage
from sentencepiece import SentencePieceProcessor

from rag.errors import ModelFailed

# Published before April 2023, the vocabulary had places for images before its pieces.
IMAGES = 20_000
_MOST_BLANKS = 80
_SPECIALS = (
    "[MASK]",
    "[gMASK]",
    "[sMASK]",
    "<unused_0>",
    "<sop>",
    "<eop>",
    "<ENC>",
    "<dBLOCK>",
    "<n>",
    "<|tab|>",
)
_SPELLED = re.compile("|".join([*map(re.escape, _SPECIALS), r"<\|blank_\d+\|>"]))
# Turns are marked by plain text at the beginning of a line: texts may not have it there.
_FORGED_TURN = re.compile(r"\n\s*(?=\[Round \d|问：|答：)")


class IceTokenizer:
    """The tokenizer of a ChatGLM-6B checkpoint, `ice_text.model`; a `ChatTokenizer`."""

    def __init__(self, path: Path, *, images: int = IMAGES) -> None:
        """Open the SentencePiece model at `path`, before which `images` tokens are left free, as
        tokenizer_config.json says in `num_image_tokens`; raise `ModelFailed`."""
        try:
            self._pieces = SentencePieceProcessor()
            self._pieces.LoadFromSerializedProto(path.read_bytes())
        except (OSError, RuntimeError) as error:
            raise ModelFailed(f"{path} is not ChatGLM-6B's SentencePiece model: {error}") from error
        self._images = images
        absent = [name for name in _SPECIALS if self._pieces.id_to_piece(self._id(name)) != name]
        if absent:
            raise ModelFailed(f"{path} is not ChatGLM-6B's vocabulary: it has no {absent[0]}.")
        self._marks = frozenset(self._id(name) for name in _SPECIALS[:8])
        self.ends = frozenset({self._id("<eop>") + images})

    def _id(self, piece: str) -> int:
        return int(self._pieces.piece_to_id(piece))

    def encode(self, text: str) -> list[int]:
        """Return the tokens of plain text; what a text spells of the model's marks is broken up."""
        text = _SPELLED.sub(lambda mark: f"{mark[0][0]} {mark[0][1:]}", text)
        text = text.replace("\n", "<n>").replace("\t", "<|tab|>")
        text = re.sub(f" {{2,{_MOST_BLANKS}}}", lambda run: f"<|blank_{len(run[0])}|>", text)
        return [int(piece) + self._images for piece in self._pieces.encode(text)]

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of `tokens`, leaving out the model's marks."""
        pieces, size = self._pieces, int(self._pieces.vocab_size())
        plain = [token - self._images for token in tokens]
        plain = [t for t in plain if 0 <= t < size and t not in self._marks]
        plain = [t for t in plain if not pieces.is_control(t)]
        text = str(pieces.decode(plain)).replace("<n>", "\n").replace("<|tab|>", "\t")
        return re.sub(r"<\|blank_(\d+)\|>", lambda run: " " * int(run[1]), text)

    def prompt(self, messages: Sequence[BaseMessage]) -> list[int]:
        """Return the conversation, up to where the model's answer begins."""
        start = [self._id(mark) + self._images for mark in ("[gMASK]", "<sop>")]
        return self.encode(_written(messages)) + start


def _written(messages: Sequence[BaseMessage]) -> str:
    """Write a conversation in rounds; a first question stands alone, as in training.

    There is no role for instructions: they stand before the first question.
    """
    system = "".join(f"{m.text}\n\n" for m in messages if m.type == "system")
    talk = [message for message in messages if message.type != "system"]
    texts = [_FORGED_TURN.sub(" ", message.text) for message in talk]
    if all(message.type != "ai" for message in talk):
        return system + "\n".join(texts)
    written, count, answered = "", 0, True
    for message, text in zip(talk, texts, strict=True):
        if message.type == "ai":
            written += f"{text}\n"
            answered = True
        elif answered:
            written += f"[Round {count}]\n问：{text}\n答："
            count, answered = count + 1, False
        else:  # two questions in a row are one
            written = f"{written.removesuffix('答：')}{text}\n答："
    return system + written
