"""The delivery loop that every adapter drives, on a platform that is played."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from bot.adapters.delivery import View
from bot.adapters.sheet import DOUBTFUL, Unreachable
from bot.messages import Delivery, Event, Reply, ReplyChunk, ReplyEvent, Request, Status
from tests.bot.adapters.played import ANSWER, EVENT, Bot, Platform, Wall, request, unreachable
from tests.bot.inboxes import MemoryInbox


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def inbox() -> MemoryInbox:
    return MemoryInbox()


@pytest.fixture
def bot(platform: Platform, inbox: MemoryInbox) -> Bot:
    return Bot(platform, inbox)


async def test_an_event_is_answered_once_however_often_it_comes(bot: Bot) -> None:
    events = [EVENT, EVENT, replace(EVENT, id="E2")]
    accepted = await asyncio.gather(*map(bot.deliveries.accept, events))
    assert sorted(accepted) == [False, False, True]
    await bot.done(bot.inbox.events[0])
    assert not await bot.deliveries.accept(EVENT)
    assert bot.platform.says == ["Because."]
    assert len(bot.asked) == 1


async def test_work_is_not_done_before_the_reply_stands_there(
    platform: Platform, inbox: MemoryInbox
) -> None:
    go = asyncio.Event()
    platform.script["edit"] = [go.wait]  # type: ignore[list-item]
    bot = Bot(platform, inbox)
    await bot.deliveries.accept(EVENT)
    await platform.until(lambda: "edit" in platform.calls or platform.says == ["Because."])
    if platform.says != ["Because."]:
        assert not inbox.finished
    go.set()
    await bot.done(EVENT)


async def hang(request: Request) -> AsyncIterator[ReplyEvent]:
    yield Status("Searching")
    await asyncio.Event().wait()


async def test_what_was_cut_off_is_resumed_in_the_same_message(
    platform: Platform, inbox: MemoryInbox
) -> None:
    first = Bot(platform, inbox, hang)
    await first.deliveries.accept(EVENT)
    await platform.until(lambda: platform.says == ["Searching"])
    await first.deliveries.close()
    second = Bot(platform, inbox)
    await second.deliveries.resume()
    await second.done(EVENT)
    assert platform.says == ["Because."]
    assert platform.count == 1


async def test_a_message_that_was_posted_and_not_noted_is_adopted(
    platform: Platform, inbox: MemoryInbox
) -> None:
    await inbox.add(EVENT)
    await inbox.begin(request(EVENT), EVENT)
    platform.put("here", "Looking", "E1/0")
    bot = Bot(platform, inbox)
    await bot.deliveries.resume()
    await bot.done(EVENT)
    assert platform.says == ["Because."]
    assert platform.count == 1


async def test_a_written_reply_is_delivered_without_asking_again(
    platform: Platform, inbox: MemoryInbox
) -> None:
    await inbox.add(EVENT)
    await inbox.begin(request(EVENT), EVENT)
    await inbox.answered(request(EVENT), replace(ANSWER, text="Kept.", chunks=()))
    bot = Bot(platform, inbox)
    await bot.deliveries.resume()
    await bot.done(EVENT)
    assert platform.says == ["Kept."]
    assert bot.asked == []


async def test_a_delivered_reply_is_not_touched_again(
    platform: Platform, inbox: MemoryInbox
) -> None:
    await inbox.add(EVENT)
    await inbox.begin(request(EVENT), EVENT)
    await inbox.delivered(request(EVENT))
    bot = Bot(platform, inbox)
    await bot.deliveries.resume()
    await bot.done(EVENT)
    assert platform.calls == []


async def test_an_event_that_never_gets_done_is_given_up(
    platform: Platform, inbox: MemoryInbox
) -> None:
    await inbox.add(EVENT)
    for _ in range(3):
        await inbox.pending("played")
    bot = Bot(platform, inbox, most_starts=3)
    await bot.deliveries.resume()
    await bot.done(EVENT)
    assert bot.asked == []
    assert "went wrong" in platform.says[0]


async def test_a_post_that_has_arrived_unheard_is_found(platform: Platform, bot: Bot) -> None:
    async def unheard() -> None:
        platform.put("here", "Searching", "E1/0")
        raise Unreachable("the answer was lost")

    platform.script["post"] = [unheard]
    await bot.say()
    assert platform.says == ["Because."]
    assert platform.count == 1


async def test_a_post_that_has_not_arrived_is_sent_again(platform: Platform, bot: Bot) -> None:
    platform.script["post"] = [unreachable, unreachable]
    await bot.say()
    assert platform.says == ["Because."]


async def test_where_nobody_can_look_nothing_is_sent_twice(platform: Platform, bot: Bot) -> None:
    async def unheard() -> None:
        platform.put("here", "Searching", "E1/0")
        raise Unreachable("the answer was lost")

    platform.script["post"] = [unheard]
    platform.script["find"] = [unreachable] * 20
    await bot.say()
    assert platform.count == 1
    assert platform.says == ["Because."]


async def test_an_outage_is_waited_out(platform: Platform, bot: Bot) -> None:
    platform.script["edit"] = [unreachable] * 20
    await bot.say()
    assert platform.says == ["Because."]
    assert len(bot.asked) == 1


async def test_a_deleted_message_is_written_anew(platform: Platform, inbox: MemoryInbox) -> None:
    go = asyncio.Event()

    async def slow(request: Request) -> AsyncIterator[ReplyEvent]:
        yield Status("Searching")
        await go.wait()
        yield ANSWER

    bot = Bot(platform, inbox, slow)
    await bot.deliveries.accept(EVENT)
    await platform.until(lambda: platform.says == ["Searching"])
    platform.messages.clear()
    go.set()
    await bot.done(EVENT)
    assert platform.says == ["Because."]


async def test_what_one_place_refuses_goes_to_the_next(platform: Platform, bot: Bot) -> None:
    platform.walls = [
        Wall("here", platform, refuses=True),
        Wall("whisper", platform, editable=False),
    ]
    await bot.say()
    assert [shown.place for shown in platform.messages.values()] == ["whisper"]
    assert [shown.texts for shown in platform.messages.values()] == [["Because."]]


@pytest.fixture
def unseen(platform: Platform) -> Platform:
    """A platform where nobody can look for any message after the first."""
    platform.walls = [Wall("here", platform, unseen_from=1)]

    def words(view: View) -> list[str]:
        failed = view.reply is not None and view.reply.outcome == "error"
        return [MISSING] if failed else view.text().split(" ")

    platform.render = words  # type: ignore[method-assign]
    return platform


MISSING = "missing?"
LONG = replace(ANSWER, text="One. Two. Three.", chunks=())


@pytest.mark.parametrize(
    ("noted", "says"),
    [(["m1"], ["One.", "Two.", "Three."]), (["m1", DOUBTFUL], ["One.", "Three.", MISSING])],
    ids=["before the note", "after the note"],
)
async def test_what_nobody_can_look_for_is_sent_once_or_told_to_be_missing(
    unseen: Platform, inbox: MemoryInbox, noted: list[str], says: list[str]
) -> None:
    await inbox.add(EVENT)
    await inbox.begin(request(EVENT), EVENT)
    await inbox.answered(request(EVENT), LONG)
    unseen.put("here", "One.", "E1/0")
    await inbox.posted(request(EVENT), 0, noted)
    bot = Bot(unseen, inbox)
    await bot.deliveries.resume()
    await bot.done(EVENT)
    assert unseen.says == says
    assert "find" not in unseen.calls


async def test_what_nobody_can_look_for_is_not_repeated_when_its_receipt_is_lost(
    unseen: Platform, inbox: MemoryInbox
) -> None:
    async def answers(request: Request) -> AsyncIterator[ReplyEvent]:
        yield LONG

    async def heard() -> None:
        return

    unseen.script["post"] = [heard, unreachable]
    await Bot(unseen, inbox, answers).say()
    assert unseen.says == ["One.", "Three.", MISSING]


async def test_what_nobody_takes_ends(platform: Platform, bot: Bot) -> None:
    platform.walls = [Wall("here", platform, refuses=True)]
    await bot.say()
    assert platform.messages == {}


async def test_a_reply_of_several_messages_shrinks_and_grows(
    platform: Platform, inbox: MemoryInbox
) -> None:
    async def changing(request: Request) -> AsyncIterator[ReplyEvent]:
        yield ReplyChunk("One.")
        await platform.until(lambda: platform.count == 1)
        yield Reply("answer", "One.\n\nTwo.\n\nThree.", "en")

    bot = Bot(platform, inbox, changing)
    bot.platform.render = lambda view: view.text().split("\n\n")  # type: ignore[method-assign]
    await bot.say()
    assert platform.says == ["One.", "Two.", "Three."]
    edited = replace(EVENT, id="E2", edition="2", payload={"text": "And?"})
    bot = Bot(platform, inbox)
    await bot.say(edited)
    assert platform.says == ["Because."]
    assert platform.count == 3


async def test_an_edited_question_has_its_answer_edited(platform: Platform, bot: Bot) -> None:
    await bot.say()
    edited = replace(EVENT, id="E2", edition="2", payload={"text": "Why now?"})
    await bot.say(edited)
    assert [asked.text for asked in bot.asked] == ["Why?", "Why now?"]
    assert platform.count == 1
    assert platform.says == ["Because."]


async def test_an_edit_ends_the_work_on_the_first_question(
    platform: Platform, inbox: MemoryInbox
) -> None:
    closed = asyncio.Event()

    async def either(request: Request) -> AsyncIterator[ReplyEvent]:
        try:
            yield Status("Searching")
            if request.text == "Why?":
                await asyncio.Event().wait()
            yield ANSWER
        finally:
            closed.set()

    bot = Bot(platform, inbox, either)
    await bot.deliveries.accept(EVENT)
    await platform.until(lambda: platform.says == ["Searching"])
    edited = replace(EVENT, id="E2", edition="2", payload={"text": "Why now?"})
    await bot.say(edited)
    await bot.done(EVENT)
    assert closed.is_set()
    assert platform.says == ["Because."]
    assert platform.count == 1


async def test_a_quick_edit_waits_for_the_first_question_to_begin(
    platform: Platform, bot: Bot
) -> None:
    edited = replace(EVENT, id="E2", edition="2", payload={"text": "Why now?"})
    await asyncio.gather(bot.deliveries.accept(EVENT), bot.deliveries.accept(edited))
    await bot.done(EVENT, edited)
    assert platform.says == ["Because."]
    assert platform.count == 1


async def test_a_deleted_question_takes_its_answer_along(
    platform: Platform, inbox: MemoryInbox, bot: Bot
) -> None:
    await bot.say()
    await bot.say(replace(EVENT, id="E2", edition="deleted"))
    assert platform.messages == {}


async def test_a_question_that_is_deleted_while_it_is_worked_on_leaves_nothing(
    platform: Platform, inbox: MemoryInbox
) -> None:
    bot = Bot(platform, inbox, hang)
    await bot.deliveries.accept(EVENT)
    await platform.until(lambda: platform.says == ["Searching"])
    await bot.say(replace(EVENT, id="E2", edition="deleted"))
    await bot.done(EVENT)
    assert platform.messages == {}


async def test_too_much_at_once_is_told_busy(platform: Platform, inbox: MemoryInbox) -> None:
    bot = Bot(platform, inbox, hang, most_events=1)
    await bot.deliveries.accept(EVENT)
    await bot.say(replace(EVENT, id="E2", message="2"))
    assert len(bot.asked) == 1
    assert "busy" in platform.says[-1]
    await bot.deliveries.close()


async def test_a_handle_that_fails_is_told(platform: Platform, inbox: MemoryInbox) -> None:
    async def broken(request: Request) -> AsyncIterator[ReplyEvent]:
        yield Status("Searching")
        raise RuntimeError("bug")

    await Bot(platform, inbox, broken).say()
    assert "went wrong" in platform.says[0]


class FullInbox(MemoryInbox):
    """Stands on a full disk."""

    async def add(self, event: Event) -> bool:
        raise OSError("no space")

    async def begin(self, request: Request, event: Event, over: str | None = None) -> Delivery:
        raise OSError("no space")

    async def posted(self, request: Request, place: int, parts: Sequence[str]) -> None:
        raise OSError("no space")

    async def answered(self, request: Request, reply: Reply) -> None:
        raise OSError("no space")

    async def delivered(self, request: Request) -> None:
        raise OSError("no space")

    async def done(self, event: Event) -> None:
        await super().done(event)
        raise OSError("no space")


async def test_where_nothing_can_be_stored_questions_are_answered_all_the_same(
    platform: Platform,
) -> None:
    bot = Bot(platform, FullInbox())
    await bot.say()
    assert platform.says == ["Because."]
    assert not await bot.deliveries.accept(replace(EVENT, id="E2"))
    assert platform.count == 1
