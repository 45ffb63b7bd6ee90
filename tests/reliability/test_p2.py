"""P2: whatever goes wrong, the log has neither a token nor what people wrote."""

from __future__ import annotations

import ast
import asyncio
import gc
import io
import logging
import random
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import discord
import httpx
import pytest
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy import insert

from bot.app import App
from bot.logs import Discreet, install
from bot.messages import Attachment, AttachmentError
from bot.schedule import FolderSchedule
from rag.errors import DocumentCode, DocumentError, ModelFailed, StoreUnavailable
from rag.schema import document
from tests.bot.fakes import FakeChat, FakeEmbeddings, request
from tests.bot.handlers.conftest import Ask, Send
from tests.fakes import LineParser
from tests.reliability.rows import cases

CALLS = {f"log.{level}" for level in ("debug", "info", "warning", "error", "exception", "critical")}
TOKEN = "xoxb-1234567890-token-canary"
LIBRARIES = ("httpx", "httpcore", "slack_sdk", "slack_bolt", "discord", "asyncio", "sqlalchemy")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged from here on, at the lowest level, as a running bot would."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Discreet([TOKEN]))
    root = logging.getLogger()
    loggers = [root, *map(logging.getLogger, ("bot", "rag", *LIBRARIES))]
    before = [logger.level for logger in loggers]
    root.addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


def canary(chance: random.Random) -> str:
    """Return words that are nowhere else, in either language, sometimes of two lines."""
    word = f"canary{chance.getrandbits(64):016x}"
    shapes = (word, f"工资{word}", f"a {word} sings", f"{word}\n{word}", f"%s {word} %d")
    return chance.choice(shapes)


def clean(log: io.StringIO, said: str, *, anything: bool = True) -> None:
    """Assert that something was logged, and nothing of it is the canary or the token."""
    text = log.getvalue()
    assert text or not anything
    for line in said.split():
        assert line in ("a", "sings", "%s", "%d") or line not in text
    assert TOKEN not in text
    log.seek(0)
    log.truncate()


def errors(said: str) -> list[Exception]:
    """Return errors of every kind that quote what they were given."""
    return [
        RuntimeError(said),
        ModelFailed(said),
        ValueError(f"could not parse {said!r} with Authorization: Bearer {TOKEN}"),
        KeyError(said),
        UnicodeEncodeError("ascii", said, 0, 1, said),
        OSError(5, said, said),
        DocumentError(DocumentCode.CORRUPT, said),
        AttachmentError("unreadable", said),
        httpx.ConnectError(said, request=httpx.Request("GET", f"https://x.org/{TOKEN}")),
        ExceptionGroup(said, [RuntimeError(said), ExceptionGroup(said, [KeyError(said)])]),
    ]


async def test_p2_handlers_and_models(
    ask: Ask,
    send: Send,
    chat: FakeChat,
    embeddings: FakeEmbeddings,
    log: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The chat model and the embedder fail with what they were asked."""
    await ask(request("", "upload", attachments=(send("a.md", "Alpha sings."),)))
    chat.answer = "Alpha sings. And"
    for case in cases("P2", "models", full=400, sample=12):
        said = canary(case.chance)
        error = case.chance.choice(errors(said))
        if case.number % 2:
            chat.broken = error
            _, reply = await ask(request(said))
            chat.broken = None
        else:
            with monkeypatch.context() as patch:
                patch.setattr(embeddings, "embed_query", raising(chained(error, said)))
                _, reply = await ask(request(said, case.chance.choice(("ask", "search"))))
        assert reply.outcome == "error"
        clean(log, said)


async def test_p2_files_and_names(
    ask: Ask,
    send: Send,
    parser: LineParser,
    embeddings: FakeEmbeddings,
    log: io.StringIO,
) -> None:
    """Files that break their parser or the embedder, and names of nothing."""
    for case in cases("P2", "files and names", full=500, sample=12):
        said = canary(case.chance)
        error = chained(case.chance.choice(errors(said)), said)
        command = case.chance.choice(("upload", "upload", "summarise", "forget", "learn", "dance"))
        attached: tuple[Attachment, ...] = ()
        if command == "upload":
            attached = (send(f"{case.number}.md", said, shown=f"{said}.md"),)
            match case.chance.randrange(3):
                case 0:
                    parser.before = raising(error)
                case 1:
                    embeddings.before = raising(error)
                case _:
                    attached = (Attachment(said, None, f"/nowhere/{said}"),)
        text = f"https://127.0.0.1/{said.split()[-1]}" if command == "learn" else said
        await ask(request("" if attached else text, command, attachments=attached))
        parser.before = embeddings.before = nothing
        clean(log, said, anything=False)


async def test_p2_downloads(ask: Ask, bot: App, log: io.StringIO) -> None:
    """A platform's download fails with an address that has a token in it."""
    downloads = next(
        handler._downloads  # type: ignore[attr-defined]
        for command, handler in bot.dispatcher._handlers.items()
        if command == "upload"
    )
    for case in cases("P2", "downloads", full=200, sample=6):
        said = canary(case.chance)
        error = chained(case.chance.choice(errors(said)), said)

        async def fail(*_: object, error: Exception = error) -> None:
            raise error

        downloads["slack"] = fail
        attached = (Attachment(said, 3, f"https://files.slack.com/{said}?t={TOKEN}"),)
        command = case.chance.choice(("upload", "remember", "summarise"))
        # Each by somebody else in a place of their own, so that no limit comes between.
        who = {"platform": "slack", "user": f"U{case.number}", "scope": f"slack:-:T:C{case.number}"}
        _, reply = await ask(request("", command, attachments=attached, **who))
        assert reply.outcome == "error"
        clean(log, said, anything=False)  # a receipt alone may tell


async def test_p2_the_database(bot: App, log: io.StringIO) -> None:
    """A statement fails, and its parameters are what people wrote."""
    for case in cases("P2", "database", full=100, sample=4):
        said = canary(case.chance)
        try:
            with bot.engine.begin() as connection:
                connection.execute(insert(document), {"id": said, "name": said, "state": None})
        except Exception as error:
            assert said not in str(error)  # noqa: PT017 - it is logged too
            logging.getLogger("bot.test").exception("stored: %s", error)
        clean(log, said)


def slack_bolt(said: str) -> None:
    body = {"event": {"text": said}, "token": TOKEN}
    logging.getLogger("slack_bolt.AsyncApp").warning(f"Unhandled request ({body})")


def with_arguments(said: str) -> None:
    logging.getLogger("discord.http").warning("%s with %s has returned %s", "POST", said, TOKEN)
    logging.getLogger("uvicorn").error("%(text)s", {"text": said})
    logging.getLogger("discord").error(RuntimeError(said))


def in_a_thread(said: str) -> None:
    thread = threading.Thread(target=raising(RuntimeError(said)))
    thread.start()
    thread.join()


def in_a_finaliser(said: str) -> None:
    class Broken:
        def __del__(self) -> None:
            raise RuntimeError(said)

    Broken()


def uncaught(said: str) -> None:
    try:
        raise chained(RuntimeError(said), said)
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)


