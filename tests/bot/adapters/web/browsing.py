"""What the tests in a browser share: the page, and what people do on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, FilePayload, Page, expect

from tests.bot.inboxes import MemoryInbox
from tests.fakes_web import ScriptedHandle

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
QUESTION = "How many days of leave do I have?"

IN_A_BROWSER = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}: apt-get install chromium"
    ),
]


@dataclass
class Bot:
    """The page's address and what stands behind it."""

    handle: ScriptedHandle = field(default_factory=ScriptedHandle)
    inbox: MemoryInbox = field(default_factory=MemoryInbox)
    loading: str | None = None
    address: str = ""
    uploads: Path = Path()


async def open_page(context: BrowserContext, bot: Bot, state: str = "ready") -> Page:
    page = await context.new_page()
    await page.goto(bot.address)
    await expect(page.locator(".state")).to_have_attribute("data-kind", state, timeout=60_000)
    return page


def file(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


async def ask(page: Page, question: str) -> None:
    await page.get_by_role("textbox").fill(question)
    await page.keyboard.press("Enter")


async def until(page: Page, holds: Callable[[], bool]) -> None:
    while not holds():
        await page.wait_for_function("true")


async def outcome(page: Page, expected: str, count: int = 1) -> None:
    await expect(page.locator(f'.exchange[data-outcome="{expected}"]')).to_have_count(count)
