"""F7: whatever a file is called, nothing is written outside the store."""

from __future__ import annotations

import random
from pathlib import Path

from bot.handlers.naming import document_name
from rag.errors import DocumentError
from rag.ingest.blobs import Blobs
from rag.ingest.loaders import Reading
from rag.ingest.once import read_once
from rag.ingest.parsed import Chunk, Parsed, Segment
from tests.fakes import LineParser
from tests.rag.ingest.files import SHARED, make_zip
from tests.reliability.rows import cases

PATHS = SHARED / "hostile" / "text" / "paths"
LISTS = (
    "deep_traversal.txt",
    "traversals-8-deep-exotic-encoding.txt",
    "directory_traversal.txt",
)
OWN = (
    "../../{FILE}",
    "..\\..\\{FILE}",
    "/etc/{FILE}",
    "C:\\{FILE}",
    "%2e%2e%2f{FILE}",
    "..%c0%af{FILE}",
    "....//{FILE}",
    "\\\\host\\share\\{FILE}",
    "..",
    ".",
)
FORBIDDEN = set("/\\\0\u202e\u202d\u2066")


def names() -> list[str]:
    """Return the public lists of names that climb, or a few of our own."""
    if not PATHS.is_dir():
        return list(OWN)
    lines = [line for name in LISTS for line in (PATHS / name).read_text("latin-1").splitlines()]
    return lines[:1900]


def disguised(name: str, store: Path, chance: random.Random) -> str:
    """Return a name as somebody would send it who wants it to lead out of the store."""
    name = name.replace("{FILE}", "canary.txt")
    return chance.choice(
        (
            name,
            name + "\0.txt",
            f"{store}-sibling/{name}",
            f"{store}/../{name}",
            f"\u202etxt.{name}",
            name.replace("/", "\u2215"),
            f"a.txt/{name}",
        )
    )


def test_f7_no_name_leads_out_of_the_store(tmp_path: Path) -> None:
    store = tmp_path / "deep" / "er" / "store"
    blobs = Blobs(store, 1_000_000)
    sent = tmp_path / "deep" / "sent"
    sent.parent.mkdir(parents=True)
    sent.write_text("words")
    (tmp_path / "deep" / "er" / "store-sibling").mkdir(parents=True)
    outside = seen(tmp_path, store)
    known = names()
    for case in cases("F7", "names of files and archive entries", full=1_900, sample=150):
        name = disguised(known[case.number % len(known)], store, case.chance)

        shown = document_name(name)
        assert shown.strip(".")
        assert not FORBIDDEN & set(shown)

        kept = blobs.path(blobs.take(sent, name).blob)
        assert kept.resolve().is_relative_to(store.resolve())
        assert kept.read_text() == "words"

        read_once(sent, name, LineParser(), whole)
        assert in_archive(name) in {"words", ""}
        assert seen(tmp_path, store) == outside, name


def in_archive(name: str) -> str:
    """Return the text of an archive whose one entry has this name."""
    try:
        archive = make_zip({name: b"words"})
        return "".join(part.text for part in Reading(archive, "a.zip") if isinstance(part, Segment))
    except (DocumentError, UnicodeEncodeError, ValueError):
        return ""


def whole(parsed: Parsed) -> list[Chunk]:
    return [Chunk(0, len(parsed.text), None, None)]


def seen(root: Path, store: Path) -> set[Path]:
    """Return everything in and around the store that isn't in it."""
    return {path for path in root.rglob("*") if not path.is_relative_to(store)}