def a_warning(said: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(said, stacklevel=1)


def our_own(said: str) -> None:
    logging.getLogger("rag.store").error("it broke: %s", StoreUnavailable(TOKEN))
    logging.getLogger("bot.adapters").warning("a reply: %s", RuntimeError(said))


@pytest.mark.parametrize(
    "way",
    [slack_bolt, with_arguments, in_a_thread, in_a_finaliser, uncaught, a_warning, our_own],
)
def test_p2_libraries_and_hooks(
    way: Callable[[str], None], log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other libraries log, and what nobody catches, as a running bot has it."""
    for module, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(logging, "raiseExceptions", True)
    logging.captureWarnings(capture=False)  # a command line that ran here before may have begun it
    install(running=True, stream=io.StringIO())
    for logger in ("bot", "rag"):
        logging.getLogger(logger).setLevel(logging.DEBUG)
    for case in cases("P2", way.__name__.replace("_", " "), full=60, sample=3):
        said = canary(case.chance)
        way(said)
        clean(log, said)
    logging.captureWarnings(capture=False)


async def slack_client(said: str) -> None:
    client = AsyncWebClient(token=TOKEN, base_url="http://127.0.0.1:9/", retry_handlers=[])
    await client.chat_postMessage(channel="C1", text=said)


async def http_client(said: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        await client.post(f"http://127.0.0.1:9/{TOKEN}", content=said.encode(), headers=headers)


async def discord_client(said: str) -> None:
    client = discord.Client(intents=discord.Intents.none())

    async def on_message(text: str) -> None:
        raise RuntimeError(text)

    client.on_message = on_message  # type: ignore[attr-defined]
    await client._run_event(on_message, "on_message", said)


async def a_task(said: str) -> None:
    task = asyncio.ensure_future(later(said))
    await asyncio.wait([task])
    del task
    gc.collect(1)
    context = {"message": said, "exception": RuntimeError(said), "handle": said}
    asyncio.get_running_loop().call_exception_handler(context)


async def a_scan(said: str) -> None:
    done = asyncio.Event()

    async def scan(name: str) -> None:
        done.set()
        raise RuntimeError(said)

    schedule = FolderSchedule({}, scan)
    schedule.enqueue("folder")
    running = asyncio.create_task(schedule.run())
    await done.wait()
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])


@pytest.mark.parametrize("way", [slack_client, http_client, discord_client, a_task, a_scan])
async def test_p2_clients_and_tasks(
    way: Callable[[str], Awaitable[None]], log: io.StringIO
) -> None:
    """The platforms' own clients at their most talkative, and tasks that fail."""
    for case in cases("P2", way.__name__.replace("_", " "), full=76, sample=2):
        said = canary(case.chance)
        try:
            await way(said)
        except Exception:
            logging.getLogger("bot.test").exception("it failed")
        clean(log, said)


def test_p2_our_log_is_written_in_advance() -> None:
    """No record of ours is put together before the formatter sees what it is made of."""
    for folder in ("bot", "rag"):
        for file in (Path(__file__).parents[2] / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if not (isinstance(node, ast.Call) and ast.unparse(node.func) in CALLS):
                    continue
                where = f"{file.name}:{node.lineno}"
                assert node.args, where
                assert isinstance(node.args[0], ast.Constant), where
                for argument in node.args[1:]:
                    assert "str(" not in ast.unparse(argument), where
                    assert "repr(" not in ast.unparse(argument), where


def nothing(_: object) -> None:
    """Let everything pass."""


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def chained(error: Exception, said: str) -> Exception:
    """Return an error behind which there is another."""
    try:
        try:
            raise LookupError(said)
        except LookupError as first:
            raise error from first
    except type(error) as raised:
        return raised


async def later(said: str) -> None:
    raise RuntimeError(said)
