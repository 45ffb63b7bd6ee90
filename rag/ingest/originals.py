"""The bytes that documents were read from: kept, or still in a watched folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from rag.errors import DocumentCode, DocumentError
from rag.ingest.blobs import Blobs, fingerprint, is_kept, opened
from rag.records import Original

_ONE_OFF = "path:"


class Originals:
    """Opens what documents were read from; safe from any thread.

    `roots` are the watched folders by what their documents have as their source.
    """

    def __init__(self, blobs: Blobs, roots: Mapping[str, Path], *, max_bytes: int) -> None:
        self._blobs = blobs
        self._roots = roots
        self._max_bytes = max_bytes

    @contextmanager
    def opened(self, original: Original) -> Iterator[int]:
        """Open the very bytes for reading; raise `DocumentError(CHANGED)` if they are gone."""
        file, root = self._file(original)
        with opened(file, root) as source:
            if root and fingerprint(source, file.name, self._max_bytes).blob != original.blob:
                raise DocumentError(DocumentCode.CHANGED, "the file has changed since it was read")
            yield source

    def _file(self, original: Original) -> tuple[Path, Path | None]:
        """Return where a document's bytes should be, and the folder that they must be in."""
        if is_kept(original.source):
            return self._blobs.path(original.blob), None
        root = self._roots.get(original.source)
        if root is None and original.source.startswith(_ONE_OFF):
            root = Path(original.source.removeprefix(_ONE_OFF))
        with suppress(OSError, ValueError):
            if root is not None:
                root = root.resolve(strict=True)
                file = (root / original.name).resolve(strict=True)
                if file.is_relative_to(root):
                    return file, root
        raise DocumentError(DocumentCode.CHANGED, "the file is gone")
