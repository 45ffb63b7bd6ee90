"""The page's side of the handle: requests out, events in, and a stop that really stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from bot.adapters.web.text import say
from bot.messages import (
    Attachment,
    AttachmentError,
    Handle,
    Language,
    Reply,
    ReplyEvent,
    Request,
    Turn,
)

_BLOCK = 1 << 20
SEES = frozenset({"public"})
"""What may be seen on the page, whoever it is."""

log = logging.getLogger(__name__)


def to_request(
    command: str,
    text: str,
    *,
    event: str,
    tab: str,
    scope: str,
    language: Language | None,
    history: tuple[Turn, ...] = (),
    attachments: tuple[Attachment, ...] = (),
    options: Mapping[str, Any] | None = None,
    plain: bool = False,
) -> Request:
    """Return the request of one thing that was done on the page; whoever it is sees `public`.

    A question is answered in its own language, so it carries none; everything else is told in
    the language of the interface.
    """
    return Request(
        id=f"web:{event}",
        platform="web",
        command=command,
        text=text,
        user=f"web:{tab}",
        conversation=f"web:{tab}",
        scope=scope,
        audience=SEES,
        is_admin=True,  # the page is for whoever runs the bot, or has its password
        language=None if command == "ask" else language,
        attachments=attachments,
        history=history,
        options=options or {},
        plain=plain,
    )


class Talk:
    """Sends what a tab asks to the handle and remembers what can be stopped."""

    def __init__(self, handle: Handle, upload_scope: str) -> None:
        self._handle = handle
        self._scope = upload_scope
        self._answers: dict[str, asyncio.Task[None]] = {}
        self._others: set[asyncio.Task[None]] = set()

    def request(
        self,
        command: str,
        text: str,
        tab: str,
        language: Language,
        *,
        history: tuple[Turn, ...] = (),
        attachments: tuple[Attachment, ...] = (),
        options: Mapping[str, Any] | None = None,
        plain: bool = False,
    ) -> Request:
        """Return a new request of a tab."""
        return to_request(
            command,
            text,
            event=uuid.uuid4().hex,
            tab=tab,
            scope=self._scope,
            language=language,
            history=history,
            attachments=attachments,
            options=options,
            plain=plain,
        )

    def answering(self, tab: str) -> bool:
        """Tell whether a tab has an answer under way."""
        return tab in self._answers

    async def answer(self, tab: str, request: Request) -> AsyncGenerator[list[ReplyEvent], None]:
        """Yield the events of an answer, those at hand together, until its end or `stop`."""
        events: asyncio.Queue[ReplyEvent | None] = asyncio.Queue()
        task = asyncio.create_task(self._pump(request, events))
        self._answers[tab] = task
        try:
            async for batch in _batches(events):
                yield batch
        finally:
            del self._answers[tab]
            await _cancelled(task)

    async def stop(self, tab: str) -> None:
        """Cancel a tab's answer: the handle's generator is closed when this returns."""
        if tab in self._answers:
            await _cancelled(self._answers[tab])

    async def carry_out(self, request: Request) -> AsyncIterator[list[ReplyEvent]]:
        """Yield the events of a request that goes on to its end even if nobody watches."""
        events: asyncio.Queue[ReplyEvent | None] = asyncio.Queue()
        task = asyncio.create_task(self._pump(request, events))
        self._others.add(task)
        task.add_done_callback(self._others.discard)
        async for batch in _batches(events):
            yield batch

    async def reply(self, request: Request) -> Reply:
        """Return how a request ends."""
        async for batch in self.carry_out(request):
            if isinstance(batch[-1], Reply):
                return batch[-1]
        return _broken(request)

    async def close(self) -> None:
        """Cancel everything that is under way."""
        for task in [*self._answers.values(), *self._others]:
            await _cancelled(task)

    async def _pump(self, request: Request, events: asyncio.Queue[ReplyEvent | None]) -> None:
        # The whole generator runs in one task: cancelling it reaches whatever it waits for, and
        # its time limits and cancel scopes see a single task.
        try:
            async for event in self._handle(request):
                events.put_nowait(event)
        except Exception:
            log.exception("the handle raised on %s", request.id)
            events.put_nowait(_broken(request))
        finally:
            try:
                for attachment in request.attachments:
                    await asyncio.to_thread(_discard, Path(attachment.reference))
            finally:
                events.put_nowait(None)


class LocalDownload:
    """The page's `Download`: copies a file that the browser sent, within a byte bound."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def holds(self, reference: str) -> bool:
        """Tell whether a path lies in the upload folder; a browser could name any other."""
        path = Path(reference).resolve()
        return path.is_relative_to(self._folder.resolve()) and path.is_file()

    async def __call__(self, attachment: Attachment, path: Path, limit: int) -> None:
        """Copy an attachment to `path`; raise `AttachmentError` past `limit` bytes."""
        if not self.holds(attachment.reference):
            raise AttachmentError("unreadable", f"{attachment.name} is no longer there")
        await asyncio.to_thread(_copy, Path(attachment.reference), path, limit)


def _copy(source: Path, target: Path, limit: int) -> None:
    left = limit
    with source.open("rb") as read, target.open("wb") as write:
        while block := read.read(_BLOCK):
            left -= len(block)
            if left < 0:
                raise AttachmentError("too_large", f"more than {limit} bytes")
            write.write(block)


def _discard(path: Path) -> None:
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def _broken(request: Request) -> Reply:
    language = request.language or "en"
    return Reply("error", say(language, "broken"), language)


async def _batches(events: asyncio.Queue[ReplyEvent | None]) -> AsyncIterator[list[ReplyEvent]]:
    ended = False
    while not ended:
        batch = [await events.get()]
        while not events.empty():
            batch.append(events.get_nowait())
        ended = batch[-1] is None
        known = [event for event in batch if event is not None]
        if known:
            yield known


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
