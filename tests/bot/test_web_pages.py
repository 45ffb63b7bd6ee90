"""Which web pages are fetched again when what is due; one that is gone keeps no other from it."""

from __future__ import annotations

from typing import Any

from bot.web_pages import TAUGHT, WebPages
from rag.errors import DocumentCode, DocumentError
from rag.ingest.pages import Page

HANDBOOK = Page("https://example.org/handbook", "public")
GONE = Page("https://example.org/gone", "public")
NEWS = Page("https://example.org/news", "public")


class Kept:
    """Pages of which one is gone; `asked` are those that were fetched."""

    def __init__(self) -> None:
        self.asked: list[Page] = []

    def taught(self) -> list[Page]:
        return [HANDBOOK, GONE, NEWS]

    async def refresh(self, page: Page) -> None:
        self.asked.append(page)
        if page == GONE:
            raise DocumentError(DocumentCode.UNREADABLE, "it is gone")


async def test_a_page_is_fetched_when_it_is_due_and_the_taught_ones_without_it() -> None:
    kept: Any = Kept()
    pages = WebPages(kept, [HANDBOOK])
    (name,) = pages.names
    await pages.read(name)
    assert kept.asked == [HANDBOOK]
    kept.asked.clear()
    await pages.read(TAUGHT)
    assert kept.asked == [GONE, NEWS]
