from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

import pytest

from bot.dispatch import Dispatcher, Limits
from bot.messages import Language, Reply, ReplyEvent, Request, Status
from rag.language import language_of
from tests.bot.fakes import collect, request


class Scripted:
    """Yields its events, then raises; a turn at the chat model is needed unless told otherwise."""

    def __init__(
        self,
        events: Sequence[ReplyEvent] = (),
        *,
        error: Exception | None = None,
        command: str = "ask",
        turn: bool = True,
        before: Callable[[Request], Awaitable[object]] | None = None,
    ) -> None:
        self.command = command
        self.events = events
        self.error = error
        self.turn = turn
        self.before = before
        self.languages: list[Language] = []
        self.began: asyncio.Queue[str] = asyncio.Queue()
        self.closed: list[str] = []

    def uses_chat_model(self, request: Request) -> bool:
        return self.turn

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        self.languages.append(language)
        self.began.put_nowait(request.id)
        try:
            if self.before:
                await self.before(request)
            for event in self.events:
                yield event
            if self.error:
                raise self.error
        finally:
            self.closed.append(request.id)


ANSWER = Reply("answer", "yes", "en")


class Told(Exception):
    """An error that is explained."""


def explain(error: Exception, language: Language) -> str | None:
    return f"{language}: {error}" if isinstance(error, Told) else None


def dispatcher(*handlers: Scripted, characters: int = 100, waiting: int = 2) -> Dispatcher:
    limits = Limits(question_characters=characters, waiting=waiting)
    return Dispatcher(handlers, language_of=language_of, explain=explain, limits=limits)


@pytest.mark.parametrize("turn", [True, False])
@pytest.mark.parametrize(
    "handler",
    [
        Scripted(),
        Scripted([Status("working")]),
        Scripted(error=RuntimeError("bug")),
        Scripted([Status("working")], error=Told("why")),
    ],
    ids=["nothing", "no reply", "a bug", "a told error"],
)
async def test_what_a_handler_leaves_open_ends_in_an_error(handler: Scripted, turn: bool) -> None:
    handler.turn = turn
    _, reply = await collect(dispatcher(handler).handle(request("hello")))
    assert reply.outcome == "error"
    assert reply.text


async def test_nothing_follows_a_reply() -> None:
    handler = Scripted([ANSWER, Status("late"), ANSWER], error=RuntimeError("later"))
    seen, _ = await collect(dispatcher(handler).handle(request("hello")))
    assert seen == [ANSWER]


async def test_events_pass_in_order() -> None:
    events: list[ReplyEvent] = [Status("a"), Status("b", 1, 2), ANSWER]
    seen, _ = await collect(dispatcher(Scripted(events)).handle(request("hello")))
    assert seen == events


