"""Slack over signed HTTP: one ASGI application at /slack/events."""

from __future__ import annotations

import hmac
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any, Final

from bot.adapters import serving

Answer = Callable[[bytes, Mapping[str, str]], Awaitable[tuple[int, str, bytes]]]
"""Takes a verified request's body and headers; returns a status, a content type and a body."""

log = logging.getLogger(__name__)

PATH: Final = "/slack/events"
MOST_BYTES: Final = 1 << 20
FRESH_SECONDS: Final = 300


class SignedEvents:
    """The ASGI application: refuses with 401 whatever Slack didn't sign, just now and once.

    The same signature never counts twice, because Slack signs a retry anew. `clock` is seconds
    since 1970.
    """

    def __init__(
        self, secret: str, answer: Answer, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._secret = secret.encode()
        self._answer = answer
        self._clock = clock
        self._used: dict[str, float] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        if scope["path"] != PATH:
            return await _reply(send, 404)
        if scope["method"] != "POST":
            return await _reply(send, 405)
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > MOST_BYTES:
                return await _reply(send, 413)
            if not message.get("more_body"):
                break
        headers = {key.decode("latin-1"): text.decode("latin-1") for key, text in scope["headers"]}
        if not self.accepts(body, headers):
            log.warning("a request that Slack didn't sign was refused")
            return await _reply(send, 401)
        status, kind, answer = await self._answer(body, headers)
        await _reply(send, status, kind, answer)

    def accepts(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Tell whether Slack signed this body, at most five minutes ago, and for the first time."""
        stamp = headers.get("x-slack-request-timestamp", "")
        signature = headers.get("x-slack-signature", "")
        now = self._clock()
        if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 12):
            return False
        if abs(now - int(stamp)) > FRESH_SECONDS:
            return False
        signed = hmac.new(self._secret, b"v0:" + stamp.encode() + b":" + body, sha256).hexdigest()
        if not hmac.compare_digest(f"v0={signed}".encode(), signature.encode()):
            return False
        # Older ones are stale by their stamp.
        while self._used and next(iter(self._used.values())) < now - 2 * FRESH_SECONDS:
            del self._used[next(iter(self._used))]
        if signature in self._used:
            return False
        self._used[signature] = now
        return True


async def _reply(send: Any, status: int, kind: str = "text/plain", body: bytes = b"") -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def serve(app: SignedEvents, host: str, port: int, listening: Callable[[int], None]) -> None:
    """Serve until cancelled; tell the port when it is open. A taken port is an `OSError`."""
    with socket.create_server((host, port)) as listener:
        listening(listener.getsockname()[1])
        await serving.serve(app, listener)
