"""Each skill once on each surface: the whole bot over both doubles, on the page and in a terminal,
with a scripted model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright, expect

from bot.adapters.console import ConsoleAdapter, copy_local
from bot.adapters.slack.adapter import SlackAdapter
from bot.adapters.web import WebAdapter
from bot.app import App
from bot.messages import Attachment, Download, Reply
from tests.bot.adapters.web.browsing import ARGUMENTS, CHROMIUM, ask
from tests.bot.fakes import FakeChat, FakeEmbeddings, collect, request, settings, use
from tests.bot.handlers.test_skills import LAPTOPS, NAME, SKILLS
from tests.contracts.skill import Skill
from tests.doubles.discord_running import running
from tests.doubles.discord_wire import DiscordDouble
from tests.doubles.slack import SlackDouble
from tests.fakes import LineParser

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Everywhere:
    """One bot, its model, and the surfaces that it is on."""

    app: App
    chat: FakeChat
    slack: SlackDouble
    discord: DiscordDouble
    terminal: ConsoleAdapter


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def everywhere(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Everywhere]:
    folder = tmp_path_factory.mktemp("surfaces")
    chat, downloads = FakeChat(), dict[str, Download](cli=copy_local)
    with pytest.MonkeyPatch.context() as patch:
        use(patch, chat=chat, embeddings=FakeEmbeddings())
        patch.setattr("bot.app.Sandbox", lambda **limits: LineParser())
        app = App(settings(folder), downloads)
    app.claim()
    await _taught(app, folder)
    handle = app.dispatcher.handle
    async with (
        SlackDouble() as slack,
        DiscordDouble() as discord,
        running(discord, handle, inbox=app.inbox) as on_discord,
    ):
        on_slack = SlackAdapter(
            handle,
            app.inbox,
            bot_token=slack.bot_token,
            app_token=slack.app_token,
            api_url=slack.api_url,
            fetch=app.fetcher.fetch,
            edit_seconds=0.0,
        )
        downloads |= {"slack": on_slack.download, "discord": on_discord.download}
        app.later.postings |= {"slack": on_slack, "discord": on_discord}
        task = asyncio.create_task(on_slack.run())
        await slack.until(lambda: slack.connections)
        terminal = ConsoleAdapter(handle, scope="public", history_turns=1)
        yield Everywhere(app, chat, slack, discord, terminal)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await asyncio.to_thread(app.close)


async def _taught(app: App, folder: Path) -> None:
    file = folder / NAME
    file.write_text(LAPTOPS, encoding="utf-8")
    asked = request("", "upload", attachments=(Attachment(NAME, None, str(file)),))
    _, reply = await collect(app.dispatcher.handle(asked))
    assert reply.outcome == "answer", reply.text


def line(skill: Skill) -> str:
    """Return the skill's request as people type it."""
    return " ".join([skill.text, *(f'{name}="{value}"' for name, value in skill.options.items())])


def says(skill: Skill) -> str:
    """Return what an answer of the skill has in it."""
    return "lost laptop" if skill.command == "extract" else skill.says


@pytest.fixture(params=SKILLS, ids=lambda skill: skill.command)
def skill(request: pytest.FixtureRequest, everywhere: Everywhere) -> Skill:
    chosen: Skill = request.param
    everywhere.chat.answer = chosen.says
    return chosen


async def test_on_slack(everywhere: Everywhere, skill: Skill) -> None:
    slack = everywhere.slack
    if skill.command == "missed":
        await slack.say("A lost laptop is reported to security within one hour.")
    posted, whispered = len(slack.messages), len(slack.responses)
    given = "2023-01-01" if skill.command == "missed" else line(skill)  # the double's clock
    await slack.command("/glm", f"{skill.command} {given}")

    def answered() -> bool:
        shown = [m.markdown + m.text for m in slack.messages[posted:]]
        shown += [str(each) for each in slack.responses[whispered:]]
        return any(says(skill) in each for each in shown)

    await slack.until(answered)


async def test_on_discord(everywhere: Everywhere, skill: Skill) -> None:
    discord = everywhere.discord
    if skill.command == "missed":
        discord.person.say(discord.channel, "A lost laptop is reported within one hour.")
    first = {skill.declared.arguments[0].name: skill.text} if skill.text else {}
    given: Mapping[str, Any] = {**first, **skill.options}
    asked = discord.person.slash(discord.channel, skill.command, **given)

    def answered() -> bool:
        message = discord.person.shown(asked)
        return message is not None and says(skill) in message.content

    await discord.until(answered)


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}")
async def test_on_the_page(everywhere: Everywhere, tmp_path: Path) -> None:
    web = WebAdapter(
        everywhere.app.dispatcher.handle,
        port=0,
        upload_scope="public",
        upload_folder=tmp_path,
        max_upload_bytes=1 << 20,
        examples=(),
        ready=lambda: None,
        history_turns=1,
        say=lambda told: None,
    )
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(web.run(address.set_result))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page(locale="en-US")
        await page.goto(await address)
        await expect(page.locator(".state")).to_have_attribute("data-kind", "ready", timeout=60_000)
        for number, skill in enumerate(SKILLS):
            everywhere.chat.answer = skill.says
            await ask(page, f"/{skill.command} {line(skill)}")
            answer = page.locator(".exchange").nth(number).locator(".answer")
            expected = "Slack or Discord" if skill.of_channels else says(skill)
            await expect(answer).to_contain_text(expected, timeout=30_000)
            await expect(page.locator('[data-outcome="running"]')).to_have_count(0, timeout=30_000)
        await browser.close()
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


async def test_in_a_terminal(everywhere: Everywhere, skill: Skill) -> None:
    asked = everywhere.terminal.to_request(f"/{skill.command} {line(skill)}")
    _, reply = await collect(everywhere.app.dispatcher.handle(asked))
    assert isinstance(reply, Reply)
    if skill.of_channels:  # there is none
        assert reply.outcome == "error"
        assert "Slack" in reply.text
    else:
        assert reply.outcome == "answer", reply.text
        assert says(skill) in reply.text
