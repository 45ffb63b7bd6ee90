"""Files that come with replies on the page: kept in memory for a while, behind addresses that
nobody guesses."""

from __future__ import annotations

import mimetypes
import secrets
from collections import OrderedDict
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from bot.messages import File

PREFIX = "/files/"
_MOST_BYTES = 64 << 20


class KeptFiles:
    """The newest files, at most `most_bytes` of them; an older one is no longer there."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._files: OrderedDict[str, File] = OrderedDict()

    def keep(self, file: File) -> str:
        """Keep a file; return its address on the page."""
        key = secrets.token_urlsafe(16)
        self._files[key] = file
        while sum(len(each.content) for each in self._files.values()) > self._most_bytes:
            self._files.popitem(last=False)
        return f"{PREFIX}{key}/{quote(file.name, safe='')}"

    async def serve(self, request: Request) -> Response:
        """Answer with a file: a picture to be shown, everything else to be saved."""
        file = self._files.get(request.path_params["key"])
        if file is None:
            return PlainTextResponse("This file is no longer kept: ask again.", 404)
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        shown = "inline" if kind == "image/png" else "attachment"
        headers = {
            "content-disposition": f"{shown}; filename*=utf-8''{quote(file.name, safe='')}",
            "content-security-policy": "sandbox; default-src 'none'",
            "x-content-type-options": "nosniff",
        }
        return Response(file.content, media_type=kind, headers=headers)
