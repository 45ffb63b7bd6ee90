"""The one way out to an address that somebody gave: web pages, and files of the platforms.

An address is checked, resolved once, and connected to at what it resolved to; the certificate must
still be the host's. Every redirect is a new address and is checked like the first.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
import zlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import httpx

from rag.errors import DocumentCode, DocumentError

Trouble = Literal["address", "private", "elsewhere", "unreachable", "too_large", "timeout"]
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the IP addresses of a host; raises `OSError`."""

_CODES: dict[str, DocumentCode] = {
    "too_large": DocumentCode.TOO_LARGE,
    "timeout": DocumentCode.TIMEOUT,
}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BLOCK = 1 << 16
_LONGEST = 2048
_AGENT = "TeamGLM (a page that somebody named)"
_HOST = re.compile(rb"[0-9A-Za-z._:-]+")
_PAGE = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.I | re.S
)


class FetchError(DocumentError):
    """What an address leads to cannot be had; `trouble` says why."""

    def __init__(self, trouble: Trouble, detail: str) -> None:
        super().__init__(_CODES.get(trouble, DocumentCode.UNREADABLE), detail)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Fetched:
    """How a server answered; the body was written only if `status` is 200."""

    status: int
    size: int
    html: bool
    """The body begins as a web page does, whatever the server calls it."""
    content_type: str
    """What the server calls it, without parameters; a claim."""
    validators: Mapping[str, str]
    """The headers that ask next time whether it changed: If-None-Match, If-Modified-Since."""


class Fetcher:
    """Fetches what addresses lead to; makes no connection before the first.

    `seconds` bounds a whole fetch, redirects included. `resolve` and `transport` are for tests.
    """

    def __init__(
        self,
        *,
        seconds: float = 120.0,
        redirects: int = 5,
        resolve: Resolve | None = None,
        transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
    ) -> None:
        self._seconds = seconds
        self._redirects = redirects
        self._resolve = resolve or _resolve
        self._transport = transport or self._over_tls

    async def fetch(
        self,
        url: str,
        path: Path,
        limit: int,
        *,
        origins: Collection[str] | None = None,
        own: Collection[str] = (),
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        validators: Mapping[str, str] | None = None,
    ) -> Fetched:
        """Write what stands at `url` to `path`; raise `FetchError`.

        Without `origins` ("https://files.slack.com") any public https address may be fetched,
        else only those. Origins of one's `own`, which the configuration names, may also be http
        and in a private network. With a bearer `token` or `headers`, which may be
        secrets and need `origins` or `own`, no redirect is followed.
        """
        secret = {**(headers or {})}
        if token is not None:
            secret["Authorization"] = f"Bearer {token}"
        if secret and origins is None and not own:
            raise ValueError("a secret goes only where a list of origins says")
        try:
            async with asyncio.timeout(self._seconds):
                for _ in range(self._redirects + 1):
                    here = check_address(url, origins, own)
                    sent = {**(validators or {}), **secret, "Accept-Encoding": "gzip, identity"}
                    hosts = await self._addresses(here, own)
                    found = await self._get(here, hosts, sent, path, limit)
                    if isinstance(found, Fetched):
                        return found
                    if secret:
                        raise FetchError("elsewhere", f"{origin(here)} sends the token elsewhere")
                    url = _joined(here, found)
        except TimeoutError as error:
            raise FetchError("timeout", "it took too long") from error
        raise FetchError("unreachable", f"more than {self._redirects} redirects")

    async def _addresses(self, url: httpx.URL, own: Collection[str]) -> Sequence[str]:
        port = url.port or _PORTS[url.scheme]
        try:
            found = await self._resolve(url.host, port)
        except (OSError, UnicodeError) as error:
            raise FetchError("unreachable", f"{url.host} has no address") from error
        if not found:
            raise FetchError("unreachable", f"{url.host} has no address")
        if origin(url) not in own and not all(map(is_public, found)):
            raise FetchError("private", f"{url.host} is in a private network")
        return found

    async def _get(
        self,
        url: httpx.URL,
        hosts: Sequence[str],
        headers: Mapping[str, str],
        path: Path,
        limit: int,
    ) -> Fetched | str:
        """Ask the first of the hosts that can be reached; return where else to look, or what."""
        reason = ""
        for host in hosts:
            request = httpx.Request(
                "GET",
                url.copy_with(host=host, fragment=None),
                headers={"User-Agent": _AGENT, **headers, "Host": url.netloc.decode("ascii")},
                extensions={
                    # The name of the host still decides which certificate will do.
                    "sni_hostname": url.raw_host.decode("ascii"),
                    "timeout": httpx.Timeout(30, connect=10).as_dict(),
                },
            )
            try:
                async with self._transport() as transport:
                    response = await transport.handle_async_request(request)
                    try:
                        response.request = request
                        return await _read(response, path, limit)
                    finally:
                        await response.aclose()
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                reason = type(error).__name__
            except (httpx.HTTPError, httpx.InvalidURL, ValueError, zlib.error) as error:
                reason = type(error).__name__
                break
        raise FetchError("unreachable", f"{url.host} did not answer ({reason})")

    def _over_tls(self) -> httpx.AsyncBaseTransport:
        # A transport knows no proxy of the environment, which would resolve the host once more.
        return httpx.AsyncHTTPTransport(verify=self._tls)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()


