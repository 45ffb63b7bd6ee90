"""The documents on the page, in Chromium: files in, their list, what is done with them."""

from __future__ import annotations

import asyncio

from playwright.async_api import BrowserContext, Page, expect

from bot.adapters.web import Work
from tests.bot.adapters.web.browsing import (
    IN_A_BROWSER,
    Bot,
    ask,
    file,
    open_page,
    outcome,
    until,
)
from tests.fakes_web import document

pytestmark = IN_A_BROWSER


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
    await ask(page, "/总结 团队约定.docx 篇幅=短")
    await outcome(page, "answer", 3)
    assert bot.handle.asked("summarise")[-1].options == {"length": "short"}


async def test_a_file_and_a_picture_come_with_an_answer(page: Page, bot: Bot) -> None:
    await ask(page, "/compare handbook.pdf; 团队约定.docx")
    await outcome(page, "answer")
    assert [each.text for each in bot.handle.asked("compare")] == ["handbook.pdf; 团队约定.docx"]
    async with page.expect_download() as saving:
        await page.get_by_role("link", name="days.csv").click()
    saved = await (await saving.value).path()
    assert await asyncio.to_thread(saved.read_bytes) == b"name,days\n"
    picture = page.get_by_role("img", name="Days a year")
    await expect(picture).to_be_visible()
    assert await picture.evaluate("image => image.naturalWidth") == 1
