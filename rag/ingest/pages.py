"""Web pages, one document each: learned when somebody names one, and fetched again on schedule.

A page that somebody names is fetched as a browser would fetch it, whatever robots.txt says to
crawlers: no link on it is followed.
"""

from __future__ import annotations

import asyncio
import json
import mimetypes
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import httpx

from rag.fetch import Fetched, Fetcher, FetchError, origin, page_name
from rag.ingest.blobs import WEB
from rag.ingest.flow import Progress
from rag.ingest.indexer import Indexer
from rag.ingest.lessons import Learned
from rag.ingest.loaders import SUFFIXES
from rag.ingest.sightings import Sighting, Sightings
from rag.ingest.standing import Address, Standing


@dataclass(frozen=True, slots=True)
class Page:
    """A web page and who may see it; only the configuration may call one `private`."""

    url: str
    scope: str
    private: bool = False
    """It may be http, and on a host inside a private network."""

    @property
    def name(self) -> str:
        """Return what its document is called; raise `FetchError` for what is no address."""
        return page_name(self.url, private=self.private)

    @property
    def own(self) -> frozenset[str]:
        """Return the origins that may be fetched although they are private."""
        return frozenset({origin(self.url)} if self.private else ())


@dataclass(frozen=True, slots=True)
class Got:
    """What a server sent: a file, and a name whose ending says what it is."""

    file: Path
    read_as: str
    answer: Fetched


@asynccontextmanager
async def fetched(
    fetcher: Fetcher,
    url: str,
    limit: int,
    *,
    own: Collection[str] = (),
    origins: Collection[str] | None = None,
    headers: Mapping[str, str] | None = None,
    validators: Mapping[str, str] | None = None,
) -> AsyncGenerator[Got, None]:
    """Fetch what stands at an address for as long as the context lasts; raise `FetchError`."""
    with TemporaryDirectory(prefix="teamglm-") as folder:
        file = Path(folder) / "page"
        answer = await fetcher.fetch(
            url, file, limit, own=own, origins=origins, headers=headers, validators=validators
        )
        if answer.status != 200 and not (validators and answer.status == 304):
            raise FetchError("unreachable", f"the server answered {answer.status}")
        yield Got(file, _read_as(url, answer), answer)


class Pages:
    """Learns web pages and keeps them up to date."""

    def __init__(
        self,
        fetcher: Fetcher,
        indexer: Indexer,
        sightings: Sightings,
        *,
        max_bytes: int,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._fetcher = fetcher
        self._indexer = indexer
        self._sightings = sightings
        self._max_bytes = max_bytes
        self._now_ns = now_ns

    @asynccontextmanager
    async def fetched(
        self, page: Page, validators: Mapping[str, str] | None = None
    ) -> AsyncGenerator[Got, None]:
        """Fetch a page for as long as the context lasts; raise `FetchError`."""
        asked = fetched(
            self._fetcher, page.name, self._max_bytes, own=page.own, validators=validators
        )
        async with asked as got:
            yield got

    async def learn(
        self, page: Page, *, taught_by: str | None = None, progress: Progress | None = None
    ) -> Learned:
        """Learn a page that somebody names, also one that was forgotten; raise `FetchError`."""
        async with self.fetched(page) as got:
            await asyncio.to_thread(self._indexer.ledger.graves.unbury, _address(page))
            return await self._keep(page, got, taught_by, progress)

    async def refresh(self, page: Page) -> Learned | None:
        """Bring a page up to date; None if it is as it was, or was forgotten.

        One that can't be had keeps answering from what it said; raise why, once it is noted.
        """
        address, ledger = _address(page), self._indexer.ledger
        graves = ledger.graves
        if await asyncio.to_thread(graves.is_grave, address):
            await asyncio.to_thread(self._sightings.drop, _seen_as(page), [page.name])
            return None
        (standing,) = await asyncio.to_thread(ledger.admit, [(address, None)])
        validators = await asyncio.to_thread(self._validators, page, standing)
        try:
            async with self.fetched(page, validators) as got:
                if got.answer.status == 304 or await asyncio.to_thread(graves.is_grave, address):
                    return None
                learned = await self._keep(page, got)
                return None if learned.state == "known" else learned
        except FetchError as error:
            await asyncio.to_thread(
                ledger.note, standing.id, "failed", code=error.code, message=str(error)
            )
            raise

    def taught(self) -> list[Page]:
        """Return every page that is known, whoever taught it."""
        return [
            Page(standing.address.name, standing.address.scope)
            for standing in self._indexer.ledger.standings(WEB)
        ]

    async def _keep(
        self,
        page: Page,
        got: Got,
        taught_by: str | None = None,
        progress: Progress | None = None,
    ) -> Learned:
        learned = await asyncio.to_thread(
            self._indexer.learn,
            got.file,
            scope=page.scope,
            source=WEB,
            name=page.name,
            taught_by=taught_by,
            read_as=got.read_as,
            progress=progress,
        )
        if learned.blob:
            stamp = json.dumps(dict(got.answer.validators))
            sighting = Sighting(stamp, self._now_ns(), learned.blob)
            note = {page.name: sighting}
            await asyncio.to_thread(self._sightings.note, _seen_as(page), note)
        return learned

    def _validators(self, page: Page, standing: Standing) -> Mapping[str, str] | None:
        """Return what asks whether a page changed, where it answers from what was sent then."""
        sighting = self._sightings.of(_seen_as(page), [page.name]).get(page.name)
        if sighting is None or not self._indexer.admission.is_current(standing, sighting.blob):
            return None
        validators: dict[str, str] = json.loads(sighting.stamp)
        return validators or None


def _address(page: Page) -> Address:
    return Address(page.scope, WEB, page.name)


def _seen_as(page: Page) -> str:
    return f"{WEB}:{page.scope}"


def _read_as(url: str, answer: Fetched) -> str:
    """Return a file name whose ending says what was sent: its bytes first, then its address."""
    ending = PurePosixPath(httpx.URL(url).path).suffix.lower()
    if answer.html:
        ending = ".html"
    elif answer.content_type.endswith("+json"):
        ending = ".json"
    elif ending not in SUFFIXES or not ending:
        ending = mimetypes.guess_extension(answer.content_type) or ".txt"
    return f"page{ending}"
