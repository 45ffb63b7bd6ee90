"""The conversation on the page, in Chromium."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.bot.adapters.web.browsing import (
    IN_A_BROWSER,
    QUESTION,
    Bot,
    ask,
    open_page,
    outcome,
    until,
)
from tests.fakes_web import LEAVE, document

pytestmark = IN_A_BROWSER


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


async def test_a_citation_shows_its_page_once_it_is_opened(page: Page, bot: Bot) -> None:
    await ask(page, "leave?")
    await outcome(page, "answer")
    assert bot.handle.asked("picture") == []
    await page.locator(".cite").first.click()
    picture = page.get_by_role("img", name="handbook.pdf p. 2, with the passage marked")
    await expect(picture).to_have_js_property("naturalWidth", 60)
    [asked] = bot.handle.asked("picture")
    assert (asked.text, asked.options) == ("handbook.pdf", {"start": 120, "end": 235})
    assert asked.audience == {"public"}


async def test_a_page_that_cannot_be_shown_leaves_the_passage(page: Page, bot: Bot) -> None:
    await ask(page, "a paper that is gone?")
    await outcome(page, "answer")
    await page.locator(".cite").first.click()
    await expect(page.get_by_role("dialog", name="Passage 1")).to_contain_text("gone.pdf")
    await expect(page.locator(".passage img")).to_have_count(0)


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
