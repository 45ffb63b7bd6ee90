"""The page as people meet it: in Chromium, against a scripted bot."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    FilePayload,
    Page,
    Request,
    async_playwright,
    expect,
)

from bot.adapters.web import WebAdapter, Work
from tests.fakes_web import LEAVE, ScriptedHandle, document

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

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}: apt-get install chromium"
    ),
]


@dataclass
class Bot:
    """The page's address and what stands behind it."""

    handle: ScriptedHandle = field(default_factory=ScriptedHandle)
    loading: str | None = None
    address: str = ""
    uploads: Path = Path()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bot]:
    bot = Bot(uploads=tmp_path_factory.mktemp("uploads"))
    web = WebAdapter(
        bot.handle,
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


async def open_page(context: BrowserContext, bot: Bot, state: str = "ready") -> Page:
    page = await context.new_page()
    await page.goto(bot.address)
    await expect(page.locator(".state")).to_have_attribute("data-kind", state, timeout=60_000)
    return page


@pytest_asyncio.fixture(loop_scope="module")
async def page(context: BrowserContext, bot: Bot) -> Page:
    return await open_page(context, bot)


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


async def test_the_page_opens_while_models_load_and_says_so(
    context: BrowserContext, bot: Bot
) -> None:
    bot.loading = "embedding model"
    page = await open_page(context, bot, "loading")
    await expect(page.locator(".state")).to_have_text("Loading the embedding model…")
    bot.loading = None
    await expect(page.locator(".state")).to_have_text("Ready · 2 documents")


async def test_an_example_is_answered_with_citations_that_show_the_passage(
    page: Page, bot: Bot
) -> None:
    await page.get_by_role("button", name=QUESTION).click()
    await outcome(page, "answer")
    await expect(page.locator(".answer")).to_contain_text("25 days of paid leave")
    passage = page.get_by_role("dialog", name="Passage 1")
    await expect(passage).to_be_hidden()
    await page.get_by_role("button", name="Passage 1: handbook.pdf p. 2").first.click()
    await expect(passage).to_be_visible()
    await expect(passage.locator("blockquote")).to_have_text(LEAVE.quote)
    await expect(passage).to_contain_text("handbook.pdf")
    await expect(passage).to_contain_text("p. 2 · Everyday rules › Leave")
    assert bot.handle.asked("ask")[0].text == QUESTION


async def test_citations_work_with_the_keyboard(page: Page) -> None:
    await ask(page, "leave?")
    await outcome(page, "answer")
    await page.locator(".cite").first.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog", name="Passage 1")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog", name="Passage 1")).to_be_hidden()
    await expect(page.locator(".cite").first).to_be_focused()


async def test_sources_and_sentences_show_before_the_answer_ends(page: Page, bot: Bot) -> None:
    await ask(page, "slow leave?")
    await bot.handle.waiting.wait()
    await expect(page.locator(".exchange .status")).to_have_text(
        "Reading: handbook.pdf p. 2, 团队约定.docx"
    )
    await expect(page.locator(".answer")).to_contain_text("25 days")
    await outcome(page, "running")
    bot.handle.gate.set()
    await outcome(page, "answer")
    await expect(page.locator(".answer")).to_contain_text("work from home")


async def test_stop_ends_the_bots_work_and_keeps_what_was_said(page: Page, bot: Bot) -> None:
    await ask(page, "slow leave?")
    await bot.handle.waiting.wait()
    await page.get_by_role("button", name="Stop").click()
    await outcome(page, "stopped")
    assert bot.handle.closed.is_set()
    await expect(page.locator(".answer")).to_contain_text("25 days")
    await expect(page.get_by_role("button", name="Send")).to_be_visible()
    await ask(page, "and now?")
    await outcome(page, "answer")


async def test_closing_the_tab_ends_the_bots_work(page: Page, bot: Bot) -> None:
    await ask(page, "slow leave?")
    await bot.handle.waiting.wait()
    await page.close()
    await asyncio.wait_for(bot.handle.closed.wait(), 30)


async def test_regenerate_asks_the_same_question_again(page: Page, bot: Bot) -> None:
    await ask(page, "first?")
    await outcome(page, "answer", 1)
    await ask(page, "second?")
    await outcome(page, "answer", 2)
    await page.get_by_role("button", name="Regenerate").click()
    await until(page, lambda: len(bot.handle.asked("ask")) == 3)
    await outcome(page, "answer", 2)
    second, again = bot.handle.asked("ask")[1:]
    assert (again.text, again.history) == (second.text, second.history)
    assert second.history is not None
    assert second.history[0].content == "first?"
    assert second.id != again.id


