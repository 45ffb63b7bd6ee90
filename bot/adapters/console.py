"""The terminal: progress and answers of the command line, and a chat without an account."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import sys
import threading
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from bot.commands import find
from bot.messages import (
    Attachment,
    AttachmentError,
    File,
    Handle,
    Language,
    Reply,
    ReplyChunk,
    ReplyEvent,
    Request,
    Sources,
    Status,
    Turn,
)
from bot.render import body, plain, sources

_BLOCK = 1 << 20
_AS_QUESTION: dict[Language, str] = {
    "en": "(To have it answered as a question: /ask {text})",
    "zh": "（当作问题回答：/ask {text}）",
}


class Screen:
    """Shows a request's events: progress on stderr, and, if `stream`, the answer as it is written.

    `quiet` shows neither bar nor words, for other programs.
    """

    def __init__(
        self,
        *,
        quiet: bool,
        stream: bool,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self._quiet = quiet
        self._stream = stream and not quiet
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._bar: tqdm[Any] | None = None
        self.streamed = False

    async def show(self, events: AsyncIterator[ReplyEvent]) -> Reply:
        """Show the events as they come, and return the reply that ends them."""
        try:
            async for event in events:
                match event:
                    case Status():
                        self._status(event)
                    case ReplyChunk() if self._stream:
                        self._close_bar()
                        print(_sentence(event), end="", file=self._out, flush=True)
                        self.streamed = True
                    case Reply():
                        self._finish(event)
                        return event
                    case Sources() | ReplyChunk():
                        pass
        finally:
            self._close_bar()
            if isinstance(events, AsyncGenerator):
                await events.aclose()
        raise RuntimeError("a request ended without a reply")

    def _status(self, status: Status) -> None:
        if self._quiet:
            return
        if status.total is None:
            self._close_bar()
            print(status.text, file=self._err, flush=True)
            return
        if self._bar is None:
            self._bar = tqdm(
                desc=status.text,
                total=status.total,
                file=self._err,
                leave=False,
                dynamic_ncols=True,
            )
        self._bar.total = status.total
        self._bar.set_description_str(status.text, refresh=False)
        self._bar.update((status.done or 0) - self._bar.n)

    def _finish(self, reply: Reply) -> None:
        self._close_bar()
        if self.streamed:
            listed = sources(reply.citations, reply.language) if reply.chunks else ""
            print(f"\n\n{listed}" if listed else "", file=self._out, flush=True)

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _sentence(chunk: ReplyChunk) -> str:
    """Return a sentence as `body` has it, behind the white space that leads to it."""
    space = chunk.text[: len(chunk.text) - len(chunk.text.lstrip())]
    return space + body(Reply("answer", chunk.text, "en", (chunk,)))


def save(file: File, folder: Path) -> Path:
    """Write a reply's file into a folder, under a name that is free there; return its path."""
    name = Path(re.split(r"[/\\\0]", file.name)[-1] or "file")
    free = (f"{name.stem}-{number}{name.suffix}" for number in itertools.count(2))
    for candidate in itertools.chain([name.name], free):
        try:
            with (folder / candidate).open("xb") as writing:
                writing.write(file.content)
        except FileExistsError:
            continue
        except OSError as error:
            raise AttachmentError(
                "unreadable", f"{folder / candidate} can't be written: {error.strerror}"
            ) from error
        return folder / candidate
    raise AssertionError("numbers end nowhere")


class ConsoleAdapter:
    """A chat in the terminal: a line is a question, or `/upload PATH`, `/summarise NAME`."""

    def __init__(self, handle: Handle, *, scope: str, history_turns: int) -> None:
        self._handle = handle
        self._scope = scope
        self._kept = 2 * history_turns
        self._conversation = uuid.uuid4().hex
        self._turns: list[Turn] = []

    async def run(self) -> None:
        """Read lines until the input ends."""
        lines = _lines(sys.stdin)
        while True:
            print("> ", end="", flush=True)
            line = await lines.get()
            if not line:
                return
            if line.strip():
                request = self.to_request(line.strip())
                async with aclosing(_events(self._handle(request))) as events:
                    reply = await Screen(quiet=False, stream=True).show(events)
                if not reply.chunks:
                    print(plain(reply), flush=True)
                if reply.taken_for:
                    print(_AS_QUESTION[reply.language].format(text=request.text), flush=True)
                for file in reply.files:
                    print(await asyncio.to_thread(save, file, Path()), flush=True)
                self._remember(request, reply)

    def to_request(self, line: str) -> Request:
        """Return the request that a line makes."""
        command, text = "ask", line
        options: dict[str, Any] = {}
        attachments: tuple[Attachment, ...] = ()
        if line.startswith("/"):
            command, _, text = line[1:].partition(" ")
            if found := find(command):
                command, (text, options) = found.handler, found.typed(text)
            if command == "help":
                options["prefix"] = "/"
            if command == "upload":
                path = Path(os.path.expanduser(text)).absolute()  # noqa: PTH111 - never raises
                attachments, text = (Attachment(path.name, None, str(path)),), ""
        return Request(
            id=uuid.uuid4().hex,
            platform="cli",
            command=command,
            text=text,
            user="console",
            conversation=self._conversation,
            scope=self._scope,
            audience=frozenset({self._scope}),
            is_admin=True,
            attachments=attachments,
            history=tuple(self._turns),
            options=options,
            plain=not line.startswith("/"),
        )

    def _remember(self, request: Request, reply: Reply) -> None:
        if request.command == "ask" and reply.outcome == "answer" and self._kept:
            self._turns += [Turn("user", request.text), Turn("assistant", reply.text)]
            del self._turns[: -self._kept]


def _lines(source: TextIO) -> asyncio.Queue[str]:
    """Return where lines arrive as they are typed; an empty one is the end.

    The thread that reads is no reason to stay: nobody can interrupt a read from a terminal.
    """
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            for line in iter(source.readline, ""):
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, name="console", daemon=True).start()
    return lines


async def _events(events: AsyncIterator[ReplyEvent]) -> AsyncGenerator[ReplyEvent, None]:
    async for event in events:
        yield event


async def copy_local(attachment: Attachment, destination: Path, max_bytes: int) -> None:
    """Copy a file of this machine: the `Download` of the command line and the console."""
    await asyncio.to_thread(_copy, Path(attachment.reference), destination, max_bytes)


def _copy(source: Path, destination: Path, max_bytes: int) -> None:
    try:
        if not source.is_file():
            raise AttachmentError("unreadable", f"{source} is not a file")
        with source.open("rb") as reading, destination.open("wb") as writing:
            copied = 0
            while block := reading.read(_BLOCK):
                copied += len(block)
                if copied > max_bytes:
                    raise AttachmentError("too_large", f"{source} has more than {max_bytes} bytes")
                writing.write(block)
    except OSError as error:
        raise AttachmentError("unreadable", f"{source}: {error.strerror}") from error
