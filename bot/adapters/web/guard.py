"""Who may talk to the page: a password where one is set, and no other site's scripts."""

from __future__ import annotations

import base64
import binascii
import secrets
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.adapters.web.files import PREFIX

PICTURE = "/picture"
"""Where pictures of pages are."""
_SERVED = (
    PICTURE,
    "/assets/",
    "/static/",
    "/theme.css",
    "/favicon.ico",
    "/manifest.json",
    "/config",
    "/gradio_api/queue/",
    "/gradio_api/run/predict",
    "/gradio_api/heartbeat/",
    "/gradio_api/upload",
    "/gradio_api/cancel",
    "/gradio_api/startup-events",
    PREFIX,
)
"""What the page needs; Gradio's other addresses read files, fetch from the web and more."""


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches the page under this name or address."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Guard:
    """Asks for the password (HTTP Basic, any user name) and refuses what other sites send.

    Without a password only loopback names are served, so that a foreign name that resolves to
    this machine (DNS rebinding) reaches nothing.
    """

    def __init__(self, app: ASGIApp, password: str | None) -> None:
        self._app = app
        self._password = password.encode() if password else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or say why not."""
        if scope["type"] in ("http", "websocket"):
            refusal = self._refuse(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refuse(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        name = urlsplit(f"//{host}").hostname or ""
        if self._password is None and not is_loopback(name):
            return PlainTextResponse("This page is served on this machine only.", 421)
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return PlainTextResponse("This page takes nothing from other sites.", 403)
        if self._password is not None and not self._knows(headers.get("authorization", "")):
            return PlainTextResponse(
                "This page needs its password.",
                401,
                {"www-authenticate": 'Basic realm="TeamGLM", charset="UTF-8"'},
            )
        path = scope["path"]
        if path != "/" and (".." in path or not path.startswith(_SERVED)):
            return PlainTextResponse("There is nothing here.", 404)
        return None

    def _knows(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic" or self._password is None:
            return False
        try:
            _, _, given = base64.b64decode(encoded, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return False
        return secrets.compare_digest(given, self._password)