async def test_the_conversation_survives_a_reload_and_is_the_tabs_own(
    context: BrowserContext, page: Page, bot: Bot
) -> None:
    await ask(page, "leave?")
    await outcome(page, "answer")
    await page.reload()
    await outcome(page, "answer")
    await expect(page.locator(".question")).to_contain_text("leave?")
    await page.locator(".cite").first.click()
    await expect(page.get_by_role("dialog", name="Passage 1")).to_be_visible()
    other = await open_page(context, bot)
    await expect(other.get_by_role("heading", name="What would you like to know?")).to_be_visible()
    await expect(other.locator(".exchange")).to_have_count(0)


async def test_a_reload_while_answering_keeps_what_was_said(page: Page, bot: Bot) -> None:
    await ask(page, "slow leave?")
    await expect(page.locator(".answer")).to_contain_text("25 days")
    await page.reload()
    await outcome(page, "stopped")
    await expect(page.locator(".answer")).to_contain_text("25 days")


async def test_a_new_conversation_is_empty(page: Page) -> None:
    await ask(page, "leave?")
    await outcome(page, "answer")
    await page.get_by_role("button", name="New conversation").click()
    await expect(page.get_by_role("button", name=QUESTION)).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("button", name=QUESTION)).to_be_visible()


@pytest.mark.parametrize(
    ("question", "expected", "label"),
    [
        ("is there a moon?", "refusal", "Not in the documents"),
        ("busy?", "busy", "Busy"),
        ("broken?", "error", "That didn't work"),
    ],
)
async def test_a_reply_without_an_answer_says_what_it_is(
    page: Page, question: str, expected: str, label: str
) -> None:
    await ask(page, question)
    await outcome(page, expected)
    await expect(page.locator(".label")).to_have_text(label)


async def test_an_answer_is_rated_and_becomes_a_case(page: Page, bot: Bot) -> None:
    await ask(page, "leave?")
    await outcome(page, "answer")
    await page.get_by_role("button", name="Bad answer").click()
    await expect(page.locator(".rated")).to_have_text("Noted.")
    await expect(page.get_by_role("button", name="Bad answer")).to_have_attribute(
        "aria-pressed", "true"
    )
    await page.get_by_role("button", name="right is handbook.pdf").click()
    await expect(page.locator(".rated")).to_have_text("Added.")
    [asked], [rated], [case] = (bot.handle.asked(name) for name in ("ask", "rate", "case"))
    assert rated.options == {"reply": asked.id, "thumb": "down"}
    assert (case.text, case.options) == ("handbook.pdf", {"reply": asked.id})


async def test_several_files_get_a_receipt_each(page: Page, bot: Bot) -> None:
    await page.locator("input[type=file]").set_input_files(
        [file("notes.md", b"# Notes"), file("空.txt", b""), file("big.bin", b"x" * (2 << 20))]
    )
    receipts = page.locator(".receipts li")
    await expect(receipts).to_have_text(
        ["notes.md: 1 page, 3 passages, ready", "空.txt: the file is empty"]
    )
    await expect(receipts.nth(1)).to_have_attribute("data-kind", "failed")
    await expect(page.locator(".refused li")).to_have_text(
        "big.bin: larger than 1 MB, so it was not sent."
    )
    await expect(page.locator(".list")).to_contain_text("notes.md")
    assert bot.handle.uploaded == {"notes.md": b"# Notes", "空.txt": b""}
    await until(page, lambda: not any(path.is_file() for path in bot.uploads.rglob("*")))


async def test_an_upload_shows_its_progress_and_goes_on_without_its_tab(
    context: BrowserContext, page: Page, bot: Bot
) -> None:
    await page.locator("input[type=file]").set_input_files([file("slow.md", b"x")])
    await expect(page.locator("#uploader .status")).to_have_text("slow.md: reading")
    await expect(page.locator("#uploader progress")).to_have_attribute("max", "1")
    await page.close()
    bot.handle.gate.set()
    other = await open_page(context, bot)
    await expect(other.locator(".list")).to_contain_text("slow.md")


async def test_a_file_can_be_dropped(page: Page, bot: Bot) -> None:
    transfer = await page.evaluate_handle(
        """() => {
            const transfer = new DataTransfer();
            transfer.items.add(new File(['dropped'], 'dropped.md'));
            return transfer;
        }"""
    )
    await page.dispatch_event("#side .drop", "drop", {"dataTransfer": transfer})
    await expect(page.locator(".receipts li")).to_contain_text("dropped.md")
    assert bot.handle.uploaded == {"dropped.md": b"dropped"}


async def test_the_list_follows_what_is_being_read(page: Page, bot: Bot) -> None:
    reading = document("new.pdf", 0) | {"state": "reading"}
    failed = document("bad.pdf", 0) | {"state": "failed", "message": "needs a password"}
    bot.handle.documents += [reading, failed]
    await expect(page.locator(".state")).to_have_text("Reading 4 of 4 documents")
    await expect(page.locator(".list li").first).to_contain_text("being read")
    await expect(page.locator(".list li").nth(1)).to_contain_text("needs a password")
    reading["state"] = "ready"
    await expect(page.locator(".state")).to_have_text("Ready · 3 documents")


