from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bot.app import App, opened
from bot.messages import Attachment, Reply, ReplyEvent, Request
from tests.bot.fakes import FakeChat, FakeEmbeddings, collect, settings, use
from tests.fakes import LineParser

Ask = Callable[[Request], Awaitable[tuple[list[ReplyEvent], Reply]]]
Send = Callable[..., Attachment]


@pytest.fixture
def chat() -> FakeChat:
    return FakeChat()


@pytest.fixture
def embeddings() -> FakeEmbeddings:
    return FakeEmbeddings()


@pytest.fixture
def parser() -> LineParser | None:
    """What reads files; None for the real one, whose children take their time."""
    return LineParser()


@pytest.fixture
def more() -> Mapping[str, Any]:
    """Further settings of the bot."""
    return {}


@pytest.fixture
async def bot(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chat: FakeChat,
    embeddings: FakeEmbeddings,
    parser: LineParser | None,
    more: Mapping[str, Any],
    request: pytest.FixtureRequest,
) -> AsyncIterator[App]:
    """A bot with the real store, an empty watched folder and uploads of at most 1 MB.

    The parameter, if there is one, has further settings of its answers.
    """
    use(monkeypatch, chat=chat, embeddings=embeddings)
    if parser is not None:
        monkeypatch.setattr("bot.app.Sandbox", lambda **limits: parser)
    watched = tmp_path / "watched"
    watched.mkdir()
    chosen = settings(
        tmp_path,
        folders=[{"path": watched, "name": "watched"}],
        limits={"upload_megabytes": 1},
        answers={"refuse_below": 0, "history": 2, **getattr(request, "param", {})},
        **more,
    )
    async with opened(chosen) as app:
        yield app


@pytest.fixture
def ask(bot: App) -> Ask:
    """Hand a request to the bot; return its events and its reply."""
    return lambda request: collect(bot.dispatcher.handle(request))


@pytest.fixture
def send(tmp_path: Path) -> Send:
    """Make an attachment of a name and a text."""

    def made(name: str, text: str | bytes, *, shown: str | None = None) -> Attachment:
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Attachment(shown if shown is not None else name, None, str(file))

    return made
