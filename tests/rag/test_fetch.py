"""The one way out: what is checked, what is written, and what is never sent."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest
from aiohttp import web

from rag.errors import DocumentCode
from rag.fetch import Fetcher, FetchError, check_address, is_public, origin
from tests.doubles.site import PAGE, Site, serving


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async for served in serving(Site()):
        yield served


@pytest.fixture
async def other() -> AsyncIterator[Site]:
    async for served in serving(Site()):
        yield served


async def trouble(awaitable: Awaitable[object]) -> str:
    with pytest.raises(FetchError) as caught:
        await awaitable
    return caught.value.trouble


async def test_what_stands_there_is_written(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "file"
    found = await Fetcher().fetch(f"{site.address}/a", file, 1000, own={site.address})
    assert (found.status, found.size, found.html) == (200, len(PAGE), True)
    assert (file.read_bytes(), found.content_type) == (PAGE, "text/html")
    assert found.validators == {"If-None-Match": '"1"'}


async def test_an_unchanged_page_is_not_sent_again(site: Site, tmp_path: Path) -> None:
    async def unchanged(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=304 if request.headers.get("If-None-Match") == '"1"' else 500)

    site.answer = unchanged
    found = await Fetcher().fetch(
        site.address, tmp_path / "f", 10, own={site.address}, validators={"If-None-Match": '"1"'}
    )
    assert found.status == 304
    assert not (tmp_path / "f").exists()


async def test_a_token_goes_where_it_belongs_and_follows_no_redirect(
    site: Site, other: Site, tmp_path: Path
) -> None:
    async def elsewhere(request: web.BaseRequest) -> web.StreamResponse:
        raise web.HTTPFound(f"{other.address}/file")

    own = {site.address, other.address}
    await Fetcher().fetch(f"{site.address}/a", tmp_path / "f", 1000, own=own, token="s3cret")
    assert site.asked[0].headers["Authorization"] == "Bearer s3cret"
    site.answer = elsewhere
    fetched = Fetcher().fetch(f"{site.address}/b", tmp_path / "f", 1000, own=own, token="s3cret")
    assert await trouble(fetched) == "elsewhere"
    assert not other.asked


async def test_without_a_list_of_origins_no_token_goes_anywhere(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="origins"):
        await Fetcher().fetch("https://example.org", tmp_path / "f", 10, token="s3cret")


async def test_every_redirect_is_checked_anew(site: Site, other: Site, tmp_path: Path) -> None:
    async def elsewhere(request: web.BaseRequest) -> web.StreamResponse:
        raise web.HTTPFound(f"{other.address}/file")

    site.answer = elsewhere
    own = {site.address, other.address}
    assert (await Fetcher().fetch(site.address, tmp_path / "f", 1000, own=own)).status == 200
    assert "Authorization" not in other.asked[0].headers
    other.asked.clear()
    fetched = Fetcher().fetch(site.address, tmp_path / "f", 1000, own={site.address})
    assert await trouble(fetched) == "address"
    assert not other.asked


async def test_no_redirect_leads_inside(site: Site, tmp_path: Path) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["10.0.0.7"] if host == "outside.test" else [host]

    for address in ("https://169.254.169.254/latest", "https://[::1]/", "https://outside.test/"):

        async def inside(request: web.BaseRequest, address: str = address) -> web.StreamResponse:
            raise web.HTTPFound(address)

        site.answer = inside
        fetcher = Fetcher(resolve=resolve)
        fetched = fetcher.fetch(site.address, tmp_path / "f", 1000, own={site.address})
        assert await trouble(fetched) == "private"


async def test_redirects_end(site: Site, tmp_path: Path) -> None:
    async def round_and_round(request: web.BaseRequest) -> web.StreamResponse:
        raise web.HTTPFound("/again")

    site.answer = round_and_round
    fetched = Fetcher(redirects=3).fetch(site.address, tmp_path / "f", 10, own={site.address})
    assert await trouble(fetched) == "unreachable"
    assert len(site.asked) == 4


@pytest.mark.parametrize("packed", [False, True])
async def test_bytes_are_counted_as_they_come(site: Site, tmp_path: Path, packed: bool) -> None:
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        encoding = {"Content-Encoding": "gzip"} if packed else {}
        response = web.StreamResponse(headers=encoding)
        await response.prepare(request)
        block = gzip.compress(bytes(50_000_000)) if packed else bytes(1000)
        await response.write(block)
        while not packed:
            await response.write(block)
        return response

    site.answer = endless
    fetched = Fetcher().fetch(site.address, tmp_path / "f", 5000, own={site.address})
    assert await trouble(fetched) == "too_large"
    assert (tmp_path / "f").stat().st_size <= 5000


async def test_a_packed_page_is_unpacked(site: Site, tmp_path: Path) -> None:
    async def packed(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=gzip.compress(PAGE), headers={"Content-Encoding": "gzip"})

    site.answer = packed
    await Fetcher().fetch(site.address, tmp_path / "f", 1000, own={site.address})
    assert (tmp_path / "f").read_bytes() == PAGE


async def test_a_server_that_drips_is_left(site: Site, tmp_path: Path) -> None:
    async def drip(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        await asyncio.Event().wait()
        return response

    site.answer = drip
    with pytest.raises(FetchError) as caught:
        await Fetcher(seconds=0.2).fetch(site.address, tmp_path / "f", 10, own={site.address})
    assert caught.value.code is DocumentCode.TIMEOUT


async def test_a_host_is_reached_at_what_it_was_checked_as(site: Site, tmp_path: Path) -> None:
    """A second answer of the name server never counts: it is asked once."""
    answers = [["127.0.0.1"], ["169.254.169.254"]]

    async def resolve(host: str, port: int) -> list[str]:
        return answers.pop(0)

    address = site.address.replace("127.0.0.1", "wiki.test")
    found = await Fetcher(resolve=resolve).fetch(address, tmp_path / "f", 1000, own={address})
    assert found.status == 200
    assert site.asked[0].headers["Host"] == address.removeprefix("http://")


@pytest.mark.parametrize("inside", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "fe80::1%eth0"])
async def test_one_private_address_of_a_host_is_too_many(inside: str, tmp_path: Path) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["93.184.216.34", inside]

    fetched = Fetcher(resolve=resolve).fetch("https://example.org", tmp_path / "f", 10)
    assert await trouble(fetched) == "private"


async def test_nobody_there_is_said(tmp_path: Path) -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    gone = Fetcher(resolve=nowhere).fetch("https://example.org", tmp_path / "f", 10)
    assert await trouble(gone) == "unreachable"
    own = "http://127.0.0.1:9"
    assert await trouble(Fetcher().fetch(own, tmp_path / "f", 10, own={own})) == "unreachable"


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org",
        "https://me:secret@example.org",
        "https://me@example.org",
        "ftp://example.org",
        "file:///etc/passwd",
        "//example.org",
        "https://",
        "https://exa mple.org",
        "https://example.org:99999",
        "https://example.org/" + "x" * 3000,
        "example.org",
        "",
    ],
)
def test_what_is_no_https_address_is_refused(address: str) -> None:
    with pytest.raises(FetchError):
        check_address(address)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("0.0.0.0", False),
        ("100.64.0.1", False),
        ("192.168.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fc00::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("2001:0:7f00:1::", False),
        ("no address", False),
    ],
)
def test_private_addresses_are_told_from_public_ones(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_an_origin_has_a_port_only_where_it_matters() -> None:
    assert origin("https://Example.org:443/a?b#c") == "https://example.org"
    assert origin("http://[::1]:8080/") == "http://[::1]:8080"
