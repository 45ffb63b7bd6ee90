"""What the composition root does by itself while the bot runs."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.exc import OperationalError

from bot.app import App
from tests.bot.handlers.conftest import bot, chat, embeddings, more, parser

__all__ = ["bot", "chat", "embeddings", "more", "parser"]


class FullDisk:
    """Deletes nothing the first time; says when it was asked again."""

    def __init__(self) -> None:
        self.asked = 0
        self.again = asyncio.Event()

    async def prune(self) -> None:
        """Fail once, as a database does that can't write."""
        self.asked += 1
        if self.asked == 1:
            raise OperationalError("DELETE", {}, Exception("database or disk is full"))
        self.again.set()


@pytest.mark.parametrize("full", ["inbox", "conversations"])
async def test_what_is_too_old_is_deleted_later_where_it_cannot_be_now(
    bot: App, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    disk = FullDisk()
    monkeypatch.setattr(bot, full, disk)
    forgetting = asyncio.create_task(bot.forget_the_past(every_seconds=0))
    again = asyncio.create_task(disk.again.wait())
    await asyncio.wait([forgetting, again], return_when=asyncio.FIRST_COMPLETED)
    assert disk.again.is_set()
    forgetting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await forgetting
