"""The documents that have tables, and their tables, read anew from the bytes for each question."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from rag.audience import Audience
from rag.ingest.originals import Originals
from rag.ingest.parsed import Grid
from rag.records import Original, Records
from rag.tables.reading import tables
from rag.tables.table import Table

SUFFIXES = (".csv", ".tsv", ".tab", ".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")


class SheetDocuments:
    """Finds documents of sheets and reads their tables; nothing is kept of them.

    `read` takes a file's cells, in a sandbox. Safe from any thread.
    """

    def __init__(
        self, records: Records, originals: Originals, read: Callable[[Path], list[Grid]]
    ) -> None:
        self._records = records
        self._originals = originals
        self._read = read

    def known(self, audience: Audience) -> list[Original]:
        """Return the documents of sheets that the audience may see."""
        return self._records.originals(SUFFIXES, audience)

    def tables(self, original: Original) -> list[Table]:
        """Return a document's tables; blocking, raises `DocumentError`."""
        with self._originals.opened(original) as source, TemporaryDirectory() as folder:
            # What a file of separated values is, only its name says.
            link = Path(folder) / f"sheet{Path(original.blob).suffix}"
            link.symlink_to(f"/dev/fd/{source}")
            return tables(self._read(link), original.name)
