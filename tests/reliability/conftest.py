"""One nursery for all rows that need the bot as a process; a bot in process for the others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bot.handlers.conftest import ask, bot, chat, embeddings, more, parser, send
from tests.reliability.process import Nursery

__all__ = ["ask", "bot", "chat", "embeddings", "more", "nursery", "parser", "send"]


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Start bots at once; nothing is started before a test asks for one."""
    with Nursery() as nursery:
        yield nursery
