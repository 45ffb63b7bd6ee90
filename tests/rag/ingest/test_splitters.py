"""Passages are exact spans, of like size, cut where a reader would cut."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.embeddings import Embeddings

from rag.ingest.parsed import Chunk, Parsed, Segment
from rag.ingest.splitters import Splitter, chunks, make_splitter


def count(text: str) -> int:
    """Count words, and Chinese characters as words, as a tokenizer roughly would."""
    return len(re.findall(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+|[^\w\s]", text))


class Topics(Embeddings):
    """Points sentences about tea one way and all others another."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[1.0, 0.0] if "tea" in text else [0.0, 1.0] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


def splitter(name: str = "character", max_tokens: int = 40) -> Splitter:
    return make_splitter(name, count, embeddings=Topics(), max_tokens=max_tokens)


def parsed(*parts: tuple[str, int | None, str | None]) -> Parsed:
    return Parsed(tuple(Segment(*part) for part in parts), None)


def texts(document: Parsed, found: list[Chunk]) -> list[str]:
    return [document.text[chunk.start : chunk.end] for chunk in found]


def split(*parts: tuple[str, int | None, str | None], name: str = "character") -> list[str]:
    document = parsed(*parts)
    return texts(document, chunks(document, splitter(name)))


SENTENCE = "The quick brown fox jumps over the lazy dog."  # 10 tokens
HAN = "敏捷的狐狸跳过了懒狗。"  # 11 tokens


def test_paragraph_that_fits_is_one_passage() -> None:
    text = " ".join([SENTENCE] * 4)
    assert split((text, None, None)) == [text]


@pytest.mark.parametrize(("sentence", "glue"), [(SENTENCE, " "), (HAN, "")])
def test_longer_paragraph_is_cut_in_even_passages_at_sentences(sentence: str, glue: str) -> None:
    found = split((glue.join([sentence] * 6), None, None))
    assert [count(text) for text in found] == [count(sentence) * 3] * 2
    assert all(text.endswith((".", "。")) for text in found)


def test_paragraphs_are_better_places_than_sentences() -> None:
    first, second = " ".join([SENTENCE] * 2), " ".join([SENTENCE] * 3)
    assert split((f"{first}\n\n{second}", None, None)) == [first, second]


def test_row_is_cut_only_if_it_alone_is_too_long() -> None:
    row = "Question: Who may come? Everyone; Answer: Yes. All of you! Come; Note: a b c d e f"
    found = split(("\n".join([row] * 5), None, None))
    assert {line for text in found for line in text.split("\n")} == {row}
    long = "Name: Tea; Note: " + ", ".join(["word"] * 60)
    assert len(split((long, None, None))) > 1


def test_text_without_any_break_is_cut_anyway() -> None:
    found = split(("好" * 1_000, None, None))
    assert "".join(found) == "好" * 1_000
    assert max(map(count, found)) <= 40


def test_small_sections_share_a_passage_and_its_common_path() -> None:
    document = parsed(("A\n\nOne.", 1, "A"), ("B\n\nTwo.", 1, "A > B"), ("C\n\nThree.", 1, "A > C"))
    (chunk,) = chunks(document, splitter())
    assert texts(document, [chunk]) == [document.text]
    assert (chunk.page, chunk.section) == (1, "A")


def test_lone_heading_goes_with_what_it_heads() -> None:
    body = " ".join([SENTENCE] * 7)
    document = parsed(("Rules", None, "Rules"), (f"Leave\n\n{body}", None, "Rules > Leave"))
    found = chunks(document, splitter())
    assert texts(document, found)[0].startswith("Rules\n\nLeave\n\nThe quick")
    assert {chunk.section for chunk in found} == {"Rules > Leave"}


def test_no_passage_crosses_a_page_or_a_top_section() -> None:
    document = parsed(
        ("A short page.", 1, None),
        ("Another one here.", 2, "X"),
        ("And yet another one.", 2, "Y"),
    )
    assert [(chunk.page, chunk.section) for chunk in chunks(document, splitter())] == [
        (1, None),
        (2, "X"),
        (2, "Y"),
    ]


def test_length_fills_passages_and_repeats_a_short_sentence() -> None:
    sentences = [f"This is number {i} of them." for i in range(10)]  # 7 tokens each
    found = split((" ".join(sentences), None, None), name="length")
    assert max(map(count, found)) <= 40
    assert found[0] == " ".join(sentences[:5])
    assert found[1].startswith(sentences[4])


def test_meaning_cuts_where_the_subject_changes() -> None:
    tea = " ".join(["We drink green tea at four."] * 3)
    cars = " ".join(["The old car needs new tyres."] * 3)
    found = split((f"{tea} {cars}", None, None), name="meaning")
    assert found == [tea, cars]


def test_names_and_sizes_are_checked() -> None:
    with pytest.raises(ValueError, match="character, length or meaning"):
        make_splitter("magic", count)
    with pytest.raises(ValueError, match="embeddings"):
        make_splitter("meaning", count)
    with pytest.raises(ValueError, match="500"):
        make_splitter("character", count, max_tokens=501)


def test_splitters_are_langchain_splitters() -> None:
    (document,) = splitter().create_documents([SENTENCE])
    assert document.page_content == SENTENCE


PIECES = st.lists(
    st.sampled_from([SENTENCE, HAN, "\n", "\n\n", " ", "word", "a: b; c: d", "，", "!", "👨‍👩‍👧"])
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(PIECES, st.sampled_from([1, 2]), st.sampled_from([None, "A", "A > B"])),
        min_size=1,
    ),
    st.sampled_from(["character", "length", "meaning"]),
)
def test_passages_cover_the_text_within_bounds(
    parts: list[tuple[list[str], int, str | None]], name: str
) -> None:
    segments = sorted(
        (
            Segment(text, page, section)
            for pieces, page, section in parts
            if (text := "".join(pieces).strip())
        ),
        key=lambda segment: segment.page or 0,
    )
    document = Parsed(tuple(segments), None)
    found = chunks(document, splitter(name))
    covered = [False] * len(document.text)
    for chunk, text in zip(found, texts(document, found), strict=True):
        assert text
        assert text == text.strip()
        assert count(text) <= 40
        covered[chunk.start : chunk.end] = [True] * (chunk.end - chunk.start)
    assert all(mark or c.isspace() for mark, c in zip(covered, document.text, strict=True))
    assert [chunk.start for chunk in found] == sorted(chunk.start for chunk in found)
