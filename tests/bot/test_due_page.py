"""What is asked for on the page and the command line, until it falls due and is put away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.adapters.web import WebAdapter, to_request
from bot.adapters.web.due import Card, Cards
from bot.adapters.web.files import KeptFiles
from bot.adapters.web.talk import Talk
from bot.messages import Event, Language, Reply
from bot.reminders import PAGE
from tests.bot.fakes import ScriptedHandle, collect
from tests.bot.inboxes import MemoryInbox
from tests.bot.later import LAPTOPS, MONDAY, SAYS, START, Bot

TEN_MINUTES = START + timedelta(minutes=10)


class Page:
    """The page of one process, without a browser."""

    def __init__(self, bot: Bot, web: WebAdapter) -> None:
        self.bot = bot
        self.cards: Cards = web.cards

    async def type(self, text: str, command: str = "remind", language: Language = "en") -> Reply:
        """Return the reply to a command that was typed."""
        asked = to_request(
            command, text, event=f"{command} {text}", tab="t", scope="public", language=language
        )
        _, reply = await collect(self.bot.app.dispatcher.handle(asked))
        return reply

    async def stands(self, text: str, command: str = "remind") -> int:
        """Ask for something and confirm it; return its number."""
        asked = await self.type(text, command)
        assert asked.outcome == "answer", asked.text
        confirmed = await self.type(f"confirm {asked.data['id']}", "reminders")
        assert confirmed.data["state"] == "standing"
        return int(asked.data["id"])

    async def shows(self) -> list[Card]:
        """Return what stands there once everything is answered."""
        await asyncio.gather(*self.cards._tasks.values())
        return self.cards.standing

    async def says(self) -> list[str]:
        return [card.exchange.answer for card in await self.shows()]


@asynccontextmanager
async def on_page(bot: Bot, folder: Path) -> AsyncIterator[Page]:
    """Connect a process to its page."""
    web = WebAdapter(
        bot.app.dispatcher.handle,
        bot.app.inbox,
        upload_scope="public",
        upload_folder=folder,
        max_upload_bytes=1 << 20,
        examples=(),
        ready=lambda: None,
        history_turns=1,
        say=lambda told: None,
    )
    bot.app.later.postings["web"] = web
    await web.cards.open()
    yield Page(bot, web)
    await web.cards.close()


async def test_the_page_reminds_once_at_its_time_until_it_is_put_away(
    bots: Any, tmp_path: Path
) -> None:
    async with bots() as bot, on_page(bot, tmp_path) as page:
        asked = await page.type("me in 10 minutes to call Bob")
        assert "on the page: “call Bob”" in asked.text
        await bot.due(TEN_MINUTES - timedelta(seconds=2))
        assert await bot.app.later.reminders.standing() == []  # before it is confirmed
        await page.type(f"confirm {asked.data['id']}", "reminders")
        await bot.due(TEN_MINUTES - timedelta(seconds=1))
        assert await page.says() == []
        for _ in range(2):
            await bot.due(TEN_MINUTES + timedelta(seconds=1))
        (card,) = await page.shows()
        assert "call Bob" in card.exchange.answer
        assert card.exchange.decisions == [("again", asked.data["id"])]
        await page.cards.put_away(card.id)
        assert await page.says() == []
        again = await page.type(f"again {asked.data['id']}", "reminders")
        assert again.data["state"] == "standing"
        await bot.due(TEN_MINUTES + timedelta(hours=2))
        assert len(await page.says()) == 1


async def test_what_stands_there_outlives_the_process_and_comes_back_once(
    bots: Any, tmp_path: Path
) -> None:
    async with bots() as bot, on_page(bot, tmp_path) as page:
        await page.stands("in 10 minutes tea")
    bot.clock.at = TEN_MINUTES + timedelta(days=1)
    async with bots() as bot:
        await bot.app.later.reminding.tick()  # the page isn't served yet
        async with on_page(bot, tmp_path) as page:
            assert await page.says() == []
            await bot.app.later.reminding.tick()
            (text,) = await page.says()
            assert "tea" in text
            assert "Late" in text
    for _ in range(7):  # whoever starts it every day may look a week later
        async with bots() as bot, on_page(bot, tmp_path) as page:
            await bot.app.later.reminding.tick()
            assert await page.says() == [text]
    async with bots() as bot, on_page(bot, tmp_path) as page:
        (card,) = await page.shows()
        await page.cards.put_away(card.id)
    async with bots() as bot, on_page(bot, tmp_path) as page:
        await bot.app.later.reminding.tick()
        assert await page.says() == []


async def test_what_ended_the_process_at_each_start_is_told_and_not_tried_again() -> None:
    inbox, handle = MemoryInbox(), ScriptedHandle([])
    options = {"reminder": 1, "at": 0.0, "zone": "UTC", "again": True, "since": 0.0}
    payload = {
        **{"command": "scheduled", "text": "Who?", "user": "web", "scope": "public"},
        **{"language": "en", "direct": False, "options": options},
    }
    await inbox.add(Event("reminder:1:0", *PAGE, "due", payload))
    for _ in range(5):
        await inbox.pending("web")
    cards = Cards(inbox, Talk(handle.handle, "public"), KeptFiles())
    await cards.open()
    await asyncio.gather(*cards._tasks.values())
    (card,) = cards.standing
    assert handle.requests == []
    assert "Who?" in card.exchange.answer


async def test_a_newer_one_takes_the_place_of_one_that_nobody_has_seen(
    bots: Any, tmp_path: Path
) -> None:
    async with bots() as bot, on_page(bot, tmp_path) as page:
        await page.stands("every Monday at 9 stand-up")
        for week in range(3):
            await bot.due(MONDAY + timedelta(weeks=week))
            (card,) = await page.shows()
            assert card.at == MONDAY + timedelta(weeks=week)
        assert [event.id for event in await bot.app.inbox.pending("web")] == [card.id]


async def test_a_scheduled_question_is_answered_from_what_is_still_known(
    bots: Any, tmp_path: Path
) -> None:
    async with bots() as bot, on_page(bot, tmp_path) as page:
        await bot.teach("laptops.md", LAPTOPS)
        bot.chat.answer = SAYS
        await page.stands("every Monday at 9 post when a lost laptop is reported")
        await bot.due(MONDAY)
        (card,) = await page.shows()
        assert SAYS in card.exchange.answer
        assert {passage.document for passage in card.exchange.passages} == {"laptops.md"}
        page.cards.refresh(["laptops.md"])
        assert await page.shows() == [card]
        await bot.ask("laptops.md", "forget")
        page.cards.refresh([])
        (card,) = await page.shows()
        assert card.exchange.outcome == "refusal"
        assert not card.exchange.passages


async def test_a_digest_stands_with_each_new_document_and_is_silent_without(
    bots: Any, tmp_path: Path
) -> None:
    async with bots() as bot, on_page(bot, tmp_path) as page:
        await bot.teach("old.md", LAPTOPS)
        bot.clock.at = datetime.now(UTC) + timedelta(seconds=10)  # documents bear the real time
        await page.stands("every day at 9", "digest")
        (known,) = await bot.app.later.reminders.standing()
        await bot.teach("new.md", LAPTOPS + "New.\n")
        first = datetime.fromtimestamp(known.due_at or 0, UTC)
        for day in range(2):
            await bot.due(first + timedelta(days=day))
            (text,) = await page.says()
            assert "new.md" in text
            assert "old.md" not in text
        pending = await bot.app.inbox.pending("web")
        assert len(pending) == 1


async def test_the_command_line_asks_lists_and_cancels_for_the_page(
    bots: Any, tmp_path: Path
) -> None:
    async with bots() as bot, on_page(bot, tmp_path) as page:
        asked = await bot.ask("明天上午9点交周报", "remind", language="zh")
        assert "在页面上提醒：“交周报”" in asked.text
        await bot.ask(f"确认 {asked.data['id']}", "reminders")
        listed = await page.type("", "reminders")
        assert "交周报" in listed.text
        assert "on the page" in listed.text
        cancelled = await page.type(f"cancel {asked.data['id']}", "reminders")
        assert cancelled.outcome == "answer"
        await bot.due(START + timedelta(days=2))
        assert await page.says() == []


@pytest.mark.parametrize("bots", [{"web": {"enabled": False}}], indirect=True)
async def test_without_a_page_it_is_told_where_to_ask(bots: Any) -> None:
    async with bots() as bot:
        for command, line in (("remind", "in 10 minutes tea"), ("digest", "every Monday at 9")):
            refused = await bot.ask(line, command)
            assert refused.outcome == "error"
            assert "--channel" in refused.text
