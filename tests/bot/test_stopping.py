"""Who may do what at the door, how much of it, and how what is under way is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any

import pytest

from bot.dispatch import Dispatcher, Limits
from bot.messages import Citation, Language, Reply, ReplyChunk, ReplyEvent, Request, Status
from bot.rights import Who
from rag.language import language_of
from tests.bot.fakes import collect, request

ANSWER = Reply("answer", "yes", "en")
CITED = Citation(1, "a.md", None, None, "yes", 0, 3)
CHUNK = ReplyChunk("Yes.", (CITED,))


class Endless:
    """Says a sentence, then goes on for ever; may hold out against being stopped."""

    def __init__(self, command: str = "ask", *, stubborn: asyncio.Event | None = None) -> None:
        self.command = command
        self.stubborn = stubborn
        self.began = asyncio.Event()
        self.closed = asyncio.Event()
        self.endless = True

    def uses_chat_model(self, request: Request) -> bool:
        return self.command == "ask"

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        try:
            if not self.endless:
                yield ANSWER
                return
            yield CHUNK
            self.began.set()
            await asyncio.Event().wait()
        finally:
            while self.stubborn and not self.stubborn.is_set():
                with suppress(asyncio.CancelledError):
                    await self.stubborn.wait()
            self.closed.set()


def door(
    handler: Endless, *, rights: Mapping[str, Who] | None = None, clock: Any = None, **limits: Any
) -> Dispatcher:
    return Dispatcher(
        [handler],
        language_of=language_of,
        explain=lambda error, language: None,
        limits=Limits(**limits),
        rights=rights,
        **({"clock": clock} if clock else {}),
    )


def asked(text: str = "Why?", command: str = "ask", **more: Any) -> Request:
    return request(text, command, **{"platform": "slack", "is_admin": False, **more})


def stop(of: Request, **more: Any) -> Request:
    return asked(of.id, "stop", **more)


@pytest.mark.parametrize(
    ("who", "stops"),
    [
        ({"user": "someone"}, True),
        ({"user": "other", "is_admin": True}, True),
        ({"user": "other"}, False),
        ({"user": "someone", "platform": "discord"}, False),
    ],
)
async def test_a_request_is_stopped_by_who_asked_it_or_an_admin(
    who: dict[str, Any], stops: bool
) -> None:
    handler = Endless()
    dispatcher = door(handler)
    question = asked()
    answering = asyncio.create_task(collect(dispatcher.handle(question)))
    await handler.began.wait()
    _, told = await collect(dispatcher.handle(stop(question, **who)))
    assert (told.outcome == "answer") is stops
    if not stops:
        await collect(dispatcher.handle(stop(question)))
    events, reply = await answering
    assert events[0] == CHUNK
    assert reply.outcome == "answer"
    assert reply.chunks[0] == CHUNK
    assert reply.citations == (CITED,)
    assert "Stopped" in reply.text
    assert handler.closed.is_set()
    assert dispatcher.load.answering == 0


async def test_what_is_finished_or_unknown_cannot_be_stopped() -> None:
    handler = Endless()
    handler.endless = False
    dispatcher = door(handler)
    question = asked()
    await collect(dispatcher.handle(question))
    for of in (question, asked()):
        _, told = await collect(dispatcher.handle(stop(of)))
        assert told.outcome == "error"


async def test_who_waits_can_be_stopped_too() -> None:
    handler = Endless()
    dispatcher = door(handler)
    first = asyncio.create_task(collect(dispatcher.handle(asked())))
    await handler.began.wait()
    waits = asked(user="other")
    events = dispatcher.handle(waits)
    assert isinstance(await anext(events), Status)
    rest = asyncio.create_task(collect(events))
    await asyncio.sleep(0)
    await collect(dispatcher.handle(stop(waits, user="other")))
    _, reply = await rest
    assert "Stopped" in reply.text
    assert dispatcher.load.waiting == 0
    first.cancel()
    await asyncio.wait([first])


async def test_a_handler_that_does_not_let_go_loses_its_turn() -> None:
    handler = Endless(stubborn=asyncio.Event())
    dispatcher = door(handler, release_seconds=0.01)
    question = asked()
    answering = asyncio.create_task(collect(dispatcher.handle(question)))
    await handler.began.wait()
    await collect(dispatcher.handle(stop(question)))
    _, reply = await answering
    assert "Stopped" in reply.text
    assert dispatcher.load.answering == 0
    assert not handler.closed.is_set()
    handler.endless = False
    assert handler.stubborn is not None
    handler.stubborn.set()
    _, reply = await collect(dispatcher.handle(asked("Next?")))
    assert reply == ANSWER
    await handler.closed.wait()


async def test_what_was_shown_stays_when_the_rest_fails() -> None:
    class Broken(Endless):
        async def handle(
            self, request: Request, language: Language
        ) -> AsyncGenerator[ReplyEvent, None]:
            yield CHUNK
            raise RuntimeError("bug")

    _, reply = await collect(door(Broken()).handle(asked()))
    assert reply.outcome == "error"
    assert reply.chunks[0] == CHUNK
    assert reply.text.startswith("Yes.")


@pytest.mark.parametrize(
    ("who", "person", "may"),
    [
        ("anyone", {}, True),
        ("admins", {}, False),
        ("admins", {"is_admin": True}, True),
        (frozenset({"slack:someone"}), {}, True),
        (frozenset({"slack:someone"}), {"platform": "discord"}, False),
        (frozenset({"slack:other"}), {}, False),
        (frozenset({"slack:other"}), {"is_admin": True}, True),
    ],
)
async def test_only_those_named_may(who: Who, person: dict[str, Any], may: bool) -> None:
    handler = Endless("forget")
    handler.endless = False
    dispatcher = door(handler, rights={"forget": who})
    question = asked("a.md", "forget", **person)
    assert (dispatcher.forbids(question) is None) is may
    _, reply = await collect(dispatcher.handle(question))
    assert (reply.outcome == "answer") is may
    assert handler.closed.is_set() is may


async def test_one_person_hears_to_slow_down_and_others_go_on() -> None:
    now = 0.0
    handler = Endless("search")
    handler.endless = False
    dispatcher = door(handler, clock=lambda: now, per_minute_each=2)

    async def outcome(**more: Any) -> str:
        _, reply = await collect(dispatcher.handle(asked("x", "search", **more)))
        return reply.outcome

    assert [await outcome() for _ in range(3)] == ["answer", "answer", "busy"]
    assert await outcome(user="other") == "answer"
    assert await outcome(platform="cli") == "answer"
    now = 30.0
    assert [await outcome() for _ in range(2)] == ["answer", "busy"]


async def test_suggestions_and_looking_around_are_not_counted() -> None:
    handler = Endless("sources")
    handler.endless = False
    dispatcher = door(handler, clock=lambda: 0.0, per_minute_each=1)
    for typed in range(30):
        _, reply = await collect(dispatcher.handle(asked("", "sources", id=f"{typed}")))
        assert reply.outcome == "answer"


async def test_one_channel_hears_to_slow_down() -> None:
    handler = Endless("search")
    handler.endless = False
    dispatcher = door(handler, clock=lambda: 0.0, per_minute_channel=2)
    outcomes = []
    for number in range(3):
        _, reply = await collect(
            dispatcher.handle(asked("x", "search", user=f"{number}", scope="slack:-:T:C"))
        )
        outcomes.append(reply.outcome)
    assert outcomes == ["answer", "answer", "busy"]


async def test_files_wait_for_each_other_and_not_for_the_chat_model() -> None:
    handler = Endless("upload")
    dispatcher = door(handler, learning=1, waiting_to_learn=1)
    first = asyncio.create_task(collect(dispatcher.handle(asked("", "upload"))))
    await handler.began.wait()
    events = dispatcher.handle(asked("", "upload"))
    assert isinstance(await anext(events), Status)
    _, reply = await collect(dispatcher.handle(asked("", "upload")))
    assert reply.outcome == "busy"
    assert (dispatcher.load.learning, dispatcher.load.waiting_to_learn) == (1, 1)
    await events.aclose()
    first.cancel()
    await asyncio.wait([first])
    assert dispatcher.load.learning == 0
