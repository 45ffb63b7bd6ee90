"""PNG, JPEG, TIFF and WebP: pictures whose text is to be read."""

from __future__ import annotations

import io
from collections.abc import Iterator

from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from rag.errors import DocumentCode, DocumentError
from rag.ingest.loaders.limits import MAX_PIXELS, MAX_SCANS
from rag.ingest.loaders.outline import picture

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP")
_LONG_SIDE = 2_600
_LEAST_SIDE = 24
_ENLARGED = 1.33
_SMALL_SIDE = 1_800
_BACKGROUND = 255

Grey = tuple[int, int, bytes]


class PictureParser(BaseBlobParser):
    """Yields a picture to be read for each frame of an image file."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the frames; raise `DocumentError` CORRUPT or TOO_LARGE."""
        with opened(blob.as_bytes()) as image:
            pages: int = getattr(image, "n_frames", 1)
            if pages > MAX_SCANS:
                raise DocumentError(DocumentCode.TOO_LARGE, f"{pages} pictures in one file")
            for number, frame in enumerate(ImageSequence.Iterator(image), 1):
                if (raster := grey(frame)) is not None:
                    yield picture(raster, page=number if pages > 1 else None, pages=pages)


def opened(data: bytes) -> Image.Image:
    """Open an image of a known format; raise `DocumentError` CORRUPT or TOO_LARGE."""
    Image.MAX_IMAGE_PIXELS = None  # our own limit is an error, not a warning
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise DocumentError(DocumentCode.CORRUPT, "no picture can be made out") from error
    if image.width * image.height > MAX_PIXELS:
        raise DocumentError(DocumentCode.TOO_LARGE, f"{image.width} x {image.height} pixels")
    return image


def grey(image: Image.Image) -> Grey | None:
    """Return a picture as grey values, of a size that text is read best at; None for none.

    What is transparent is white, as paper is; the camera's turn is undone.
    """
    if image.width * image.height > MAX_PIXELS:
        raise DocumentError(DocumentCode.TOO_LARGE, f"{image.width} x {image.height} pixels")
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, (_BACKGROUND,) * 4)
        image = Image.alpha_composite(paper, image)
    image = _levelled(image)
    if min(image.size) < _LEAST_SIDE or _is_blank(image):
        return None
    longest = max(image.size)
    scale = _LONG_SIDE / longest if longest > _LONG_SIDE else 1.0
    if longest <= _SMALL_SIDE:
        scale = _ENLARGED
    if scale != 1.0:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.BOX)
    return image.width, image.height, image.tobytes()


def _levelled(image: Image.Image) -> Image.Image:
    """Return 8 bits of grey; 16 bits are shifted, not cut."""
    if image.mode in {"I", "I;16", "I;16B", "F"}:
        low, high = image.convert("F").getextrema()
        span = max(float(high) - float(low), 1e-6)  # type: ignore[arg-type]
        return image.convert("F").point(lambda v: (v - low) * 255 / span).convert("L")
    return image.convert("L")


def _is_blank(image: Image.Image) -> bool:
    """Tell whether a picture has nothing on it: one tone but for specks."""
    histogram = image.histogram()
    total = sum(histogram)
    seen, low, high = 0, 0, 255
    for level, count in enumerate(histogram):
        if seen < 0.0005 * total <= seen + count:
            low = level
        if seen < 0.9995 * total <= seen + count:
            high = level
        seen += count
    return high - low < 24