_PORTS = {"https": 443, "http": 80}


def check_address(
    text: str, origins: Collection[str] | None = None, own: Collection[str] = ()
) -> httpx.URL:
    """Return an address that may be fetched, as far as it says itself; raise `FetchError`."""
    try:
        url = httpx.URL(text)
        port = url.port
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise FetchError("address", "not a web address") from error
    well_formed = _HOST.fullmatch(url.raw_host) and (port is None or 0 < port < 1 << 16)
    if len(text) > _LONGEST or url.scheme not in _PORTS or not well_formed:
        raise FetchError("address", "not a web address")
    if url.userinfo:
        raise FetchError("address", "the address has a user name in it")
    if origin(url) in own:
        return url
    if url.scheme != "https":
        raise FetchError("address", "not https")
    if origins is not None and origin(url) not in origins:
        raise FetchError("elsewhere", f"{url.host} is not where this is kept")
    return url


def page_name(text: str, *, private: bool = False) -> str:
    """Return what a page's document is called: its address, written in one way."""
    try:
        own = {origin(text)} if private else ()
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchError("address", "not a web address") from error
    url = check_address(text, own=own).copy_with(fragment=None)
    return str(url)


def is_address(text: str) -> bool:
    """Tell whether a text is meant as a web address."""
    return text.strip().lower().startswith(("https://", "http://")) and len(text.split()) == 1


def origin(url: httpx.URL | str) -> str:
    """Return the scheme, host and port of an address, without a port that goes without saying."""
    url = httpx.URL(url)
    host = f"[{url.host}]" if ":" in url.host else url.host
    port = "" if url.port in (None, _PORTS.get(url.scheme)) else f":{url.port}"
    return f"{url.scheme}://{host}{port}"


def is_public(address: str) -> bool:
    """Tell whether an IP address belongs to the open internet, also what is wrapped inside it."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if not ip.is_global or ip.is_multicast or ip.is_reserved:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return True
    inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    if ip in _NAT64:
        inner.append(ipaddress.IPv4Address(ip.packed[-4:]))
    return not ip.is_site_local and all(is_public(str(each)) for each in inner if each)


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _joined(here: httpx.URL, location: str) -> str:
    try:
        return str(here.join(location))
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchError("unreachable", f"{here.host} leads to no address") from error


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def _read(response: httpx.Response, path: Path, limit: int) -> Fetched | str:
    """Write the body as it comes, counted here and not as its headers claim."""
    location = response.headers.get("location")
    if response.status_code in _REDIRECTS and location:
        return str(location)
    head, size = b"", 0
    if response.status_code == 200:
        unpack = _unpacker(response.headers.get("content-encoding", "identity"))
        with await asyncio.to_thread(path.open, "wb") as file:
            async for block in response.aiter_raw(_BLOCK):
                for piece in unpack(block, limit - size + 1):
                    size += len(piece)
                    if size > limit:
                        raise FetchError("too_large", f"more than {limit} bytes")
                    head += piece[: 4096 - len(head)]
                    await asyncio.to_thread(file.write, piece)
    return Fetched(
        response.status_code,
        size,
        bool(_PAGE.match(head)),
        response.headers.get("content-type", "").partition(";")[0].strip().lower(),
        {
            asked: response.headers[given]
            for given, asked in (("etag", "If-None-Match"), ("last-modified", "If-Modified-Since"))
            if given in response.headers
        },
    )


def _unpacker(encoding: str) -> Callable[[bytes, int], Sequence[bytes]]:
    """Return what undoes a content encoding, never more than so many bytes of it."""
    if encoding.lower() in ("", "identity"):
        return lambda block, most: [block]
    if encoding.lower() not in ("gzip", "x-gzip"):
        raise ValueError("an encoding that nobody asked for")
    inflate = zlib.decompressobj(wbits=31)
    return lambda block, most: [inflate.decompress(block, most)]