async def test_reading_says_how_long_it_takes_and_can_be_paused(page: Page, bot: Bot) -> None:
    said = "Reading documents: 40 %, about 2 minutes left"
    bot.handle.work = Work(said, 0.4)
    work = page.locator("#documents .work")
    await expect(work).to_contain_text(said)
    await expect(work.locator("progress")).to_have_js_property("value", 0.4)
    await expect(page.locator(".state")).to_have_text(said)
    await work.get_by_role("button", name="Pause").click()
    await expect(work.get_by_role("button", name="Resume")).to_be_visible()
    await expect(page.locator(".state")).to_have_attribute("data-kind", "paused")
    await work.get_by_role("button", name="Resume").click()
    await expect(work.get_by_role("button", name="Pause")).to_be_visible()
    bot.handle.work = None
    await expect(work).to_have_count(0)


async def test_a_document_is_deleted_once_confirmed(page: Page, bot: Bot) -> None:
    await page.get_by_role("button", name="Delete handbook.pdf").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("handbook.pdf")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_be_hidden()
    assert bot.handle.asked("forget") == []
    await page.get_by_role("button", name="Delete handbook.pdf").click()
    await dialog.get_by_role("button", name="Delete").click()
    await expect(page.locator(".list")).not_to_contain_text("handbook.pdf")
    await expect(page.locator(".receipts")).to_contain_text("forgotten")
    assert [request.text for request in bot.handle.asked("forget")] == ["id-handbook.pdf"]


async def test_a_document_is_summarised_by_button_and_by_command(page: Page, bot: Bot) -> None:
    await page.get_by_role("button", name="Summarise handbook.pdf").click()
    await outcome(page, "answer")
    await ask(page, "/summarise 团队约定.docx")
    await outcome(page, "answer", 2)
    asked = [request.text for request in bot.handle.asked("summarise")]
    assert asked == ["id-handbook.pdf", "团队约定.docx"]
    await ask(page, "/summarise")
    await outcome(page, "error")
    assert len(bot.handle.asked("summarise")) == 2


async def test_the_interface_speaks_the_browsers_language_and_switches(
    chromium: Browser, bot: Bot
) -> None:
    context = await chromium.new_context(locale="zh-CN")
    try:
        page = await open_page(context, bot)
        await expect(page.locator(".state")).to_have_text("就绪 · 2 份文档")
        await expect(page.get_by_role("button", name="发送")).to_be_visible()
        await page.get_by_role("button", name="English").click()
        await expect(page.locator(".state")).to_have_text("Ready · 2 documents")
        await expect(page.get_by_role("button", name="Send")).to_be_visible()
        await expect(page.locator("html")).to_have_attribute("lang", "en")
        await page.reload()
        await expect(page.get_by_role("button", name="Send")).to_be_visible()
        await page.get_by_role("button", name="中文").click()
        await expect(page.get_by_placeholder("就文档提问")).to_be_visible()
    finally:
        await context.close()


async def test_a_phone_shows_one_view_at_a_time_without_scrolling_sideways(page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await ask(page, "leave?")
    await outcome(page, "answer")
    await expect(page.locator("#side")).to_be_hidden()
    wide = "document.documentElement.scrollWidth > innerWidth"
    assert not await page.evaluate(wide)
    await page.locator(".cite").first.click()
    await expect(page.get_by_role("dialog", name="Passage 1")).to_be_in_viewport()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Documents", exact=True).click()
    await expect(page.locator("#side")).to_be_visible()
    await expect(page.locator("#chat")).to_be_hidden()
    assert not await page.evaluate(wide)


async def test_what_documents_and_models_say_is_never_markup(page: Page, bot: Bot) -> None:
    bot.handle.documents.append(document('<img src=x onerror="window.hacked=1">.md', 1))
    await ask(page, "hostile")
    await outcome(page, "answer")
    await expect(page.locator(".answer")).to_contain_text("<img src=x")
    await expect(page.locator(".answer")).to_contain_text("$x^2$ **stars** ${1+1} {{value}}")
    await expect(page.locator(".list")).to_contain_text("<img src=x")
    await page.locator(".cite").click()
    await expect(page.locator(".passage blockquote")).to_contain_text("<img src=x")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name=re.compile("^Delete <img")).click()
    await expect(page.get_by_role("dialog")).to_contain_text("<img src=x")
    assert await page.locator("#main img, dialog img, .answer b").count() == 0
    assert await page.evaluate("window.hacked") is None


async def test_shift_enter_starts_a_new_line(page: Page, bot: Bot) -> None:
    box = page.get_by_role("textbox")
    await box.fill("one")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("two")
    await page.keyboard.press("Enter")
    await outcome(page, "answer")
    assert bot.handle.asked("ask")[0].text == "one\ntwo"
    await expect(box).to_have_value("")
