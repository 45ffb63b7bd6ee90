"""Backups: one file with the records as of one moment, and the kept files that they need.

The vectors are among the records, so that restoring needs no embedder; the index isn't there,
since it is made from the records. Nor is what people said: questions, answers and reminders.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine, MetaData, Table, delete, func, inspect, select

from rag.errors import TeamglmError
from rag.ingest.blobs import Blobs
from rag.ingest.ledger import Ledger
from rag.ingest.rebuilding import Rebuilding
from rag.ingest.staging import Staging
from rag.records import Records
from rag.schema import (
    FORGOTTEN,
    document,
    forgotten,
    metadata,
    open_engine,
    reading,
    tombstone,
    version,
)
from rag.store import PassageIndex

_FORMAT = 1
_MANIFEST = "manifest.json"
_DATABASE = "records.db"
_BLOB = re.compile(r"blobs/([0-9a-f]{64}(?:\.[a-z0-9]{1,10})?)")
_MAKING, _RESTORING = ".backup-", ".restoring-"
_BLOCK = 1 << 20
# What was forgotten stays forgotten, whatever an older backup holds.
_KEPT = (tombstone, forgotten)


class BackupUnusable(TeamglmError):
    """A file that is no backup, or not a whole one."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds."""

    documents: int
    passages: int
    files: int
    bytes: int


class Backups:
    """Makes backups and restores them; `current` is the index in use and its embedder's key."""

    def __init__(
        self,
        engine: Engine,
        blobs: Blobs,
        rebuilding: Rebuilding,
        current: Callable[[], tuple[PassageIndex, str]],
    ) -> None:
        self._engine = engine
        self._blobs = blobs
        self._rebuilding = rebuilding
        self._current = current
        self._place = blobs.folder.parent
        self._one = threading.Lock()
        self.beside: dict[Table, tuple[str, ...]] = {}
        """Further tables that are backed up. A row comes back where there is none with the same
        values in these columns: what was changed since the backup stays as it is."""

    def make(self, file: Path) -> Backup:
        """Write the records and the kept files to one file, whoever is writing to them meanwhile.

        Raise `BackupUnusable`; a file that was there before is replaced only by a whole one.
        """
        unfinished = file.with_name(f".{file.name}.new")
        try:
            with self._one, TemporaryDirectory(prefix=_MAKING, dir=self._place) as folder:
                copy = Path(folder) / _DATABASE
                _copy_records(self._engine, copy, {table.name for table in self.beside})
                # Nobody else may read what the bot shows to some people only.
                flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
                with os.fdopen(os.open(unfinished, flags, 0o600), "w+b") as out:
                    with zipfile.ZipFile(
                        out, "w", zipfile.ZIP_DEFLATED, compresslevel=1
                    ) as archive:
                        held = _write(archive, copy, self._blobs)
                    out.flush()
                    os.fsync(out.fileno())
            unfinished.replace(file)
            return replace(held, bytes=file.stat().st_size)
        except OSError as error:
            raise BackupUnusable(
                f"{file} can't be written ({error.strerror}): make room, or name another file."
            ) from error
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)

    def restore(self, file: Path, upgrade: Callable[[Engine], None], *, answering: bool) -> Backup:
        """Let a backup take the place of what is known; what has been forgotten since stays so.

        `upgrade` brings its tables to this version. While the index is `answering`, one made from
        the backup replaces it; else `recover` makes it when it is opened. Needs no embedder. Raise
        `BackupUnusable`; until the very end nothing is changed.
        """
        with self._one, _opened(file, self._place, upgrade) as restoring:
            made_with = Records(restoring.engine).embedder()
            if answering and made_with not in (None, self._current()[1]):
                raise BackupUnusable(
                    f"The backup was embedded with {made_with}: stop the bot, restore it, and "
                    "start the bot again."
                )
            restoring.recount()
            restoring.leave_out_forgotten(self._engine)
            restoring.put_blobs(self._blobs)
            if answering:
                self._rebuilding.restored(
                    self._current,
                    restoring.staging,
                    lambda: restoring.put_records(self._engine, self.beside),
                )
            else:
                restoring.put_records(self._engine, self.beside)
        return restoring.held

    def sweep(self) -> None:
        """Remove what a backup or a restoring left that was interrupted."""
        if self._one.acquire(blocking=False):  # else one is going on
            try:
                for prefix in (_MAKING, _RESTORING):
                    for left in self._place.glob(f"{prefix}*"):
                        shutil.rmtree(left)
            finally:
                self._one.release()


