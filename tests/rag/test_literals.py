"""What a question wants found to the letter."""

import pytest

from rag.literals import folded, has_literal, literal_scores, literals


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("What does ERR-4012 mean?", ["err-4012"]),
        ("E1203 怎么处理？", ["e1203"]),
        ("Where is CHAT_MODEL set?", ["chat_model"]),
        ("What does on-call.csv say?", ["on-call.csv"]),
        ("Who wrote “the tide is high”?", ["the tide is high"]),
        ("《員工手冊》里说什么？", ["员工手册"]),
        ("Aylin Demir", ["aylin demir"]),
        ("何志远", ["何志远"]),
        ("How many days of leave in 2024?", []),
        ("年假有几天", []),
        ("x", []),
    ],
)
def test_codes_quotes_and_words_to_look_up_are_literal(question: str, wanted: list[str]) -> None:
    assert literals(question) == wanted


@pytest.mark.parametrize(
    ("text", "literal", "there"),
    [
        ("see err-4012.", "err-4012", True),
        ("see err-40123", "err-4012", False),
        ("theerr-4012", "err-4012", False),
        ("找何志远报到", "何志远", True),
        ("用vpn登录", "vpn", True),
    ],
)
def test_a_literal_is_no_part_of_a_longer_word(text: str, literal: str, there: bool) -> None:
    assert has_literal(text, literal) is there


def test_case_width_spaces_and_script_make_no_difference() -> None:
    assert folded("Ｅrr\n\n 員工") == "err 员工"


def test_a_text_gains_by_the_share_that_it_has() -> None:
    both, one, none = literal_scores(["a1", "b2"], ["A1 and B2", "a1", "c3"])
    assert both > one > none == 0
    assert list(literal_scores([], ["a", "b"])) == [0, 0]


def test_a_literal_that_many_texts_have_tells_less_of_each() -> None:
    alone, *_ = literal_scores(["a1"], ["a1", "b", "c"])
    shared, *_ = literal_scores(["a1"], ["a1", "a1", "c"])
    assert alone > shared > 0
