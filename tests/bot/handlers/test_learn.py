"""Web pages through the handlers: learn, summarise, forget."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.app import App
from rag.audience import Audience
from rag.fetch import Fetcher
from tests.bot.fakes import request
from tests.bot.handlers.conftest import Ask
from tests.doubles.site import Site, serving
from tests.fakes import LineParser

CHANNEL = "slack:-:T1:C1"
HERE = frozenset({"public", CHANNEL})


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async for served in serving(Site()):
        yield served


class Trusting(Fetcher):
    """Takes a loopback server for a public one."""

    def __init__(self, trusted: str) -> None:
        super().__init__()
        self._trusted = trusted

    async def fetch(self, url, path, limit, **more):  # type: ignore[no-untyped-def]
        url = url.replace("https://site.test", self._trusted)
        return await super().fetch(url, path, limit, **{**more, "own": {self._trusted}})


@pytest.fixture
def page(bot: App, site: Site) -> str:
    """The address of a page that anybody may name."""
    bot.pages._fetcher = Trusting(site.address)
    return "https://site.test/handbook"


@pytest.fixture
def parser() -> LineParser | None:
    """The real one: a page is HTML."""
    return None


async def test_a_page_is_learned_for_its_channel(bot: App, ask: Ask, page: str) -> None:
    _, reply = await ask(request(page, "learn", scope=CHANNEL, audience=HERE))
    assert reply.outcome == "answer"
    assert reply.data | {"seconds": 0} == {
        "added": 1, "updated": 0, "unchanged": 0, "removed": 0, "failed": [], "chunks": 1,
        "seconds": 0,
    }  # fmt: skip
    (record,) = bot.records.sources(Audience.of(HERE))
    assert (record.document, record.scope) == (page, CHANNEL)
    assert "Report it at once." in bot.records.text_of(record.id, Audience.of(HERE))
    assert not bot.records.sources(Audience.of({"public"}))


async def test_a_platform_gets_a_receipt_by_which_to_forget_it(
    bot: App, ask: Ask, page: str
) -> None:
    _, reply = await ask(request(page, "learn", platform="slack", scope=CHANNEL, audience=HERE))
    (record,) = bot.records.sources(Audience.of(HERE))
    (row,) = reply.data
    assert (row["document"], row["name"], row["state"]) == (record.id, page, "ready")


async def test_a_page_that_is_not_kept_is_summarised(bot: App, ask: Ask, page: str) -> None:
    _, reply = await ask(request(page, "summarise"))
    assert reply.outcome == "answer"
    assert not bot.records.sources(Audience.of({"public"}))


async def test_a_known_page_is_forgotten_by_its_address(ask: Ask, page: str, site: Site) -> None:
    await ask(request(page, "learn"))
    _, reply = await ask(request(f"{page}#section", "forget"))
    assert reply.data["verified"]


@pytest.mark.parametrize(
    "address",
    ["http://site.test/x", "https://me:secret@site.test/x", "https://", "site.test", "https://[/"],
)
async def test_what_cannot_be_fetched_is_said(bot: App, ask: Ask, address: str) -> None:
    _, reply = await ask(request(address, "learn"))
    assert reply.outcome == "error"
    assert reply.data["failed"][0]["message"]
    assert not bot.records.sources(Audience.of({"public"}))


async def test_without_an_address_it_is_asked_for(ask: Ask) -> None:
    _, reply = await ask(request("", "learn"))
    assert reply.outcome == "error"


async def test_a_private_address_is_refused_and_never_asked(bot: App, ask: Ask, site: Site) -> None:
    for command in ("learn", "summarise"):
        _, reply = await ask(request("https://127.0.0.1:1/x", command))
        assert reply.outcome == "error"
    assert not site.asked
