"""What processes do in the rows about ingestion; the nursery forks one for each order.

An order is JSON: `do` names one of the functions below, the rest are its arguments. Exit code 0
says that everything that the function asserts is true.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import shutil
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import event

from rag.audience import PUBLIC, Audience
from rag.errors import TeamglmError
from tests.rag.ingest.conftest import consistent, everything
from tests.rag.ingest.crash import Place

EVERYONE = Audience.of({PUBLIC})

OLD = {
    "same.txt": "nothing new\n",
    "changed.txt": "".join(f"line {n}\n" for n in range(12)),
    "removed.txt": "soon gone\n",
    "renamed.txt": "under one name or another\n",
}
NEW = {
    "same.txt": "nothing new\n",
    "changed.txt": "".join(f"line {n}\n" for n in range(6, 24)),
    "sub/renamed.txt": "under one name or another\n",
    "added.txt": "just arrived\nnothing new\n",
}
SENT = {False: "sent line 1\nsent line 2\n", True: "sent line 2\nsent line 3\n"}
"""What was sent first, and what is sent anew."""

_TABLES = (
    "SELECT name, scope, source, state, code, incoming, content FROM document"
    " LEFT JOIN version ON version.id = live_version",
    "SELECT key, blob, size, text, pages FROM content",
    "SELECT content, splitter, ordinal, start, end, section, text, text_hash FROM chunk",
    "SELECT name, passage.ordinal FROM passage JOIN version ON version.id = passage.version"
    " JOIN document ON document.id = version.document",
    "SELECT text_hash, embedder, hex(value) FROM vector",
    "SELECT id, frequency FROM term",
    "SELECT name, value FROM counter WHERE name <> 'generation' AND value",
    "SELECT path, blob FROM seen WHERE path <> ''",
    "SELECT name, sha256 FROM tombstone",
)


def run(arguments: list[str]) -> int:
    """Carry out an order."""
    order = json.loads(arguments[0])
    WAYS[order.pop("do")](Path(order.pop("data")), **order)
    return 0


def ingest(data: Path, fatal: int | None = None, after: float | None = None) -> None:
    """Bring the index up to date and write down what it is; die at a step or after a time."""
    if after is not None:
        timer = threading.Timer(after, _die)
        timer.daemon = True
        timer.start()
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == fatal:
            _die()

    place = Place(data, step)
    bring_up_to_date(place)
    (data / "state.json").write_text(json.dumps({"steps": steps, "state": state(place)}))
    _leave(data)


def mend(data: Path) -> None:
    """Assert that what a killed process left is whole; then do what it should have done."""
    place = Place(data)
    consistent(place.records, place.index)
    for name, texts in everything(place.records, EVERYONE):
        text = "\n".join(texts) + "\n"
        assert text in (SENT.values() if name == "sent.txt" else (OLD.get(name), NEW.get(name)))
    bring_up_to_date(place)
    consistent(place.records, place.index)
    (data / "state.json").write_text(json.dumps({"steps": 0, "state": state(place)}))
    _leave(data)


def reindex(data: Path, how: str, fatal: int | None = None) -> None:
    """Bring the index up to date while somebody asks; write down every answer."""
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == fatal:
            _die()

    place = Place(data, step, splitter_key="segment" if how != "splitter" else "segment anew")
    ended = threading.Event()
    asking = threading.Thread(target=_ask, args=(place, data / "answers", ended))
    asking.start()
    try:
        if how == "content":
            place.scan()
        elif how == "splitter":
            list(place.indexer.catch_up())
            place.scan()
        else:
            place.indexer.rebuild()
    finally:
        ended.set()
        asking.join()
    consistent(place.records, place.index)
    _leave(data)


def _ask(place: Place, file: Path, ended: threading.Event) -> None:
    with file.open("a") as answers:
        last = False
        while not last:
            last = ended.is_set()  # at least one answer is of the end
            found = place.retriever.retrieve("line", EVERYONE, limit=50)
            texts = sorted(
                h.passage.text for h in found.hits if h.passage.document == "changed.txt"
            )
            answers.write(json.dumps(texts) + "\n")
            answers.flush()


def suffer(data: Path, fault: str, fatal: int) -> None:
    """Bring the index up to date with a fault from a step on; then without."""
    steps = 0
    place = Place(data, lambda: None)
    before = everything(place.records, EVERYONE)
    troubled = False

    def step() -> None:
        nonlocal steps, troubled
        steps += 1
        if steps >= fatal and not troubled:
            troubled = True
            begin()

    def fail(number: int) -> Callable[[Any], None]:
        def failing(_: Any) -> None:
            step()
            if troubled:
                raise OSError(number, os.strerror(number))

        return failing

    begin, end = _faults(place, fault)
    if fault == "index":
        for change in (place.index.upsert, place.index.delete):
            setattr(place.index, change.__name__, _without_space(change, lambda: troubled))
    place.index.step = step
    event.listen(place.engine, "commit", lambda _: step())
    place.parser.before = fail(errno.EIO) if fault == "parser" else lambda _: step()
    place.embeddings.before = fail(errno.EIO) if fault == "embedder" else lambda _: step()
    said: list[str] = []
    try:
        said = bring_up_to_date(place)
    except TeamglmError as error:
        said = [str(error)]
    struck = troubled
    for name, texts in everything(place.records, EVERYONE):
        assert (name, texts) in [*before, *_expected()]
    found = place.retriever.retrieve("line", EVERYONE, limit=50)
    assert {hit.passage.document for hit in found.hits} >= {"changed.txt", "same.txt"}
    end()
    place.index.step = lambda: None
    place.parser.before = lambda _: None
    place.embeddings.before = lambda _: None
    fatal, troubled = 10**9, False
    assert all(text and "\n" not in text and "Traceback" not in text for text in said), said
    (data / "said.json").write_text(json.dumps({"struck": struck, "said": said}))
    assert not bring_up_to_date(place)
    assert everything(place.records, EVERYONE) == _expected()
    place.indexer.recover()
    consistent(place.records, place.index)
    (data / "state.json").write_text(json.dumps({"steps": steps, "state": state(place)}))
    _leave(data)


def _faults(place: Place, fault: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return what begins a fault and what ends it."""

    def pragma(text: str) -> None:
        def ask(connection: Any, *_: Any) -> None:
            connection.execute(f"PRAGMA {text}")

        event.listen(place.engine, "checkout", ask)

    if fault == "no write succeeds":
        return partial(_limit_files, 0), partial(_limit_files, resource.RLIM_INFINITY)
    if fault == "database full":
        return lambda: pragma("max_page_count=1"), lambda: pragma("max_page_count=1073741823")
    if fault == "database read-only":
        return lambda: pragma("query_only=1"), lambda: pragma("query_only=0")
    if fault == "blobs":
        aside = place.blobs.with_name("aside")

        def spoil() -> None:
            place.blobs.rename(aside)
            place.blobs.write_bytes(b"")

        def restore() -> None:
            if aside.exists():
                place.blobs.unlink()
                aside.rename(place.blobs)

        return spoil, restore
    return lambda: None, lambda: None


