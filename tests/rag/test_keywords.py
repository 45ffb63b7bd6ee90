import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.keywords import MAX_WEIGHT, Scores, passage_weights, query_weights, rarity, term_id, terms


def test_a_run_of_han_becomes_its_bigrams() -> None:
    assert terms("年假申请") == ["年假", "假申", "申请"]


def test_a_single_han_character_stands_for_itself() -> None:
    assert terms("茶, 水") == ["茶", "水"]


def test_words_become_stems_without_case() -> None:
    assert terms("Booked BOOKING books") == ["book"] * 3


def test_full_width_characters_are_the_same_words() -> None:
    assert terms("ＶＰＮ１２３") == terms("vpn123") == ["vpn123"]


def test_han_and_latin_in_one_word_are_told_apart_in_order() -> None:
    assert terms("用VPN登录2次") == ["用", "vpn", "登录", "2", "次"]


def test_punctuation_and_underscores_part_words() -> None:
    assert terms("max_tokens: 3.5!") == ["max", "token", "3", "5"]


def test_nothing_has_no_terms() -> None:
    assert terms(" …?!_ ") == []
    assert passage_weights("") == {}
    assert query_weights("?", {}, 10) == {}


@given(st.text(max_size=60))
def test_dimensions_fit_the_sparse_space(text: str) -> None:
    assert all(0 <= term_id(term) < 2**31 for term in terms(text))


def test_a_word_weighs_more_the_oftener_it_occurs_but_never_too_much() -> None:
    tea = term_id("tea")
    weights = [passage_weights("tea " * n)[tea] for n in (1, 2, 50)]
    assert weights == sorted(weights)
    assert len(set(weights)) == 3
    assert weights[-1] < MAX_WEIGHT


def test_a_word_weighs_less_in_a_longer_passage() -> None:
    tea = term_id("tea")
    assert passage_weights("tea")[tea] > passage_weights("tea " + "and water " * 50)[tea]


def test_rare_words_of_a_question_weigh_more_and_every_word_something() -> None:
    frequencies = {term_id("common"): 90, term_id("rare"): 1}
    weights = query_weights("common rare unheard", frequencies, 100)
    assert weights[term_id("unheard")] > weights[term_id("rare")] > weights[term_id("common")] > 0


def test_a_repeated_word_of_a_question_counts_once() -> None:
    assert query_weights("tea tea tea", {}, 10) == query_weights("tea", {}, 10)


@pytest.mark.parametrize("frequency", [0, 1, 5, 6, 1000])
def test_counts_that_a_publication_overtook_never_make_a_weight_negative(frequency: int) -> None:
    assert query_weights("tea", {term_id("tea"): frequency}, 5)[term_id("tea")] > 0
    assert rarity(5, 5) > 0


def test_scores_are_what_the_index_would_give_also_of_passages_scored_before() -> None:
    texts = {str(n): f"leave of {n} days, 休假第{n}天, leave again" for n in range(9)} | {"": "!"}
    scores = Scores(kept=5)  # fewer than there are
    for question in ("how many days of leave", "休假 days", "nothing"):
        rarities = query_weights(question, {}, 9)
        for _ in range(2):
            scored = scores.of(texts.items(), rarities)
            for score, text in zip(scored, texts.values(), strict=True):
                weights = passage_weights(text)
                assert score == pytest.approx(
                    sum(rarities.get(term, 0.0) * weight for term, weight in weights.items())
                )
