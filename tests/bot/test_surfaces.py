"""Each skill once on each surface: the whole bot over both doubles, on the page and in a terminal,
with a scripted model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright, expect

from bot.__main__ import run
from bot.adapters.web import WebAdapter
from bot.app import App
from bot.messages import Reply
from tests.bot.adapters.web.browsing import ARGUMENTS, CHROMIUM, ask
from tests.bot.everywhere import Everywhere, begun
from tests.bot.fakes import FakeChat, collect, config
from tests.bot.handlers.test_skills import LAPTOPS, LOOKUP, NAME, SAYS
from tests.bot.handlers.test_skills import SKILLS as OF_TEXTS
from tests.contracts.skill import Skill
from tests.doubles.discord_wire import DiscordDouble
from tests.doubles.site import Site, serving, tools
from tests.rag.ingest.files import SHARED

KNOWN = Path(__file__).parents[2] / "knowledge"
CUPS = SHARED / "documents" / "u__stanley-cups-with-emoji.csv"
SHEET, COLUMN = (CUPS, "Team") if CUPS.exists() else (KNOWN / "on-call.csv", "On_call")
TABLE = Skill(
    "table",
    SHEET.name,
    SHEET.read_text(encoding="utf-8"),
    text="How many are there?",
    says=f"SELECT count({COLUMN}) FROM {SHEET.stem.replace('-', '_')}",
    options={"document": SHEET.name},
)
"""Over a real sheet."""
ITSELF = Skill("ask", NAME, LAPTOPS, text="Which documents do you know?", says="None at all.")
"""Answered from the truth, whatever the model says."""
SKILLS = [*OF_TEXTS, LOOKUP, TABLE, ITSELF]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[Site]:
    async for served in serving(Site()):
        served.says(LOOKUP.document, "text/plain")
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def everywhere(
    tmp_path_factory: pytest.TempPathFactory, site: Site
) -> AsyncIterator[Everywhere]:
    folder = tmp_path_factory.mktemp("surfaces")
    file = folder / NAME
    file.write_text(LAPTOPS, encoding="utf-8")
    async with begun(folder, [file, SHEET], tools=tools(site)) as bot:
        yield bot


def line(skill: Skill) -> str:
    """Return the skill's request as people type it."""
    return " ".join([skill.text, *(f'{name}="{value}"' for name, value in skill.options.items())])


def says(skill: Skill) -> str:
    """Return what an answer of the skill has in it."""
    return {"extract": "lost laptop", "ask": NAME}.get(skill.command, skill.says)


@pytest.fixture(params=SKILLS, ids=lambda skill: skill.command)
def skill(request: pytest.FixtureRequest, everywhere: Everywhere) -> Skill:
    chosen: Skill = request.param
    everywhere.chat.answer, everywhere.chat.fills = chosen.says, chosen.fills
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


FOUND = json.dumps({"company": "Paper Heron Ltd", "price": "4000 euros"})


async def test_values_of_a_thread_that_is_named_on_slack(everywhere: Everywhere) -> None:
    slack, everywhere.chat.answer = everywhere.slack, FOUND
    slack.people["U0BEN"] = {"real_name": "Ben"}
    root = await slack.say("Paper Heron Ltd repairs the pier.")
    await slack.say("For how much?", thread_ts=root)
    reply = await slack.say("They want 4000 euros for it.", thread_ts=root, user="U0BEN")
    link = f"https://team.slack.com/archives/C0GENERAL/p{reply.replace('.', '')}"
    named = f"<{link}?thread_ts={root}&amp;cid=C0GENERAL>"
    posted = len(slack.messages)
    await slack.command("/glm", f'extract {named} fields="company, price"')
    await slack.until(lambda: any("Sources" in m.markdown for m in slack.messages[posted:]))
    (told,) = (m.markdown for m in slack.messages[posted:])
    assert "Ben, 2023-11-" in told.split("[2]")[-1]
    assert "They want 4000 euros" in told


async def test_values_of_the_thread_around_on_discord(everywhere: Everywhere) -> None:
    discord, everywhere.chat.answer = everywhere.discord, FOUND
    thread = discord.person.start_thread(discord.channel, "The pier")
    discord.person.say(thread, "Paper Heron Ltd repairs the pier.")
    discord.add_person("ben").say(thread, "They want 4000 euros for it.")
    asked = discord.person.slash(thread, "extract", fields="company, price")
    await discord.until(lambda: "Sources" in said_to(discord, asked))
    told = said_to(discord, asked)
    assert "ben, 20" in told.split("[2]")[-1]
    assert "They want 4000 euros" in told
    outside = discord.person.slash(discord.channel, "extract", fields="company, price")
    await discord.until(lambda: "Say which document" in said_to(discord, outside))


async def typed(page: Page, text: str) -> None:
    """Type something once the page takes it: until an answer has ended, Enter does nothing."""
    await expect(page.get_by_role("button", name="Send")).to_be_visible(timeout=30_000)
    await ask(page, text)


