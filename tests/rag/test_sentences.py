import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.sentences import first_end, sentence_spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


def streamed(pieces: list[str]) -> list[str]:
    """Cut as the pipeline does: as soon as an end is sure, and the rest at the end."""
    found, written = [], ""
    for piece in pieces:
        written += piece
        while end := first_end(written):
            found.append(written[:end])
            written = written[end:]
    return [*found, written]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("你好。再见！真的吗？是的；好", ["你好。", "再见！", "真的吗？", "是的；", "好"]),
        ("他说：“可以。”然后走了。", ["他说：“可以。”", "然后走了。"]),
        ("「好。」『不。』（完。）末", ["「好。」", "『不。』", "（完。）", "末"]),
        ("什么？！真的……好", ["什么？！", "真的……", "好"]),
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ('He said "go." She went.', ['He said "go."', "She went."]),
        ("It is 3.5 km to config.yaml. Go on.", ["It is 3.5 km to config.yaml.", "Go on."]),
        ("用 v1.2.3 版本。It works.", ["用 v1.2.3 版本。", "It works."]),
    ],
)
def test_sentences_end_with_their_stops_and_closers(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Li and Mrs. Wang met J. Smith, e.g. on Monday.",
        "We meet at 9 a.m. on weekdays, etc. in No. 5.",
        "Cats vs. dogs.",
    ],
)
def test_an_abbreviation_does_not_end_a_sentence(text: str) -> None:
    assert sentences(text) == [text]


def test_a_list_has_a_sentence_a_line_and_its_numbers_stay_with_them() -> None:
    text = "Steps\n1. Install it.\n2. Run it\n\n10. Ask\n- done"
    assert sentences(text) == ["Steps", "1. Install it.", "2. Run it", "10. Ask", "- done"]


@pytest.mark.parametrize("text", ["", "  \n\n ", "\t"])
def test_white_space_has_no_sentences(text: str) -> None:
    assert sentences(text) == []
    assert first_end(text) is None


TEXTS = st.lists(
    st.sampled_from(
        [
            "你好",
            "好",
            "。",
            "！",
            "…",
            "”",
            "）",
            ")",
            '"',
            ".",
            "?",
            "\n",
            " ",
            "1",
            "12",
            "a",
            "Mr",
            "e.g",
            "A",
            "No",
            "word",
            "-",
            "\t",
            "\u3000",
            "a.m",
            ". ",
            "；",
        ]
    ),
    max_size=30,
).map("".join)


@given(TEXTS)
def test_sentences_are_in_order_and_leave_out_white_space_only(text: str) -> None:
    spans = sentence_spans(text)
    last = 0
    for start, end in spans:
        assert text[last:start].strip() == ""
        assert text[start:end] == text[start:end].strip() != ""
        last = end
    assert text[last:].strip() == ""


@given(TEXTS, st.data())
def test_a_growing_text_gives_the_sentences_of_the_whole(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    pieces_cut = streamed(pieces)
    assert "".join(pieces_cut) == text
    assert [piece.strip() for piece in pieces_cut if piece.strip()] == sentences(text)


@given(TEXTS)
def test_every_streamed_sentence_but_the_last_says_something(text: str) -> None:
    assert all(piece.strip() for piece in streamed(list(text))[:-1])


def test_a_sentence_ends_as_soon_as_what_follows_shows_it() -> None:
    assert first_end("Done.") is None
    assert first_end("Done. ") == 5
    assert first_end("3.5") is None
    assert first_end("好。") is None
    assert first_end("好。”") is None
    assert first_end("好。再") == 2
