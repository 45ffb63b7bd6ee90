from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy import event as hooks

from bot.inbox import DurableInbox
from bot.messages import Inbox
from bot.migrations import upgrade
from bot.tables import event
from bot.writer import Writer
from rag.errors import StoreUnavailable
from rag.schema import open_engine, reading
from tests.bot.inboxes import MemoryInbox
from tests.contracts.inbox import ANSWER, ASKED, SAID, InboxContract


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'teamglm.db'}")
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def writer(engine: Engine) -> Iterator[Writer]:
    writer = Writer(engine, reading(engine))
    yield writer
    writer.close()


class TestDurableInbox(InboxContract):
    @pytest.fixture
    def inbox(self, writer: Writer) -> Inbox:
        return DurableInbox(writer)


class TestMemoryInbox(InboxContract):
    @pytest.fixture
    def inbox(self) -> Inbox:
        return MemoryInbox()


def stored(engine: Engine) -> str:
    """Return every value of the bot's tables as text."""
    with engine.connect() as connection:
        rows = [
            connection.exec_driver_sql(f"SELECT * FROM {name}").all()
            for name in ("event", "delivery", "turn")
        ]
    return repr(rows)


async def test_texts_are_gone_when_their_work_is_done(engine: Engine, writer: Writer) -> None:
    inbox = DurableInbox(writer)
    await inbox.add(SAID)
    await inbox.begin(ASKED, SAID)
    await inbox.answered(ASKED, ANSWER)
    kept = stored(engine)
    assert r"\u8bf7\u5047" in kept.replace("\\\\", "\\")
    await inbox.delivered(ASKED)
    await inbox.done(SAID)
    kept = stored(engine).replace("\\\\", "\\")
    for text in ("请假", "十天", r"\u8bf7\u5047", r"\u5341\u5929"):
        assert text not in kept


async def test_what_is_long_done_is_forgotten(engine: Engine, writer: Writer) -> None:
    now = 1000.0
    inbox = DurableInbox(writer, keep_seconds=100, clock=lambda: now)
    await inbox.add(SAID)
    await inbox.begin(ASKED, SAID)
    now = 2000.0
    await inbox.prune()
    assert len(await inbox.pending("slack")) == 1
    await inbox.delivered(ASKED)
    await inbox.done(SAID)
    now = 2099.0
    await inbox.prune()
    assert not await inbox.add(SAID)
    now = 2101.0
    await inbox.prune()
    assert not await inbox.knows("slack", ASKED.conversation)
    assert await inbox.add(SAID)


async def test_writes_that_wait_together_share_a_commit(engine: Engine, writer: Writer) -> None:
    inbox = DurableInbox(writer)
    commits = 0

    def count(connection: Connection) -> None:
        nonlocal commits
        commits += 1

    hooks.listen(engine, "commit", count)
    events = [replace(SAID, id=f"E{n}", message=f"{n}") for n in range(200)]
    twins = [replace(one, id=f"{one.id}-twin") for one in events]
    new = await asyncio.gather(*(inbox.add(one) for one in [*events, *twins]))
    assert new == [True] * 200 + [False] * 200
    assert commits < 200


async def test_one_write_that_fails_does_not_harm_the_others(
    engine: Engine, writer: Writer
) -> None:
    inbox = DurableInbox(writer)

    def broken(connection: Connection) -> None:
        connection.execute(insert(event).values(platform="slack"))

    outcomes = await asyncio.gather(
        inbox.add(SAID), writer.write(broken), inbox.add(SAID), return_exceptions=True
    )
    assert outcomes[0] is True
    assert isinstance(outcomes[1], Exception)
    assert outcomes[2] is False


async def test_who_stops_waiting_undoes_nothing(engine: Engine, writer: Writer) -> None:
    inbox = DurableInbox(writer)
    adding = asyncio.create_task(inbox.add(SAID))
    await asyncio.sleep(0)
    adding.cancel()
    await asyncio.wait([adding])
    assert not await inbox.add(SAID)


async def test_a_database_that_fails_says_so(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    writer = Writer(engine, reading(engine))
    inbox = DurableInbox(writer)
    with pytest.raises(StoreUnavailable):
        await inbox.add(SAID)
    with pytest.raises(StoreUnavailable):
        await writer.read(lambda connection: connection.execute(select(event)).all())
    writer.close()
    engine.dispose()
