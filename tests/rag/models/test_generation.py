from __future__ import annotations

from collections.abc import Sequence

from rag.models.generation import TextStream


def utf8(tokens: Sequence[int]) -> str:
    return bytes(tokens).decode(errors="replace")


def pieces(text: str, stops: Sequence[str] = ()) -> list[str]:
    stream = TextStream(utf8, stops)
    parts = []
    for byte in text.encode():
        parts.append(stream.add(byte))
        if stream.stopped:
            return parts
    return [*parts, stream.finish()]


def test_character_of_several_tokens_comes_whole() -> None:
    assert [piece for piece in pieces("é汉🀄") if piece] == ["é", "汉", "🀄"]


def test_half_a_character_at_the_end_is_not_lost() -> None:
    stream = TextStream(utf8, [])
    assert stream.add("汉".encode()[0]) == ""
    assert stream.finish() == "\ufffd"


def test_text_ends_before_a_stop_text() -> None:
    assert "".join(pieces("one\nUser: two", ["\nUser:", "never"])) == "one"


def test_what_looked_like_a_stop_text_is_given_back() -> None:
    assert "".join(pieces("one\nUse it\nUs", ["\nUser:"])) == "one\nUse it\nUs"


def test_white_space_before_the_first_word_is_dropped() -> None:
    assert "".join(pieces("\n  a b ")) == "a b "