async def test_a_bug_is_logged_under_the_reference_that_the_person_sees(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handler = Scripted(error=RuntimeError("secret of the code"))
    with caplog.at_level(logging.ERROR):
        _, reply = await collect(dispatcher(handler).handle(request("my words", id="event-7")))
    assert "event-7" in reply.text
    assert "secret" not in reply.text
    assert "event-7" in caplog.text
    assert "my words" not in caplog.text


async def test_an_explained_error_is_told_in_the_language_of_the_question() -> None:
    handler = Scripted(error=Told("why"))
    _, reply = await collect(dispatcher(handler).handle(request("怎么报销差旅费？")))
    assert (reply.text, reply.language) == ("zh: why", "zh")


@pytest.mark.parametrize("command", ["ask", "forget", "dance"])
async def test_a_text_of_100000_characters_is_refused_before_any_handler(command: str) -> None:
    handler = Scripted([ANSWER])
    asked = request("why " * 25_000, command)
    _, reply = await collect(dispatcher(handler, characters=4000).handle(asked))
    assert reply.outcome == "error"
    assert "100000" in reply.text
    assert "4000" in reply.text
    assert not handler.languages


async def test_a_text_of_just_the_limit_is_handled() -> None:
    _, reply = await collect(dispatcher(Scripted([ANSWER])).handle(request("x" * 100)))
    assert reply is ANSWER


async def test_an_unknown_command_is_named() -> None:
    _, reply = await collect(dispatcher().handle(request("hello", "dance")))
    assert reply.outcome == "error"
    assert "dance" in reply.text


@pytest.mark.parametrize(
    ("text", "command", "interface", "expected"),
    [
        ("怎么报销？", "ask", "en", "zh"),
        ("How?", "ask", "zh", "en"),
        ("", "ask", "zh", "zh"),
        ("", "ask", None, "en"),
        ("handbook.pdf", "forget", "zh", "zh"),
        ("员工手册.docx", "forget", None, "zh"),
        ("", "sources", None, "en"),
    ],
)
async def test_a_question_is_answered_in_its_own_language_and_the_rest_in_the_interfaces(
    text: str, command: str, interface: Language | None, expected: Language
) -> None:
    handler = Scripted([ANSWER], command=command)
    await collect(dispatcher(handler).handle(request(text, command, language=interface)))
    assert handler.languages == [expected]


def holding(**more: int) -> tuple[Dispatcher, Scripted, asyncio.Event]:
    """Return a dispatcher whose handler answers once the event is set."""
    gate = asyncio.Event()
    handler = Scripted([ANSWER], before=lambda request: gate.wait())
    return dispatcher(handler, **more), handler, gate


async def test_requests_wait_their_turn_and_hear_their_place() -> None:
    door, handler, gate = holding()
    first = asyncio.create_task(collect(door.handle(request("1", id="1"))))
    assert await handler.began.get() == "1"
    places = []
    waiting = []
    for name in ("2", "3"):
        events = door.handle(request(name, id=name))
        status = await anext(events)
        assert isinstance(status, Status)
        places.append(status.text)
        waiting.append(asyncio.create_task(collect(events)))
    assert ["1" in places[0], "2" in places[1]] == [True, True]
    assert handler.began.empty()
    gate.set()
    for task in (first, *waiting):
        assert (await task)[1] is ANSWER
    assert [handler.began.get_nowait(), handler.began.get_nowait()] == ["2", "3"]


async def test_beyond_the_bound_people_hear_busy_at_once() -> None:
    door, handler, gate = holding(waiting=1)
    first = asyncio.create_task(collect(door.handle(request("1"))))
    await handler.began.get()
    second = door.handle(request("2"))
    await anext(second)
    _, reply = await collect(door.handle(request("3")))
    assert reply.outcome == "busy"
    gate.set()
    assert (await collect(second))[1] is ANSWER
    assert (await first)[1] is ANSWER


async def test_who_gives_up_waiting_frees_the_place() -> None:
    door, handler, gate = holding(waiting=1)
    first = asyncio.create_task(collect(door.handle(request("1"))))
    await handler.began.get()
    told = door.handle(request("2"))
    await anext(told)
    await told.aclose()
    blocked = asyncio.create_task(collect(door.handle(request("3"))))
    await asyncio.sleep(0)
    blocked.cancel()
    await asyncio.wait([blocked])
    last = door.handle(request("4", id="4"))
    assert isinstance(await anext(last), Status)
    gate.set()
    assert (await collect(last))[1] is ANSWER
    assert (await first)[1] is ANSWER


@pytest.mark.parametrize("how", ["closed", "cancelled", "failed"])
async def test_the_turn_at_the_model_is_released(how: str) -> None:
    stuck = asyncio.Event()

    async def before(asked: Request) -> None:
        if asked.id == "1" and how == "cancelled":
            stuck.set()
            await asyncio.Event().wait()
        if asked.id == "1" and how == "failed":
            raise RuntimeError("bug")

    handler = Scripted([Status("working"), ANSWER], before=before)
    door = dispatcher(handler)
    if how == "closed":
        async with aclosing(door.handle(request("1", id="1"))) as events:
            await anext(events)
    else:
        task = asyncio.create_task(collect(door.handle(request("1", id="1"))))
        if how == "cancelled":
            await stuck.wait()
            task.cancel()
        await asyncio.wait([task])
    assert handler.closed == ["1"]
    seen, reply = await collect(door.handle(request("2", id="2")))
    assert reply is ANSWER
    assert seen == list(handler.events)


async def test_what_needs_no_model_does_not_wait_for_it() -> None:
    door, handler, gate = holding()
    quick = Scripted([ANSWER], command="sources", turn=False)
    door = dispatcher(handler, quick)
    first = asyncio.create_task(collect(door.handle(request("1"))))
    await handler.began.get()
    seen, _ = await collect(door.handle(request("", "sources")))
    assert seen == [ANSWER]
    gate.set()
    await first


async def test_a_channel_sees_what_is_granted_to_it_where_public_is_seen() -> None:
    seen: list[frozenset[str]] = []

    async def look(asked: Request) -> None:
        seen.append(asked.audience)

    handler = Scripted([ANSWER], before=look)
    channel, granted = "slack:-:T1:C1", {"slack:-:T1:C1": frozenset({"folder:hr"})}
    door = Dispatcher(
        [handler], language_of=language_of, explain=explain, limits=Limits(), grants=granted
    )
    for audience, expected in (
        ({"public", channel}, {"public", channel, "folder:hr"}),
        ({"public", "slack:-:T1:C2"}, {"public", "slack:-:T1:C2"}),
        ({channel}, {channel}),  # shared with another organisation
        (set(), set()),
    ):
        await collect(door.handle(request("hello", audience=frozenset(audience))))
        assert seen[-1] == expected
