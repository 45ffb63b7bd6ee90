"""The chat model's translation of a question: bounded, checked, and never an answer."""

import asyncio

import pytest

from rag.errors import ModelFailed
from rag.translation import Translator, checked
from tests.rag.scripted import ScriptedChat, said

QUESTION = "出差时每天的餐费最多报销多少？"
TRANSLATED = "What is the most that is paid for meals a day on trips?"


async def ready() -> None:
    """Be open."""


async def test_a_question_is_translated_in_the_slot_for_small_jobs() -> None:
    chat = ScriptedChat(
        scripts=[["What is the most ", "that is paid for meals ", "a day on trips?"]]
    )
    assert await Translator(chat, ready=ready).translate(QUESTION, "en") == TRANSLATED
    assert QUESTION in said(chat.asked[0])
    assert chat.options[0]["slot"] == 1
    assert chat.options[0]["max_tokens"] <= 60


async def test_a_second_line_ends_it() -> None:
    chat = ScriptedChat(scripts=[[f"{TRANSLATED}\n", "45 EUR.", asyncio.Event()]])
    assert await Translator(chat, ready=ready).translate(QUESTION, "en") == TRANSLATED
    await chat.stopped.wait()


@pytest.mark.parametrize("trouble", [ModelFailed("It broke."), asyncio.Event()])
async def test_without_a_model_the_question_stays_as_it_is(trouble: object) -> None:
    chat = ScriptedChat(scripts=[["What is", trouble]])
    assert await Translator(chat, ready=ready, patience=0.05).translate(QUESTION, "en") is None
    await chat.stopped.wait()


async def test_a_model_that_cannot_open_is_no_error() -> None:
    async def missing() -> None:
        raise ModelFailed("It is gone.")

    translator = Translator(ScriptedChat(scripts=[]), ready=missing)
    assert await translator.translate(QUESTION, "en") is None


async def test_a_long_question_is_not_translated() -> None:
    assert (
        await Translator(ScriptedChat(scripts=[]), ready=ready).translate("长" * 1000, "en") is None
    )


async def test_whoever_stops_waiting_stops_the_model() -> None:
    chat = ScriptedChat(scripts=[[asyncio.Event()]])
    task = asyncio.create_task(Translator(chat, ready=ready).translate(QUESTION, "en"))
    await chat.began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await chat.stopped.wait()


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (TRANSLATED, TRANSLATED),
        (f'Translation: "{TRANSLATED}"', TRANSLATED),
        ("", None),
        ("45 euros a day.", None),
        ("At most 45 euros are paid for the meals of a day.", None),
        (QUESTION, None),
        ("What is the limit for 餐费?", None),
        ("Meals?", None),
        (f"{'What is paid, and ' * 12}what else?", None),
    ],
)
def test_only_a_translation_is_one(written: str, kept: str | None) -> None:
    assert checked(QUESTION, written, "en") == kept


@pytest.mark.parametrize(
    ("question", "written", "language", "kept"),
    [
        ("K77 在 2024 年怎么填？", "How was it filled in?", "en", "How was it filled in? K77 2024"),
        ("TeamGLM 怎么安装？", "How is it installed?", "en", "How is it installed? TeamGLM"),
        ("Who may use ERR-4012?", "谁可以用它？", "zh", "谁可以用它？ ERR-4012"),
        ("Who is Aylin?", "艾琳是谁？", "zh", "艾琳是谁？"),
    ],
)
def test_numbers_and_codes_are_never_lost(
    question: str, written: str, language: str, kept: str
) -> None:
    assert checked(question, written, language) == kept  # type: ignore[arg-type]