def _limit_files(size: int) -> None:
    """Let every write beyond this size of a file fail, with the system's own error."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _without_space(
    change: Callable[[Any], None], when: Callable[[], bool]
) -> Callable[[Any], None]:
    def call(what: Any) -> None:
        if when():
            _limit_files(0)
        try:
            change(what)
        finally:
            _limit_files(resource.RLIM_INFINITY)

    return call


def bring_up_to_date(place: Place) -> list[str]:
    """Read the folder, and what was sent; return what is said of what failed."""
    failed = [
        learned.message or "" for learned in place.indexer.catch_up() if learned.state == "failed"
    ]
    failed += [reason for _, _, reason in place.scan().failed]
    sent = place.folder.path.parent / "sent"
    learned = place.indexer.learn(sent, scope=PUBLIC, source="upload", name="sent.txt")
    return [*failed, learned.message or ""] if learned.state == "failed" else failed


def write(data: Path, *, new: bool) -> None:
    """Make the files of a folder, and what is sent."""
    shutil.rmtree(data / "files", ignore_errors=True)
    for name, text in (NEW if new else OLD).items():
        path = data / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (data / "sent").write_text(SENT[new])


def _expected() -> list[tuple[str, list[str]]]:
    texts = {**NEW, "sent.txt": SENT[True]}
    return [(name, text.splitlines()) for name, text in sorted(texts.items())]


def state(place: Place) -> Any:
    """Return all that is kept, without ids and times, which no two runs share."""
    with place.engine.connect() as connection:
        tables = [sorted(map(list, connection.exec_driver_sql(sql)), key=repr) for sql in _TABLES]
        names = dict(map(tuple, connection.exec_driver_sql("SELECT id, name FROM document")))
    rows = place.index._milvus.query(
        place.index._alias,
        filter="ord >= 0",
        output_fields=["doc_id", "scope", "lang", "ord", "dense", "sparse"],
        limit=10_000,
    )
    index = [
        [
            names[row["doc_id"]], row["scope"], row["lang"], row["ord"],
            hashlib.sha256(np.asarray(row["dense"], np.float32).tobytes()).hexdigest(),
            sorted([int(term), round(weight, 5)] for term, weight in row["sparse"].items()),
        ]
        for row in rows
    ]  # fmt: skip
    blobs = sorted(
        p.relative_to(place.blobs).as_posix() for p in place.blobs.rglob("*") if p.is_file()
    )
    return [tables, sorted(index, key=repr), blobs]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _leave(data: Path) -> None:
    # Nothing is closed: the next process finds what a crash after the end would leave.
    os._exit(0)


WAYS: dict[str, Callable[..., None]] = {
    "ingest": ingest, "mend": mend, "reindex": reindex, "suffer": suffer,
}  # fmt: skip
