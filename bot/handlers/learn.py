"""Learn the web pages that somebody names, one document each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.handlers.teach import OPERATOR, Progress, Teach, taught_by
from bot.loading import Loading
from bot.messages import Attachment, Request
from rag.ingest.lessons import Learned
from rag.ingest.pages import Page, Pages

_MOST = 10


class Learn(Teach):
    """Handles `learn`: the addresses in `request.text` become documents of `request.scope`."""

    command = "learn"
    nothing = "no_address"

    def __init__(self, pages: Pages, *, needs: Sequence[Loading]) -> None:
        super().__init__(needs)
        self._pages = pages

    def lessons(self, request: Request) -> list[Attachment]:
        """Return the first addresses of the text."""
        named = dict.fromkeys(request.text.split())
        return [Attachment(address, None, address) for address in named][:_MOST]

    async def take(self, request: Request, lesson: Attachment, progress: Progress) -> Learned:
        """Fetch and learn a page."""
        page = Page(lesson.reference, request.scope)
        return await self._pages.learn(page, taught_by=taught_by(request), progress=progress)

    def report(self, request: Request, rows: list[dict[str, Any]], seconds: float) -> Any:
        """Return what `index` reports on the command line; elsewhere the receipts."""
        if request.platform != OPERATOR:
            return rows
        good = [row for row in rows if row["state"] != "failed"]
        new = [row for row in good if row["state"] == "ready"]
        added = sum(row["version"] == 1 for row in new)
        return {
            "added": added,
            "updated": len(new) - added,
            "unchanged": len(good) - len(new),
            "removed": 0,
            "failed": [
                {"document": row["name"], "code": row["code"], "message": row["message"]}
                for row in rows
                if row["state"] == "failed"
            ],
            "chunks": sum(row["passages"] for row in good),
            "seconds": round(seconds, 3),
        }