async def _settings_and_redo(page: Page, chat: FakeChat) -> None:
    """Change a setting in the page's form; have what was taken for a summary answered anew."""
    last = page.locator(".exchange").last
    await typed(page, "/settings")
    await page.locator("form.settings select[name=tone]").select_option("formal")
    await page.get_by_role("button", name="Save").click()
    await expect(last.locator(".answer")).to_contain_text("plain → formal", timeout=30_000)
    chat.answer = SAYS
    await typed(page, PLAIN)
    await expect(last.locator(".answer")).to_contain_text(SAYS, timeout=30_000)
    chat.prompts.clear()
    await page.get_by_role("button", name="Answer as a question").click()
    await expect(again := page.get_by_role("button", name="Answer as a question")).to_have_count(0)
    await expect(page.get_by_role("button", name="Regenerate")).to_be_visible(timeout=30_000)
    await expect(again).to_have_count(0)
    assert "Question:" in str(chat.prompts)


async def _reminder(page: Page, app: App) -> None:
    """Be reminded on the page: in each tab, also of one that is opened again, until put away."""
    await typed(page, "/remind me in 10 minutes to call Bob")
    await page.get_by_role("button", name="Confirm").click()
    stands = page.locator(".exchange .answer").filter(has_text="It stands")
    await expect(stands).to_contain_text("call Bob", timeout=30_000)
    due = page.locator("#due")
    await expect(due.locator(".answer")).to_have_count(0)
    clock = app.later.reminders.clock
    app.later.reminders.clock = lambda: clock() + 601
    await app.later.reminding.tick()
    app.later.reminders.clock = clock
    await expect(due.locator(".answer")).to_have_text("Reminder: call Bob", timeout=30_000)
    other = await page.context.new_page()
    for tab in (page, other):
        await tab.goto(page.url)
        await expect(tab.locator("#due .answer")).to_contain_text("call Bob", timeout=60_000)
    await due.get_by_role("button", name="Put away").click()
    for tab in (page, other):
        await expect(tab.locator("#due .answer")).to_have_count(0, timeout=30_000)
    await other.close()


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}")
async def test_on_the_page(everywhere: Everywhere, tmp_path: Path) -> None:
    web = WebAdapter(
        everywhere.app.dispatcher.handle,
        everywhere.app.inbox,
        port=0,
        upload_scope="public",
        upload_folder=tmp_path,
        max_upload_bytes=1 << 20,
        examples=(),
        ready=lambda: None,
        history_turns=1,
        say=lambda told: None,
        refresh_seconds=(0.3, 0.3),
    )
    everywhere.app.later.postings["web"] = web
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(web.run(address.set_result))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await (await browser.new_context(locale="en-US")).new_page()
        await page.goto(await address)
        await expect(page.locator(".state")).to_have_attribute("data-kind", "ready", timeout=60_000)
        for number, skill in enumerate(SKILLS):
            everywhere.chat.answer, everywhere.chat.fills = skill.says, skill.fills
            await typed(page, f"/{skill.command} {line(skill)}")
            answer = page.locator(".exchange").nth(number).locator(".answer")
            expected = "Slack or Discord" if skill.of_channels else says(skill)
            await expect(answer).to_contain_text(expected, timeout=30_000)
        await _settings_and_redo(page, everywhere.chat)
        await _reminder(page, everywhere.app)
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


