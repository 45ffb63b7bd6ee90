"""The page of the real bot, in Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import FilePayload, Page, async_playwright, expect

from tests.bot.adapters.web.browsing import ARGUMENTS, CHROMIUM
from tests.e2e.bot import Bot

LAPTOP = "How soon must I report a lost laptop?"
TYPHOON = "台风橙色预警的时候怎么上班？"
PATIENCE = 120_000

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}: apt-get install chromium"
)


@pytest_asyncio.fixture
async def page(bot: Bot) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await (await browser.new_context(locale="en-US")).new_page()
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        await page.goto(bot.address)
        await expect(page.locator(".state")).to_have_attribute("data-kind", "ready")
        yield page
        await browser.close()


def file(name: str, text: str) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": text.encode()}


async def ask(page: Page, question: str) -> None:
    await page.get_by_role("textbox").fill(question)
    await page.keyboard.press("Enter")


async def test_the_first_questions_are_answered_with_passages_to_read(page: Page) -> None:
    answered = page.locator('.exchange[data-outcome="answer"]')
    await page.get_by_role("button", name=LAPTOP).click()
    await expect(answered).to_have_count(1)
    await expect(answered.locator(".answer")).to_contain_text("two hours")
    await answered.locator(".cite").first.click()
    passage = page.get_by_role("dialog", name="Passage 1")
    await expect(passage).to_be_visible()
    await expect(passage).to_contain_text("team-handbook.pdf")
    await expect(passage).to_contain_text("p. 4")
    await expect(passage.locator("blockquote").first).to_contain_text("two hours")
    picture = passage.get_by_role("img", name="team-handbook.pdf p. 4")
    await expect(picture.first).to_have_js_property("naturalHeight", 1500)
    await page.keyboard.press("Escape")

    await ask(page, TYPHOON)
    await expect(answered).to_have_count(2)
    await expect(answered.nth(1).locator(".sources")).to_contain_text("员工手册.docx")


async def test_uploaded_files_are_asked_about_and_deleted(page: Page) -> None:
    rules = "# The boat shed\n\nThe key of the boat shed hangs behind the blue barometer.\n"
    await page.locator("input[type=file]").set_input_files(
        [
            file("shed.md", rules),
            file("灯塔值班.txt", "灯塔的值班员是许远舟。\n"),
            file("0.txt", ""),
        ]
    )
    receipts = page.locator(".receipts li")
    await expect(receipts).to_have_count(3)
    kinds = [await receipts.nth(at).get_attribute("data-kind") for at in range(3)]
    assert kinds == ["ready", "ready", "failed"]
    await expect(page.locator(".list")).to_contain_text("shed.md")

    await ask(page, "Where does the key of the boat shed hang?")
    answered = page.locator('.exchange[data-outcome="answer"]')
    await expect(answered).to_have_count(1)
    await expect(answered.locator(".answer")).to_contain_text("barometer")
    await expect(answered.locator(".sources")).to_contain_text("shed.md")

    for name in ("shed.md", "灯塔值班.txt"):
        await page.get_by_role("button", name=f"Delete {name}").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(page.locator(".list")).not_to_contain_text(name)
    await page.get_by_role("button", name="Regenerate").click()
    await expect(page.locator(".exchange .sources")).not_to_contain_text("shed.md")
    await expect(page.locator(".answer")).not_to_contain_text("barometer")
