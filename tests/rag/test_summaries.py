from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from rag.audience import Audience
from rag.author import AnswerLimits, Author
from rag.language import Language
from rag.pipeline import Event, Finished, Partly, Progress, Sentence
from rag.priority import Priority
from rag.records import Passage
from rag.summaries import Length, Summaries, Text
from tests.fakes import HashEmbeddings
from tests.rag.passages import passage
from tests.rag.scripted import CountlessRecords, ScriptedChat, said

EVERYONE = Audience.of({"public"})
LEAVE = "Leave is asked for two weeks ahead of it, by form K77."
MEALS = "Meals are paid up to thirty euros a day on every trip."


class Desk:
    """Summaries with their scripted model at hand."""

    def __init__(self, *scripts: Sequence[Any], **limits: Any) -> None:
        self.chat = ScriptedChat(scripts=[list(script) for script in scripts])
        author = Author(
            CountlessRecords(),
            HashEmbeddings(),
            self.chat,
            context_window=lambda: 4000,
            limits=AnswerLimits(**limits),
        )
        self.summaries = Summaries(author, Priority())

    def stream(
        self, *texts: Sequence[Passage], language: Language = "en", length: Length = "medium"
    ) -> AsyncGenerator[Event, None]:
        named = [Text(passages[0].document, passages) for passages in texts]
        return self.summaries.stream(named, EVERYONE, language, length)

    async def events(self, *texts: Sequence[Passage], **more: Any) -> list[Event]:
        async with aclosing(self.stream(*texts, **more)) as events:
            return [event async for event in events]

    @property
    def prompts(self) -> list[str]:
        return [said(prompt) for prompt in self.chat.asked]


def pieces(text: str, number: int, *, name: str = "a.txt") -> list[Passage]:
    return [passage(f"{text} {n}", name=name, start=100 * n, ordinal=n) for n in range(number)]


def words(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Sentence))


def cited(events: Sequence[Event]) -> list[tuple[str, int]]:
    sentences = [event for event in events if isinstance(event, Sentence)]
    return [(each.citations[0].document, each.citations[0].start) for each in sentences]


async def test_a_short_text_is_asked_about_once_and_cited() -> None:
    desk = Desk(["Leave is asked for two weeks ahead. Meals are paid."])
    events = await desk.events([passage(LEAVE), passage(MEALS, start=100, ordinal=1)])
    assert [type(event) for event in events] == [Progress, Sentence, Sentence, Finished]
    assert cited(events) == [("a.txt", 0), ("a.txt", 100)]
    (prompt,) = desk.prompts
    assert LEAVE in prompt
    assert MEALS in prompt


async def test_a_long_text_is_read_in_parts_and_its_summary_cites_the_passages_noted() -> None:
    notes = [f"Leave is form K77, rule {n}." for n in range(3)]
    desk = Desk(*[[note] for note in notes], ["Leave is by form K77."], part_tokens=25)
    texts = [f"Rule {n}. {LEAVE}" for n in range(3)]
    passages = [passage(text, start=100 * n, ordinal=n) for n, text in enumerate(texts)]
    events = await desk.events(passages)
    assert [e for e in events if isinstance(e, Progress)] == [Progress(n, 3) for n in (1, 2, 3)]
    assert words(events) == "Leave is by form K77."
    assert cited(events)[0][1] in (8, 108, 208)
    *parts, final = desk.prompts
    assert all(text in prompt for text, prompt in zip(texts, parts, strict=True))
    assert [final.index(note) for note in notes] == sorted(final.index(note) for note in notes)
    assert LEAVE not in final


async def test_notes_that_are_too_long_are_summarised_again_until_they_fit() -> None:
    notes = [["Leave is asked for two weeks ahead of it by form K77."]] * 4
    shorter = [["First half."], ["Second half."]]
    desk = Desk(*notes, *shorter, ["Leave is asked for two weeks ahead."], part_tokens=32)
    events = await desk.events(pieces(LEAVE + " " + MEALS, 4))
    assert words(events) == "Leave is asked for two weeks ahead."
    assert "First half.\nSecond half." in desk.prompts[-1]
    assert len(desk.prompts) == 7


@pytest.mark.parametrize("most", [1, 2, 4])
async def test_of_a_very_long_text_parts_are_read_from_all_over_it_and_that_is_told(
    most: int,
) -> None:
    desk = Desk(*[[f"Leave {n}."] for n in range(most + 1)], part_tokens=13, most_parts=most)
    events = await desk.events(pieces(LEAVE, 30))
    read = "\n".join(desk.prompts)
    seen = [n for n in range(30) if f"{LEAVE} {n}\n" in read]
    assert len(seen) == most
    assert seen[0] == 0
    assert most == 1 or seen[-1] == 29
    assert events[-2] == Partly(most, 30)


async def test_several_texts_are_compared_each_under_its_name() -> None:
    desk = Desk(["Leave is asked for."], ["Meals are paid."], ["Leave is asked for, meals paid."])
    events = await desk.events([passage(LEAVE)], [passage(MEALS, name="b.txt")])
    assert [e for e in events if isinstance(e, Progress)] == [Progress(1, 2), Progress(2, 2)]
    final = desk.prompts[-1]
    for name, note in (("a.txt", "Leave is asked for."), ("b.txt", "Meals are paid.")):
        assert name in final
        assert note in final
    assert "ompare" in final
    assert cited(events)[0][0] in ("a.txt", "b.txt")


@pytest.mark.parametrize(("language", "written"), [("en", "in English"), ("zh", "用中文")])
async def test_it_is_asked_for_in_a_language_and_a_length(language: Language, written: str) -> None:
    asked = []
    for length in ("short", "medium", "long"):
        desk = Desk(["Leave."])
        await desk.events([passage(LEAVE)], language=language, length=length)
        assert written in desk.prompts[0]
        asked.append(desk.chat.options[0]["max_tokens"])
    assert asked == sorted(set(asked))


async def test_a_part_is_noted_in_its_own_language() -> None:
    desk = Desk(["请假要提前。"], ["餐费有限额。"], ["Leave and meals."], part_tokens=1)
    chinese = [passage("请假须提前两周申请。"), passage("餐费每天三十欧元。", start=20, ordinal=1)]
    await desk.events(chinese, language="en")
    assert ["用中文" in prompt for prompt in desk.prompts] == [True, True, False]


async def test_numbers_in_brackets_stay_since_there_are_no_sources() -> None:
    desk = Desk(["See annex [1] of (2)."])
    events = await desk.events([passage("For leave see annex [1] of (2).")])
    assert words(events) == "See annex [1] of (2)."


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        (f"Nobody gets leave. {LEAVE}", f" {LEAVE}"),
        ("Everybody gets a car.", f" “a.txt” says: “{LEAVE}”"),
    ],
)
async def test_only_what_the_text_says_is_shown_or_else_how_it_begins(
    script: str, shown: str
) -> None:
    events = await Desk([script]).events([passage(LEAVE)])
    assert words(events) == shown
    assert isinstance(events[-1], Finished)
    assert events[-1].proof.withheld == 1


async def test_what_the_model_does_not_write_is_a_refusal() -> None:
    end = (await Desk([""]).events([passage(LEAVE)]))[-1]
    assert isinstance(end, Finished)
    assert end.outcome == "refusal"


async def test_what_nobody_waits_for_any_more_stops_the_model() -> None:
    desk = Desk([asyncio.Event()])
    stream = desk.stream([passage(LEAVE)])
    await anext(stream)
    task = asyncio.create_task(anext(stream))
    await desk.chat.began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await stream.aclose()
    await desk.chat.stopped.wait()