async def test_at_the_command_line(
    everywhere: Everywhere, skill: Skill, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if skill.of_channels:  # it has no verb
        return
    places = ["--config", str(config(tmp_path)), "--data", str(everywhere.app.settings.data)]
    options = [each for name, value in skill.options.items() for each in (f"--{name}", value)]
    verb = [skill.command, *[skill.text] * bool(skill.text), *options]
    ended = await asyncio.to_thread(run, [*places, *verb])
    told = capsys.readouterr()
    assert ended == 0, told.err
    assert says(skill) in told.out


PLAIN = "Could you sum up the laptops, please?"
PRIVATE = "How soon is a lost laptop reported? https://127.0.0.1:1/laptops"
"""Names a page that nobody may have read."""
either = pytest.mark.parametrize("said", [PLAIN, PRIVATE], ids=["answered", "not to be had"])


async def test_settings_on_slack(everywhere: Everywhere) -> None:
    slack = everywhere.slack
    whispered, opened = len(slack.responses), len(slack.views)
    await slack.command("/glm", "settings", channel="C0SECOND")
    await slack.until(lambda: any("tone: plain" in str(r) for r in slack.responses[whispered:]))
    (shown,) = (r for r in slack.responses[whispered:] if "tone: plain" in str(r))
    await slack.click(shown, "form", channel="C0SECOND")
    await slack.until(lambda: len(slack.views) > opened)
    chosen = {"type": "static_select", "selected_option": {"value": "formal"}}
    await slack.submit({"tone": {"tone": chosen}})
    await slack.until(lambda: any("plain → formal" in str(r) for r in slack.responses[whispered:]))


async def test_settings_on_discord(everywhere: Everywhere) -> None:
    discord = everywhere.discord
    changed = discord.person.slash(discord.channel, "settings", tone="friendly", language="zh")
    await discord.until(lambda: "亲切" in said_to(discord, changed))
    refused = discord.person.slash(discord.channel, "settings", model="no-such-model")
    await discord.until(lambda: "no-such-model" in said_to(discord, refused))
    back = discord.person.slash(discord.channel, "settings", tone="plain", language="auto")
    await discord.until(lambda: "亲切" in said_to(discord, back))


def said_to(discord: DiscordDouble, given: Any) -> str:
    """Return what a command was answered with so far."""
    message = discord.person.shown(given)
    return message.content if message is not None else ""


async def test_settings_in_a_terminal(everywhere: Everywhere) -> None:
    handle = everywhere.app.dispatcher.handle
    _, changed = await collect(handle(everywhere.terminal.to_request("/设置 语气 正式")))
    assert "正式" in changed.text
    _, history = await collect(handle(everywhere.terminal.to_request("/settings history")))
    assert "plain → formal (cli:console" in history.text


@either
async def test_a_plain_message_on_slack_and_its_redo(everywhere: Everywhere, said: str) -> None:
    slack, chat = everywhere.slack, everywhere.chat
    chat.answer = SAYS
    posted = len(slack.messages)
    await slack.mention(said)
    await slack.until(
        lambda: any("as a question" in str(m.blocks) for m in slack.messages[posted:])
    )
    (reply,) = (m for m in slack.messages[posted:] if "as a question" in str(m.blocks))
    chat.prompts.clear()
    await slack.click(reply, "again")
    await slack.until(lambda: "Regenerate" in str(reply.blocks))
    assert "Question:" in str(chat.prompts)


WATER = "remind us every Friday at 4 pm to water the plants"


async def test_a_plain_reminder_is_confirmed_with_a_click_on_slack(everywhere: Everywhere) -> None:
    slack = everywhere.slack
    posted, whispered = len(slack.messages), len(slack.responses)
    await slack.mention(WATER)
    await slack.until(lambda: any("Confirm" in str(m.blocks) for m in slack.messages[posted:]))
    (shown,) = (m for m in slack.messages[posted:] if "Confirm" in str(m.blocks))
    assert "as a question" in str(shown.blocks)
    await slack.click(shown, "reminders:confirm")
    await slack.until(lambda: any("It stands" in str(r) for r in slack.responses[whispered:]))
    await _cancel_all(everywhere.app)


async def test_a_plain_reminder_is_confirmed_with_a_click_on_discord(
    everywhere: Everywhere,
) -> None:
    discord = everywhere.discord
    discord.person.ask(discord.channel, WATER)

    def shown() -> list[Any]:
        posted = [m for thread in discord.threads(discord.channel) for m in discord.said(thread)]
        return [m for m in posted if "Confirm" in str(m.components)]

    (message,) = await discord.until(shown)
    assert "Answer as a question" in str(message.components)
    pressed = discord.person.press(message, "Confirm")
    await discord.until(lambda: "It stands" in said_to(discord, pressed))
    await _cancel_all(everywhere.app)


async def _cancel_all(app: App) -> None:
    """Leave nothing that a list of reminders would have."""
    for each in await app.later.reminders.standing():
        await app.later.reminders.cancel(each.id)


@either
async def test_a_plain_message_on_discord_and_its_redo(everywhere: Everywhere, said: str) -> None:
    discord, chat = everywhere.discord, everywhere.chat
    chat.answer = SAYS
    discord.person.ask(discord.channel, said)

    def shown(label: str) -> list[Any]:
        posted = [m for thread in discord.threads(discord.channel) for m in discord.said(thread)]
        about = [m for m in posted if "water" not in m.content]
        return [m for m in about if label in str(m.components)]

    answered = len(shown("Regenerate"))
    await discord.until(lambda: shown("Answer as a question"))
    chat.prompts.clear()
    discord.person.press(shown("Answer as a question")[0], "Answer as a question")
    await discord.until(lambda: len(shown("Regenerate")) > answered)
    assert not shown("Answer as a question")
    assert "Question:" in str(chat.prompts)


async def test_a_plain_message_in_a_terminal(everywhere: Everywhere) -> None:
    everywhere.chat.answer = SAYS
    handle = everywhere.app.dispatcher.handle
    _, reply = await collect(handle(everywhere.terminal.to_request(PLAIN)))
    assert reply.taken_for == "summarise"
    _, reply = await collect(handle(everywhere.terminal.to_request(f"/ask {PLAIN}")))
    assert reply.taken_for is None
