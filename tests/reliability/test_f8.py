"""F8: whatever a file's address says, the token reaches no host that isn't listed."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import httpx
import pytest

from bot.adapters.slack.access import Team
from bot.adapters.slack.requests import Context, to_requests
from rag.fetch import Fetcher, FetchError, is_public
from tests.reliability.rows import cases

TOKEN = "xoxb-canary-token"
FILES = "https://files.slack.com"
API = "https://slack.example-gov.com"
LISTED = {FILES: "93.184.216.1", API: "93.184.216.2"}
PATH = "/files-pri/T1-F1/report.pdf"
EVIL = ("evil.example", "files.slack.com.evil.example", "xn--flles-slack-q9a.com", "slack.com")
INSIDE = ("127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:10.0.0.1", "fd00::1")


class Body(httpx.AsyncByteStream):
    """A file as it comes over the wire."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"the file"


@dataclass
class World(httpx.AsyncBaseTransport):
    """The internet as a fetch sees it: who resolves to what, and what was sent to whom."""

    names: dict[str, list[list[str]]]
    """A host's addresses, answer after answer; the last stays."""
    redirects: dict[str, str] = field(default_factory=dict)
    reached: list[httpx.Request] = field(default_factory=list)
    resolved: dict[str, set[str]] = field(default_factory=dict)

    async def resolve(self, host: str, port: int) -> list[str]:
        answers = self.names.get(host) or [["93.184.216.66"]]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        self.resolved.setdefault(host, set()).update(found)
        return found

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.reached.append(request)
        address = f"{request.url.scheme}://{request.headers['Host']}{request.url.raw_path.decode()}"
        if leads := self.redirects.get(address):
            return httpx.Response(302, headers={"Location": leads})
        return httpx.Response(200, stream=Body())

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Stay open: there is one world."""


def other_host(chance: random.Random) -> str:
    """Return the address of another host that looks more or less like the listed one."""
    evil = chance.choice(EVIL)
    return chance.choice(
        (
            f"https://{evil}{PATH}",
            f"https://{evil}/{FILES}{PATH}",
            f"https://{evil}?{FILES}{PATH}",
            f"https://{evil}#{FILES}{PATH}",
            f"https://{evil}\\@files.slack.com{PATH}",
            f"https:\\\\{evil}{PATH}",
            f"{FILES}.{evil}{PATH}",
            f"{FILES}.{PATH}",
            f"{FILES}:8443{PATH}",
            f"https://files.slack.com%2e{evil}{PATH}",
            f"https://files.slack.com\u3002{evil}{PATH}",
            f"https://f\u0456les.slack.com{PATH}",
            f"https://\uff46iles.slack.com.{evil}{PATH}",
            f"//{evil}{PATH}",
            f"https:{evil}{PATH}",
            f"https://{chance.choice(INSIDE[:3])}{PATH}",
            f"https://{int.from_bytes(chance.randbytes(4))}{PATH}",
        )
    )


def plain_http(chance: random.Random) -> str:
    return chance.choice(("http", "HTTP", "ws", "ftp", "gopher")) + f"://files.slack.com{PATH}"


def user_name(chance: random.Random) -> str:
    who = chance.choice(("files.slack.com", "files.slack.com:443", "me:secret", "%00", ""))
    return f"https://{who}@{chance.choice((*EVIL, 'files.slack.com'))}{PATH}"


@pytest.mark.parametrize(("kind", "full"), [(other_host, 80), (plain_http, 20), (user_name, 40)])
async def test_f8_an_address_that_is_not_where_files_are_kept(
    kind: Callable[[random.Random], str], full: int, tmp_path: Path
) -> None:
    for case in cases("F8", kind.__name__.replace("_", " "), full=full, sample=10):
        url = kind(case.chance)
        world = World({})
        await attempt(world, url, tmp_path)
        assert not with_token(world) or httpx.URL(url).host in ("files.slack.com",)
        assert_safe(world)


async def test_f8_redirects_take_no_token_along(tmp_path: Path) -> None:
    for case in cases("F8", "redirects", full=60, sample=8):
        chance = case.chance
        start = chance.choice(list(LISTED))
        target = chance.choice(
            (
                other_host(chance),
                plain_http(chance),
                user_name(chance),
                f"{FILES}/other",
                f"{start}/other",
                "/relative",
                "\x00",
                "https://[",
            )
        )
        world = World({}, {f"{start}{PATH}": target})
        assert await attempt(world, f"{start}{PATH}", tmp_path) != "200"
        assert len(world.reached) == 1
        assert_safe(world)


async def test_f8_a_name_that_leads_inside_gets_nothing(tmp_path: Path) -> None:
    for case in cases("F8", "rebinding", full=60, sample=8):
        chance = case.chance
        good, bad = ["93.184.216.1"], [chance.choice(INSIDE)]
        answers = chance.choice(([bad], [good + bad], [bad + good], [good, bad], [good, bad, good]))
        world = World({"files.slack.com": [list(answer) for answer in answers]})
        for _ in range(len(answers)):
            await attempt(world, f"{FILES}{PATH}", tmp_path)
        asked = len(with_token(world))
        assert asked == sum(all(map(is_public, answer)) for answer in answers)
        assert_safe(world)


async def test_f8_where_files_are_kept_the_token_does_reach(tmp_path: Path) -> None:
    for case in cases("F8", "listed", full=20, sample=2):
        start = case.chance.choice(list(LISTED))
        world = World({httpx.URL(start).host: [[LISTED[start]]]})
        assert await attempt(world, f"{start}{PATH}", tmp_path) == "200"
        (request,) = with_token(world)
        assert request.extensions["sni_hostname"] == httpx.URL(start).host
        assert request.url.host == LISTED[start]
        assert_safe(world)


def test_f8_a_file_that_slack_does_not_keep_has_no_address() -> None:
    for case in cases("F8", "external mode", full=20, sample=4):
        url = other_host(case.chance)
        file: dict[str, object] = {
            "id": "F1",
            "name": "x",
            "url_private": url,
            "url_private_download": url,
        }
        key, value = case.chance.choice((("mode", "external"), ("is_external", True)))
        file[key] = value
        event = {"type": "message", "channel": "D1", "user": "U1", "ts": "1", "files": [file]}
        (request,) = to_requests(event, Context("E1", Team("T1"), "UBOT"))
        assert [attachment.reference for attachment in request.attachments] == ["F1"]


async def attempt(world: World, url: str, folder: Path) -> str:
    """Fetch as the Slack adapter does; return the status, or why there is none."""
    fetcher = Fetcher(resolve=world.resolve, transport=lambda: world)
    try:
        found = await fetcher.fetch(
            url, folder / "file", 1000, origins={FILES}, own={API}, token=TOKEN
        )
    except FetchError as error:
        return error.trouble
    return str(found.status)


def with_token(world: World) -> list[httpx.Request]:
    return [request for request in world.reached if TOKEN in str(request.headers.raw)]


def assert_safe(world: World) -> None:
    """Assert that whoever was sent the token is a listed host, at a public address of its own."""
    for request in world.reached:
        assert request.url.scheme == "https"
        assert f"https://{request.headers['Host']}" in LISTED
        assert request.extensions["sni_hostname"] == request.headers["Host"]
        host = request.url.host
        assert is_public(host) or f"https://{request.headers['Host']}" == API
        assert host in world.resolved[request.headers["Host"]]
        assert TOKEN not in str(request.url)
