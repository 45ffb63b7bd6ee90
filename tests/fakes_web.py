"""A scripted handle for the page: realistic events without a model, a store or a clock."""

from __future__ import annotations

import asyncio
import io
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from bot.adapters.web import Work
from bot.messages import (
    Citation,
    File,
    Language,
    Reply,
    ReplyChunk,
    ReplyEvent,
    Request,
    Sources,
    Status,
)

LEAVE = Citation(
    1,
    "handbook.pdf",
    2,
    "Everyday rules › Leave",
    "Every member of the team has 25 days of paid leave a year. Leave of more than five days "
    "is asked for two weeks ahead.",
    120,
    235,
)
REMOTE = Citation(
    2,
    "团队约定.docx",
    None,
    "远程办公",
    "每周二、周四可以在家办公，提前一天在团队频道说明即可。",
    40,
    66,
)
PIXEL = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
"""The smallest picture."""
HOSTILE = '<img src=x onerror="window.hacked=1"><b>bold</b>'


@dataclass
class ScriptedHandle:
    """Answers by the words of the question; `gate` holds back what is slow."""

    requests: list[Request] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    work: Work | None = None
    uploaded: dict[str, bytes] = field(default_factory=dict)

    def reset(self) -> None:
        """Go back to two known documents and nothing asked."""
        self.requests.clear()
        self.uploaded.clear()
        self.work = None
        self.documents[:] = [document("handbook.pdf", 34, 12), document("团队约定.docx", 8)]
        for event in (self.gate, self.waiting, self.closed):
            event.clear()

    def asked(self, command: str) -> list[Request]:
        """Return the requests with a command, oldest first."""
        return [request for request in self.requests if request.command == command]

    async def __call__(self, request: Request) -> AsyncIterator[ReplyEvent]:
        """Answer like the bot."""
        self.requests.append(request)
        async for event in getattr(self, f"_{request.command}")(request):
            yield event

    async def _ask(self, request: Request) -> AsyncIterator[ReplyEvent]:
        text = request.text
        yield Status("Looking in the documents…")
        if "broken" in text:
            raise RuntimeError("the handle broke its promise")
        if "busy" in text:
            yield Reply("busy", "Many people are asking right now. Try again soon.", "en")
            return
        if "moon" in text:
            yield Reply("refusal", "I can't find that in the documents.", "en", nearest=(REMOTE,))
            return
        if "gone" in text:
            gone = replace(LEAVE, document="gone.pdf")
            chunk = ReplyChunk("It was there.", (gone,))
            yield Reply("answer", chunk.text, "en", (chunk,), (gone,))
            return
        if "hostile" in text:
            hostile = Citation(1, HOSTILE, 1, HOSTILE, HOSTILE, 0, 1)
            chunk = ReplyChunk(f"{HOSTILE} $x^2$ **stars** ${{1+1}} {{{{value}}}} ", (hostile,))
            yield Sources((hostile,))
            yield chunk
            yield Reply("answer", chunk.text, "en", (chunk,), (hostile,))
            return
        yield Sources((LEAVE, REMOTE))
        chinese = any("\u4e00" <= letter <= "\u9fff" for letter in text)
        first = (
            "每人每年有 25 天带薪年假。" if chinese else "You have 25 days of paid leave a year. "
        )
        second = (
            "此外，每周二、周四可以在家办公。"
            if chinese
            else "On Tuesdays and Thursdays you may work from home."
        )
        chunks = (ReplyChunk(first, (LEAVE,)), ReplyChunk(second, (REMOTE, LEAVE)))
        yield chunks[0]
        if "slow" in text:
            self.waiting.set()
            try:
                await self.gate.wait()
            finally:
                self.closed.set()
        yield chunks[1]
        language: Language = "zh" if chinese else "en"
        yield Reply("answer", first + second, language, chunks, (LEAVE, REMOTE), "scripted")

    async def _summarise(self, request: Request) -> AsyncIterator[ReplyEvent]:
        chunk = ReplyChunk("The handbook sets out leave and remote work.", (LEAVE,))
        yield chunk
        yield Reply("answer", chunk.text, "en", (chunk,), (LEAVE,))

    async def _compare(self, request: Request) -> AsyncIterator[ReplyEvent]:
        files = (File("days.csv", b"name,days\n"), File("days.png", PIXEL, "Days a year"))
        chunk = ReplyChunk("Both set out leave.", (LEAVE,))
        yield chunk
        yield Reply("answer", chunk.text, "en", (chunk,), (LEAVE,), files=files)

    async def _sources(self, request: Request) -> AsyncIterator[ReplyEvent]:
        yield Reply("answer", "", "en", data=list(self.documents))

    async def _index(self, request: Request) -> AsyncIterator[ReplyEvent]:
        assert self.work is not None
        self.work = replace(self.work, paused=bool(request.options.get("pause")))
        yield Reply("answer", "", "en", data={"paused": self.work.paused})

    async def _picture(self, request: Request) -> AsyncIterator[ReplyEvent]:
        if request.text == "gone.pdf":
            yield Reply("refusal", "It has changed.", "en")
            return
        file = io.BytesIO()
        Image.new("RGB", (60, 80), "white").save(file, "WEBP")
        shown = File("page.webp", file.getvalue(), request.text)
        yield Reply("answer", request.text, "en", files=(shown,))

    async def _rate(self, request: Request) -> AsyncIterator[ReplyEvent]:
        offer = {"reply": request.options["reply"], "documents": ["handbook.pdf"]}
        yield Reply("answer", "Noted.", "en", data=offer)

    async def _case(self, request: Request) -> AsyncIterator[ReplyEvent]:
        yield Reply("answer", "Added.", "en")

    async def _forget(self, request: Request) -> AsyncIterator[ReplyEvent]:
        gone = next(row for row in self.documents if row["id"] == request.text)
        self.documents.remove(gone)
        text = f"{gone['document']}: forgotten, {gone['chunks']} passages."
        yield Reply("answer", text, "en", data={"document": gone["document"]})

    async def _upload(self, request: Request) -> AsyncIterator[ReplyEvent]:
        lines, data = [], []
        total = len(request.attachments)
        for index, attachment in enumerate(request.attachments):
            name = attachment.name
            yield Status(f"{name}: reading", index, total)
            if "slow" in name:
                self.waiting.set()
                await self.gate.wait()
            content = await asyncio.to_thread(Path(attachment.reference).read_bytes)
            self.uploaded[name] = content
            if content:
                self.documents.append(document(name, 3, 1))
                lines.append(f"{name}: 1 page, 3 passages, ready")
                data.append({"name": name, "state": "ready"})
            else:
                lines.append(f"{name}: the file is empty")
                data.append({"name": name, "state": "failed", "code": "empty"})
        yield Reply("answer", "\n".join(lines), "en", data=data)


def document(name: str, chunks: int, pages: int | None = None) -> dict[str, Any]:
    """Return a row of `sources`."""
    return {
        "id": f"id-{name}",
        "document": name,
        "scope": "public",
        "version": 1,
        "chunks": chunks,
        "pages": pages,
        "bytes": 1000,
        "indexed_at": "2026-01-01T00:00:00Z",
        "state": "ready",
        "message": None,
    }