@contextmanager
def _opened(file: Path, place: Path, upgrade: Callable[[Engine], None]) -> Iterator[_Restoring]:
    """Unpack a backup below `place` and check it."""
    with TemporaryDirectory(prefix=_RESTORING, dir=place) as folder:
        try:
            held = _unpack(file, Path(folder))
        except (OSError, ValueError, KeyError, TypeError, zlib.error, zipfile.BadZipFile) as error:
            raise BackupUnusable(
                f"{file} is no whole backup ({error}): use another one; nothing was changed."
            ) from error
        engine = open_engine(f"sqlite:///{Path(folder) / _DATABASE}")
        try:
            try:
                upgrade(engine)
            except Exception as error:
                raise BackupUnusable(
                    f"{file} can't be read by this version of the bot: install a newer one."
                ) from error
            yield _Restoring(engine, Path(folder), held)
        finally:
            engine.dispose()


class _Restoring:
    """An unpacked backup on its way into the records."""

    def __init__(self, engine: Engine, folder: Path, held: Backup) -> None:
        self.held = held
        self.engine = engine
        self.staging = Staging(engine, _now)
        self._folder = folder

    def recount(self) -> None:
        """Finish the counts of terms, which an older bot kept otherwise or a backup cut off."""
        Ledger(self.engine, _now).recover()

    def leave_out_forgotten(self, target: Engine) -> None:
        """Forget here what has been forgotten in the target since the backup."""
        with reading(target).connect() as connection:
            gone = connection.scalars(select(forgotten.c.document)).all()
        ledger = Ledger(self.engine, _now)
        for document_id in gone:
            if ledger.standing(document_id) is not None:
                ledger.hide(document_id, bury=False)
                self.staging.discard(ledger.versions(document_id))
                ledger.remove(document_id)

    def put_blobs(self, blobs: Blobs) -> None:
        """Put the kept files that the records need where they belong."""
        for blob in self.staging.blobs():
            unpacked = self._folder / "blobs" / blob
            if unpacked.exists():  # else forgotten while the backup was made
                blobs.put(unpacked, blob)

    def put_records(self, target: Engine, beside: Mapping[Table, Sequence[str]]) -> None:
        """Let these records take the place of the target's in one transaction; of the tables
        beside them only what the target lacks comes back."""
        self.engine.dispose()
        connection = target.raw_connection()
        try:
            run = connection.cursor().execute
            run("ATTACH DATABASE ? AS restored", (str(self._folder / _DATABASE),))
            try:
                run("BEGIN IMMEDIATE")
                latest: Counter[str] = Counter()
                for each in ("main", "restored"):
                    latest |= Counter(dict(run(f"SELECT scope, generation FROM {each}.tally")))  # noqa: S608
                for table in reversed(metadata.sorted_tables):
                    if table not in _KEPT:
                        run(f"DELETE FROM main.{table.name}")  # noqa: S608 - our own names
                for table in metadata.sorted_tables:
                    names = ", ".join(f'"{column.name}"' for column in table.columns)
                    run(
                        f"INSERT OR IGNORE INTO main.{table.name} ({names}) "  # noqa: S608
                        f"SELECT {names} FROM restored.{table.name}"
                    )
                for table, same in beside.items():
                    names = ", ".join(f'"{c.name}"' for c in table.columns if not c.primary_key)
                    both = " AND ".join(f'here."{name}" = there."{name}"' for name in same)
                    run(
                        f"INSERT INTO main.{table.name} ({names}) "  # noqa: S608 - our own names
                        f"SELECT {names} FROM restored.{table.name} AS there WHERE NOT EXISTS "
                        f"(SELECT 1 FROM main.{table.name} AS here WHERE {both}) "
                        f"ORDER BY there.rowid"
                    )
                # Forgotten in the last moment: it answers no more, and `recover` removes the rest.
                run(
                    "UPDATE main.document SET live_version=NULL, source=?, name=id, incoming=NULL, "
                    "taught_by=NULL WHERE id IN (SELECT document FROM main.forgotten)",
                    (FORGOTTEN,),
                )
                if run("SELECT changes()").fetchone()[0]:
                    run("INSERT OR REPLACE INTO main.counter VALUES ('uncounted', 1)")
                for scope, generation in latest.items():
                    run(
                        "INSERT INTO main.tally (scope, passages, generation) VALUES (?, 0, ?) "
                        "ON CONFLICT (scope) DO UPDATE SET generation=excluded.generation",
                        (scope, generation + 1),
                    )
                run("COMMIT")
            except BaseException:
                if connection.driver_connection.in_transaction:  # type: ignore[union-attr]
                    run("ROLLBACK")
                raise
            finally:
                run("DETACH DATABASE restored")
            run("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()


def _now() -> datetime:
    return datetime.now(UTC)


def _copy_records(engine: Engine, copy: Path, beside: AbstractSet[str]) -> None:
    """Copy the database as of one moment, but for the rows of tables that aren't the records', nor
    beside them."""
    connection = engine.raw_connection()
    try:  # writers don't wait, and what was deleted is left behind
        connection.cursor().execute("VACUUM INTO ?", (str(copy),))
    finally:
        connection.close()
    copied = open_engine(f"sqlite:///{copy}")
    try:
        ours = metadata.tables.keys() | beside | {"alembic_version"}
        others = set(inspect(copied).get_table_names()) - ours
        with copied.begin() as writing:
            for name in sorted(others):
                writing.execute(delete(Table(name, MetaData())))
        with closing(copied.raw_connection()) as raw:
            raw.cursor().execute("VACUUM")
    finally:
        copied.dispose()


def _write(archive: zipfile.ZipFile, copy: Path, blobs: Blobs) -> Backup:
    hashes = {_DATABASE: _add(archive, copy, _DATABASE)}
    engine = open_engine(f"sqlite:///{copy}")
    try:
        needed = sorted(Staging(engine, _now).blobs())
        with reading(engine).connect() as connection:
            live = document.join(version, version.c.id == document.c.live_version)
            counts = select(func.count(), func.coalesce(func.sum(version.c.chunks), 0))
            documents, passages = connection.execute(counts.select_from(live)).one()
    finally:
        engine.dispose()
    for blob in needed:
        try:
            hashes[f"blobs/{blob}"] = _add(archive, blobs.path(blob), f"blobs/{blob}")
        except FileNotFoundError:  # forgotten since
            continue
    held = Backup(documents, passages, len(hashes) - 1, 0)
    manifest = {"format": _FORMAT, "made_at": datetime.now(UTC).isoformat(), "sha256": hashes}
    archive.writestr(_MANIFEST, json.dumps({**manifest, **asdict(held)}))
    return held


def _add(archive: zipfile.ZipFile, file: Path, name: str) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as source, archive.open(name, "w", force_zip64=True) as target:
        while block := source.read(_BLOCK):
            digest.update(block)
            target.write(block)
    return digest.hexdigest()


def _unpack(file: Path, folder: Path) -> Backup:
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read(_MANIFEST))
        if manifest["format"] != _FORMAT:
            raise ValueError(f"its format is {manifest['format']}, not {_FORMAT}")
        (folder / "blobs").mkdir()
        for name, expected in manifest["sha256"].items():
            if name != _DATABASE and not _BLOB.fullmatch(name):
                raise ValueError("it names a file that is no backup's")
            digest = hashlib.sha256()
            with archive.open(name) as source, (folder / name).open("xb") as target:
                while block := source.read(_BLOCK):
                    digest.update(block)
                    target.write(block)
            if digest.hexdigest() != expected:
                raise ValueError("a file in it is damaged")
    return Backup(
        manifest["documents"], manifest["passages"], manifest["files"], file.stat().st_size
    )
