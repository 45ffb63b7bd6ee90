"""P1: what was forgotten isn't found by the next question, and no byte of it is left in a file."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.ipc  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]
import pytest

from bot.app import App
from bot.logs import Discreet
from tests.bot.fakes import FakeChat, request
from tests.bot.handlers.conftest import Ask, Send
from tests.reliability.rows import cases

ROW_IDS = "SELECT row_id FROM passage"
VECTORS = "SELECT value FROM vector"


def document(chance: random.Random, word: str) -> str:
    """Return sections with a word in each, from one line to many pages."""
    sections = range(chance.choice([1, 2, 12, 60]))
    return "\n\n".join(
        f"# Section {n}\n\n{word} {word}{n} " + f"has its share of {chance.random()} to say. " * 12
        for n in sections
    )


def kept(data: Path, query: str) -> set[object]:
    database = sqlite3.connect(data / "teamglm.db")
    try:
        return {value for (value,) in database.execute(query)}
    finally:
        database.close()


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def indexed(data: Path) -> tuple[set[object], set[object]]:
    """Return the ids and the vectors in the index's files, whatever Milvus says of them."""
    ids: set[object] = set()
    vectors: set[object] = set()
    for file in files(data / "passages.db"):
        if file.suffix == ".parquet":
            table = pyarrow.parquet.read_table(file)
        elif file.suffix == ".arrow" and file.stat().st_size:
            with pyarrow.ipc.open_stream(file) as stream:
                table = stream.read_all()
        else:
            continue
        ids |= set(table["id"].to_pylist())
        if "dense" in table.column_names:
            vectors |= {np.asarray(v, np.float32).tobytes() for v in table["dense"].to_pylist()}
    return ids, vectors


async def test_p1_a_large_index_is_erased_a_little_later(
    bot: App, ask: Ask, send: Send, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receipt comes at once, and nothing is found from then on."""
    monkeypatch.setattr("rag.ingest.indexer._ERASED_AT_ONCE", -1)
    data, graves = tmp_path / "data", bot.indexer.ledger.graves
    erased = asyncio.Queue[bool]()

    async def never(name: str) -> None:
        raise AssertionError(name)

    whole = bot.indexer.erase
    loop = asyncio.get_running_loop()

    def heard() -> bool:
        done = whole()
        loop.call_soon_threadsafe(erased.put_nowait, done)
        return done

    monkeypatch.setattr(bot.indexer, "erase", heard)
    await ask(request("What?", "search"))  # everything is open
    keeping = asyncio.create_task(bot.library.keep_up([], {}, never, gather_seconds=0))
    await erased.get()  # at start
    try:
        for case in cases("P1", "large indexes", full=40, sample=1):
            words = [f"canary{case.chance.getrandbits(64):016x}" for _ in range(2)]
            before = [kept(data, query) for query in (ROW_IDS, VECTORS)]
            for word in words:
                attached = (send(f"{word}.md", document(case.chance, word)),)
                await ask(request("", "upload", attachments=attached))
                (tmp_path / f"{word}.md").unlink()
            doomed = [
                kept(data, q) - old for q, old in zip((ROW_IDS, VECTORS), before, strict=True)
            ]
            for word in words:
                receipt = (await ask(request(f"{word}.md", "forget")))[1].data
                assert receipt["verified"]
                assert not receipt["erased"]
                _, reply = await ask(request(f"What does {word} say?", "search"))
                assert word not in str(reply.data)
            while graves.unerased():
                await erased.get()
            ids, vectors = indexed(data)
            assert ids.isdisjoint(doomed[0])
            assert vectors.isdisjoint(doomed[1])
            for file in files(data):
                assert not any(word.encode() in file.read_bytes() for word in words), file
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


async def test_p1_no_byte_of_what_was_forgotten_is_left(
    bot: App, ask: Ask, send: Send, chat: FakeChat, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    log = logging.FileHandler(data / "log.txt")
    log.setFormatter(Discreet())
    root = logging.getLogger()
    root.addHandler(log)
    try:
        for case in cases("P1", "documents and people forgotten", full=200, sample=2):
            canary = f"canary{case.chance.getrandbits(64):016x}"
            user = f"U{case.number}"
            names = [f"{canary}-{n}.md" for n in range(case.chance.randint(1, 3))]
            stays = (send("stays.md", document(case.chance, "parrot")),)
            await ask(request("", "upload", user="keeper", attachments=stays))
            before = [kept(data, query) for query in (ROW_IDS, VECTORS)]
            for name in names:
                attached = (send(name, document(case.chance, canary)),)
                await ask(request("", "upload", user=user, attachments=attached))
                (tmp_path / name).unlink()
            doomed = [
                kept(data, q) - old for q, old in zip((ROW_IDS, VECTORS), before, strict=True)
            ]
            assert all(doomed)
            chat.answer = f"It is {canary}."
            await ask(request(f"What does {canary} say?", user=user))
            _, reply = await ask(request(f"What does {canary} say?", "search"))
            assert canary in str(reply.data)

            if case.number % 2:
                _, reply = await ask(request("", "forget", options={"user": f"cli:{user}"}))
                receipts = reply.data
            else:
                receipts = [(await ask(request(name, "forget")))[1].data for name in names]
            assert [receipt["document"] for receipt in receipts] == names
            assert all(receipt["verified"] and receipt["erased"] for receipt in receipts)
            assert sum(receipt["rows"] for receipt in receipts) == len(doomed[0])
            assert sum(receipt["files"] for receipt in receipts) == len(names)

            chat.answer = "It is the parrot."
            _, reply = await ask(request(f"What does {canary} say?", "search"))
            assert canary not in str(reply.data)
            ids, vectors = indexed(data)
            assert ids.isdisjoint(doomed[0])
            assert vectors.isdisjoint(doomed[1])
            for file in files(data):
                content = file.read_bytes()
                assert canary.encode() not in content, file
                assert not any(vector in content for vector in doomed[1]), file  # type: ignore[operator]
    finally:
        root.removeHandler(log)
        log.close()
