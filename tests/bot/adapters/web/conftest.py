"""A scripted bot, and the page as people meet it, in Chromium, against one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright

from bot.adapters.web import WebAdapter
from tests.bot.adapters.web.browsing import ARGUMENTS, CHROMIUM, QUESTION, Bot, open_page
from tests.fakes_web import ScriptedHandle


@pytest.fixture
def handle() -> ScriptedHandle:
    scripted = ScriptedHandle()
    scripted.reset()
    return scripted


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bot]:
    bot = Bot(uploads=tmp_path_factory.mktemp("uploads"))
    web = WebAdapter(
        bot.handle,
        bot.inbox,
        port=0,
        upload_scope="public",
        upload_folder=bot.uploads,
        max_upload_bytes=1 << 20,
        examples=[QUESTION, "每周哪几天可以在家办公？"],
        ready=lambda: bot.loading,
        work=lambda language: bot.handle.work,
        history_turns=1,
        say=lambda line: None,
        refresh_seconds=(0.3, 0.3),
    )
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(web.run(address.set_result))
    bot.address = await address
    yield bot
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def bot(served: Bot) -> Bot:
    served.handle.reset()
    served.loading = None
    return served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def profile(chromium: Browser) -> BrowserContext:
    """One browser profile for all tabs, so that Gradio's scripts are loaded once."""
    return await chromium.new_context(locale="en-US")


@pytest_asyncio.fixture(loop_scope="module")
async def context(bot: Bot, profile: BrowserContext) -> AsyncIterator[BrowserContext]:
    """The profile without open tabs, which asks nobody but the bot for anything."""
    strangers: list[str] = []

    def note(request: Request) -> None:
        if urlsplit(request.url).hostname not in ("127.0.0.1", None):
            strangers.append(request.url)

    profile.on("request", note)
    yield profile
    for page in profile.pages:
        await page.close()
    profile.remove_listener("request", note)
    assert strangers == []


@pytest_asyncio.fixture(loop_scope="module")
async def page(context: BrowserContext, bot: Bot) -> Page:
    return await open_page(context, bot)
