"""Web pages that are kept up to date: those of the settings, and those that people named."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from rag.errors import DocumentError
from rag.ingest.pages import Page, Pages

log = logging.getLogger(__name__)

TAUGHT = "the pages that people named"
"""What is due when it is time for these."""


class WebPages:
    """Fetches them again when they are due; `configured` are those of the settings."""

    def __init__(self, pages: Pages, configured: Sequence[Page]) -> None:
        self._pages = pages
        self._configured = {f"page {page.url} ({page.scope})": page for page in configured}

    @property
    def names(self) -> list[str]:
        """Return what each of the configured pages is called when it is due, in their order."""
        return list(self._configured)

    async def read(self, name: str) -> None:
        """Bring what is due up to date: a configured page, or `TAUGHT`."""
        if name in self._configured:
            await self._refresh([self._configured[name]])
            return
        configured = {(page.name, page.scope) for page in self._configured.values()}
        known = await asyncio.to_thread(self._pages.taught)
        await self._refresh([page for page in known if (page.name, page.scope) not in configured])

    async def _refresh(self, pages: Sequence[Page]) -> None:
        """Fetch pages; one that can't be had is no reason to leave the others."""
        for page in pages:
            try:
                learned = await self._pages.refresh(page)
            except DocumentError as error:
                log.warning("a web page keeps its old text: %s", error.code)
            else:
                if learned is not None:
                    log.info("a web page was read: %s", learned.state)
