from __future__ import annotations

from string import Formatter

import pytest

from bot.handlers.explain import explain
from bot.phrases import PHRASES, say
from rag.errors import DocumentCode, ModelFailed, ModelTrouble
from rag.language import language_of


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("key", PHRASES)
def test_both_languages_say_the_same_values(key: str) -> None:
    english, chinese = PHRASES[key]
    assert english.strip()
    assert chinese.strip()
    assert placeholders(english) == placeholders(chinese)


@pytest.mark.parametrize("key", PHRASES)
def test_each_language_is_in_its_column(key: str) -> None:
    english, chinese = PHRASES[key]
    assert language_of(english) == "en"
    without_values = chinese.format_map(dict.fromkeys(placeholders(chinese), ""))
    if key != "sources_line":  # punctuation alone
        assert max(without_values) >= "\u4e00"


@pytest.mark.parametrize("code", DocumentCode)
def test_every_code_of_a_document_has_words(code: DocumentCode) -> None:
    assert placeholders(PHRASES[code.value][0]) == set()


@pytest.mark.parametrize("trouble", ModelTrouble)
def test_every_trouble_with_a_model_is_told_in_both_languages(trouble: ModelTrouble) -> None:
    error = ModelFailed("Words for the log.", trouble, where="http://127.0.0.1:8000/v1")
    said = [explain(error, "en") or "", explain(error, "zh") or ""]
    assert [language_of(text.replace(error.where, "")) for text in said] == ["en", "zh"]
    assert not any("Words for the log" in text for text in said)


def test_a_phrase_is_filled_in_for_the_language() -> None:
    assert say("en", "waiting", ahead=2) != say("zh", "waiting", ahead=2)
    assert "2" in say("zh", "waiting", ahead=2)


def test_an_unknown_phrase_is_an_error() -> None:
    with pytest.raises(KeyError):
        say("en", "no_such_phrase")
