"""Web pages as documents: learned by address, fetched again only if they changed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from rag.audience import Audience
from rag.errors import DocumentCode
from rag.fetch import Fetcher, FetchError
from rag.ingest.pages import Page, Pages
from rag.ingest.sightings import Sightings
from tests.doubles.site import Site, serving
from tests.rag.ingest.conftest import Bench

CHANNEL = "slack:-:T1:C1"


class Paper(Site):
    """A page with a version, which it tells as an entity tag."""

    text = "Report it at once."
    status = 200

    async def page(self, request: web.BaseRequest) -> web.StreamResponse:
        tag = f'"{hash(self.text)}"'
        if self.status != 200:
            return web.Response(status=self.status)
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304)
        return web.Response(text=self.text, headers={"ETag": tag})

    @property
    def sent(self) -> int:
        return len(self.asked)


@pytest.fixture
async def paper() -> AsyncIterator[Paper]:
    paper = Paper()
    async for _ in serving(paper):
        yield paper


@pytest.fixture
def pages(bench: Bench) -> Pages:
    sightings = Sightings(bench.records.engine)
    return Pages(Fetcher(), bench.indexer, sightings, max_bytes=10_000)


@pytest.fixture
def page(paper: Paper) -> Page:
    return Page(f"{paper.address}/handbook.php", "public", private=True)


async def test_a_page_is_a_document_named_by_its_address(
    bench: Bench, pages: Pages, page: Page
) -> None:
    learned = await pages.learn(page, taught_by="slack:U1")
    assert (learned.state, learned.name) == ("ready", page.url)
    assert bench.answers("Report") == ["Report it at once."]
    assert pages.taught() == [Page(page.url, "public")]
    bench.check()


async def test_an_unchanged_page_is_neither_sent_nor_read_again(
    bench: Bench, pages: Pages, page: Page, paper: Paper
) -> None:
    assert (await pages.refresh(page)) is not None
    assert (await pages.refresh(page)) is None
    assert paper.asked[-1].headers["If-None-Match"] == f'"{hash(paper.text)}"'
    assert len(bench.parser.parsed) == 1


async def test_a_changed_page_is_a_new_version(
    bench: Bench, pages: Pages, page: Page, paper: Paper
) -> None:
    await pages.learn(page)
    paper.text = "Report it within a day."
    learned = await pages.refresh(page)
    assert learned is not None
    assert learned.version == 2
    assert bench.answers("Report") == ["Report it within a day."]


@pytest.mark.parametrize("status", [404, 410, 500, 204])
async def test_a_page_that_is_gone_keeps_what_it_said(
    bench: Bench, pages: Pages, page: Page, paper: Paper, status: int
) -> None:
    await pages.learn(page)
    paper.status = status
    with pytest.raises(FetchError):
        await pages.refresh(page)
    (record,) = bench.records.sources(Audience.of({"public"}))
    assert (record.state, record.code) == ("failed", DocumentCode.UNREADABLE)
    assert bench.answers("Report") == ["Report it at once."]
    paper.status = 200
    await pages.refresh(page)
    (record,) = bench.records.sources(Audience.of({"public"}))
    assert record.state == "ready"


async def test_a_forgotten_page_stays_forgotten_until_somebody_names_it(
    bench: Bench, pages: Pages, page: Page, paper: Paper
) -> None:
    learned = await pages.learn(page)
    assert learned.document_id
    assert bench.indexer.forget(learned.document_id, Audience.of({"public"})).verified
    asked = paper.sent
    paper.text = "Another text."
    assert await pages.refresh(page) is None
    assert paper.sent == asked
    assert not pages.taught()
    assert (await pages.learn(page)).state == "ready"
    assert bench.answers("Another") == ["Another text."]


async def test_a_page_in_two_scopes_is_two_documents(
    bench: Bench, pages: Pages, page: Page
) -> None:
    await pages.learn(page)
    await pages.learn(Page(page.url, CHANNEL, private=True))
    assert len(bench.records.sources(Audience.of({"public", CHANNEL}))) == 2
    assert len(bench.records.sources(Audience.of({CHANNEL}))) == 1
    assert len(bench.parser.parsed) == 1


async def test_what_people_name_must_not_be_private(pages: Pages, page: Page) -> None:
    with pytest.raises(FetchError):
        await pages.learn(Page(page.url, "public"))
    with pytest.raises(FetchError) as caught:
        await pages.learn(Page("https://127.0.0.1/x", "public"))
    assert caught.value.trouble == "private"


async def test_the_bytes_are_kept_for_another_splitter(
    bench: Bench, pages: Pages, page: Page, paper: Paper
) -> None:
    await pages.learn(page)
    bench.restart(splitter_key="another")
    assert [learned.state for learned in bench.indexer.catch_up()] == ["ready"]
    assert paper.sent == 1
