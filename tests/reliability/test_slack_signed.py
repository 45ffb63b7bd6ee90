"""Row D8: what Slack didn't sign, just now and once, reaches nobody."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping

import httpx
import pytest

from bot.adapters.slack.http import MOST_BYTES, PATH, SignedEvents
from tests.doubles.slack import SIGNING_SECRET, sign
from tests.reliability.rows import cases

Headers = dict[str, str]
Sent = tuple[bytes, Headers]
Attack = Callable[[random.Random, bytes, Headers, float], Sent]


def wrong_secret(chance: random.Random, body: bytes, headers: Headers, now: float) -> Sent:
    return body, sign(body, now, f"{chance.getrandbits(128):x}")


def stale(chance: random.Random, body: bytes, headers: Headers, now: float) -> Sent:
    off = chance.choice((-1, 1)) * chance.randint(302, 10**7)
    return body, sign(body, now + off)


def missing(chance: random.Random, body: bytes, headers: Headers, now: float) -> Sent:
    kept = dict(headers)
    for name in chance.choice((list(kept), list(kept)[:1], list(kept)[1:])):
        kept[name] = ""
        if chance.random() < 0.5:
            del kept[name]
    return body, kept


def other_body(chance: random.Random, body: bytes, headers: Headers, now: float) -> Sent:
    at = chance.randrange(len(body))
    changed = body[at] ^ (1 << chance.randrange(8))
    return body[:at] + bytes([changed]) + body[at + 1 :], headers


def other_header(chance: random.Random, body: bytes, headers: Headers, now: float) -> Sent:
    name = chance.choice(list(headers))
    at = chance.randrange(len(headers[name]))
    character = chance.choice([c for c in "0123456789abcdefv=-+ ." if c != headers[name][at]])
    changed = headers[name][:at] + character + headers[name][at + 1 :]
    return body, headers | {name: changed}


def cut(chance: random.Random, body: bytes, headers: Headers, now: float) -> Sent:
    return chance.choice((body[: chance.randrange(len(body))], body + b" ")), headers


ATTACKS: list[Attack] = [wrong_secret, stale, missing, other_body, other_header, cut]


class Slack:
    """The application with a clock, and how often what is behind it was asked."""

    def __init__(self) -> None:
        self.now = time.time()
        self.answered = 0
        self.app = SignedEvents(SIGNING_SECRET, self._answer, clock=lambda: self.now)
        transport = httpx.ASGITransport(app=self.app)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://bot.example")

    async def _answer(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, str, bytes]:
        self.answered += 1
        return 200, "text/plain", b""

    async def post(self, body: bytes, headers: Headers) -> int:
        return (await self.client.post(PATH, content=body, headers=headers)).status_code


def payload(chance: random.Random) -> bytes:
    event = {"type": "message", "text": f"{chance.getrandbits(200):x} 请假", "ts": "1700000001.1"}
    return json.dumps({"type": "event_callback", "event": event}).encode()


async def test_d8_what_slack_did_not_sign_is_refused() -> None:
    slack = Slack()
    for case in cases(
        "D8", "signatures bad, stale, missing, one byte changed", full=800, sample=60
    ):
        attack = ATTACKS[case.number % len(ATTACKS)]
        body = payload(case.chance)
        headers = sign(body, slack.now)
        before = slack.answered
        assert await slack.post(*attack(case.chance, body, headers, slack.now)) == 401
        assert slack.answered == before
        # What it was made of is taken, so that the refusal has no other reason.
        assert await slack.post(body, headers) == 200
        assert slack.answered == before + 1
        slack.now += case.chance.random()


async def test_d8_what_was_taken_once_is_refused_again() -> None:
    slack = Slack()
    taken: list[tuple[bytes, Headers]] = []
    for case in cases("D8", "replays", full=200, sample=15):
        body = payload(case.chance)
        taken = [*taken[-20:], (body, sign(body, slack.now))]
        assert await slack.post(*taken[-1]) == 200
        before = slack.answered
        for again in case.chance.sample(taken, min(3, len(taken))):
            assert await slack.post(*again) == 401
        assert slack.answered == before
        slack.now += case.chance.choice((0.0, 1.0, 40.0, 299.0, 700.0))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", PATH, 405), ("POST", "/", 404), ("POST", f"{PATH}/", 404)],
)
async def test_nothing_else_is_served(method: str, path: str, status: int) -> None:
    slack = Slack()
    assert (await slack.client.request(method, path)).status_code == status
    assert slack.answered == 0


async def test_a_body_is_counted_as_it_comes() -> None:
    slack = Slack()
    body = b"x" * (MOST_BYTES + 1)
    assert await slack.post(body, sign(body, slack.now)) == 413
    assert slack.answered == 0
