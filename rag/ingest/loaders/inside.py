"""Pictures inside texts: of Office files, books and pages."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

from langchain_core.documents import Document

from rag.ingest.loaders.limits import MAX_INSIDE, MAX_PIXELS_INSIDE
from rag.ingest.loaders.outline import Outline, picture

_ICON = 64  # pixels: no picture that is lower or narrower has text in it
_LARGEST = 25_000_000


class Inside:
    """The pictures that stand in a text: each is handed on once, in its place, and only so many.

    None is a reason to refuse the text: a picture that cannot be opened is passed over.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._left = MAX_INSIDE
        self._pixels = MAX_PIXELS_INSIDE

    def read(self, name: str, data: Callable[[], bytes], outline: Outline) -> Iterator[Document]:
        """Yield what the outline has gathered, then the picture; nothing if it isn't handed on."""
        if name in self._seen or not self._left:
            return
        self._seen.add(name)
        try:
            raster = self._raster(data())
        except Exception:  # damage that Pillow tells of in many ways, or a part that isn't there
            return
        if raster is not None:
            yield from outline.close()
            yield picture(raster, section=outline.section, inside=True)

    def related(self, part: Any, relation: str, outline: Outline) -> Iterator[Document]:
        """Yield the same for a picture that a part of an Office file refers to."""
        found = part.rels.get(relation)
        if found is not None and not found.is_external:
            target = found.target_part
            yield from self.read(str(target.partname), lambda: bytes(target.blob), outline)

    def embedded(self, address: str, outline: Outline) -> Iterator[Document]:
        """Yield the same for a picture whose bytes are its address, as HTML may have them."""
        head, _, data = address.partition(",")
        if head.startswith("data:image/") and head.endswith(";base64"):
            yield from self.read(address, lambda: b64decode(unquote(data)), outline)

    def _raster(self, data: bytes) -> tuple[int, int, bytes] | None:
        from rag.ingest.loaders.pictures import grey, opened  # heavy, and most texts have none

        with opened(data) as image:
            pixels = image.width * image.height
            if min(image.size) < _ICON or pixels > min(_LARGEST, self._pixels):
                return None
            self._left -= 1
            self._pixels -= pixels
            return grey(image)
