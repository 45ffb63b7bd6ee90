"""PP-OCR: finds the lines of text in a picture and reads them, with onnxruntime.

Detection gives each pixel the chance to be text, of shrunken lines; what hangs together is a line,
grown back to its size. Recognition reads a line 48 pixels high, left to right, a character or a
blank every few pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image
from scipy import ndimage

Grey: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float32]

_LEAST_SIDE, _MOST_ENLARGED = 736, 1.5
_STEP = 32  # the network halves a picture five times
_TEXT, _SURE = 0.3, 0.5  # chance of a pixel to count as text, mean chance of a line
_GROWN = 1.6
_THIN = 3
_MAX_LINES = 2_000
_HEIGHT = 48
_MAX_WIDTH = 3_200
_BATCH_WIDTH = 4_800
_READ = 0.5
_UPRIGHT = 1.5
_SKEW = np.tan(np.radians(0.5))


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text, with the box around it (left, top, right, bottom) and how sure it is."""

    box: tuple[int, int, int, int]
    text: str
    score: float


class PaddleOcr:
    """Detection and recognition of PP-OCR, given as ONNX; only one thread may use it."""

    def __init__(self, detection: bytes, recognition: bytes, *, threads: int) -> None:
        self._detection = _session(detection, threads)
        self._recognition = _session(recognition, threads)
        characters = self._recognition.get_modelmeta().custom_metadata_map["character"]
        self._characters = ["", *characters.split("\n"), " "]

    def read(self, page: Grey) -> list[Line]:
        """Return the lines of a picture, in no particular order."""
        quads = self._find(page)
        crops = [_straight(page, quad) for quad in quads]
        order = sorted(range(len(crops)), key=lambda i: crops[i].shape[1])
        lines: list[Line] = []
        for batch in _batches(order, crops):
            for i, (text, score) in zip(
                batch, self._recognise([crops[i] for i in batch]), strict=True
            ):
                if text.strip() and score >= _READ:
                    lines.append(Line(_bounds(quads[i]), text.strip(), score))
        return lines

    def _find(self, page: Grey) -> list[Floats]:
        """Return the corners of each line, clockwise from the top left."""
        height, width = page.shape
        scale = max(1.0, min(_LEAST_SIDE / min(height, width), _MOST_ENLARGED))
        size = tuple(max(_STEP, round(side * scale / _STEP) * _STEP) for side in (width, height))
        image = np.asarray(Image.fromarray(page).resize(size, Image.Resampling.BILINEAR))
        chances = self._detection.run(None, {"x": _tensor(image[None])})[0][0, 0]
        mask = ndimage.binary_dilation(chances > _TEXT, np.ones((2, 2)))
        labels = ndimage.label(mask, np.ones((3, 3)))[0]
        factors = np.array([width / size[0], height / size[1]], np.float32)
        quads = []
        for number, place in enumerate(ndimage.find_objects(labels)[:_MAX_LINES], 1):
            inside = labels[place] == number
            rows, columns = np.nonzero(inside)
            if chances[place][inside].mean() < _SURE:
                continue
            points = np.stack([columns + place[1].start, rows + place[0].start], 1)
            quad = _grown(_rectangle(points.astype(np.float32)))
            if quad is not None:
                quads.append(quad * factors)
        return quads

    def _recognise(self, crops: list[Grey]) -> Iterator[tuple[str, float]]:
        batch = np.full((len(crops), _HEIGHT, max(crop.shape[1] for crop in crops)), 127.5)
        for row, crop in zip(batch, crops, strict=True):
            row[:, : crop.shape[1]] = crop
        for chances in self._recognition.run(None, {"x": _tensor(batch)})[0]:
            best = chances.argmax(1)
            # A character counts once until another one, or a blank, comes.
            kept = (best > 0) & np.concatenate([[True], best[1:] != best[:-1]])
            scores = chances.max(1)[kept]
            text = "".join(self._characters[index] for index in best[kept])
            yield text, float(scores.mean()) if len(scores) else 0.0


def _session(model: bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # pages of all sizes would keep the most of each
    options.log_severity_level = 3
    # Threads that wait without sleeping take the processor from the chat model.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _tensor(images: npt.NDArray[Any]) -> Floats:
    """Return grey pictures as the networks want them: three colours from -1 to 1."""
    scaled = (images.astype(np.float32) / 127.5 - 1)[:, None]
    return np.ascontiguousarray(np.repeat(scaled, 3, axis=1))


def _rectangle(points: Floats) -> Floats:
    """Return the corners of the least rectangle around a line's pixels, along its direction."""
    centre = points.mean(0)
    around = points - centre
    horizontal = np.array([1.0, 0.0], np.float32)
    values, vectors = np.linalg.eigh(around.T @ around)
    along = vectors[:, 1].astype(np.float32)
    along = along * np.sign(along[0] or 1.0)
    is_long = values[1] > 9 * max(values[0], 1.0)
    if not is_long or abs(along[1]) <= _SKEW * abs(along[0]) or abs(along[0]) < 0.5:
        along = horizontal  # too short to tell, straight, or a column of upright characters
    across = np.array([-along[1], along[0]], np.float32)
    u, v = around @ along, around @ across
    left, right, top, bottom = u.min() - 0.5, u.max() + 0.5, v.min() - 0.5, v.max() + 0.5
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return np.array([centre + a * along + b * across for a, b in corners], np.float32)


def _grown(quad: Floats) -> Floats | None:
    """Return a rectangle grown as detection has shrunk it; None for a speck."""
    width, height = np.linalg.norm(quad[1] - quad[0]), np.linalg.norm(quad[3] - quad[0])
    if min(width, height) < _THIN:
        return None
    distance = width * height * _GROWN / (2 * (width + height))
    along, across = (quad[1] - quad[0]) / width, (quad[3] - quad[0]) / height
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    moves = [distance * (a * along + b * across) for a, b in signs]
    return (quad + np.array(moves, np.float32)).astype(np.float32)


def _straight(page: Grey, quad: Floats) -> Grey:
    """Return a line cut out and laid flat, as high as recognition wants it."""
    width = max(1.0, float(np.linalg.norm(quad[1] - quad[0])))
    height = max(1.0, float(np.linalg.norm(quad[3] - quad[0])))
    turned = height > _UPRIGHT * width
    if turned:  # read from top to bottom: laid on its side
        quad, width, height = np.roll(quad, -1, axis=0), height, width
    length = int(min(_MAX_WIDTH, max(_STEP, np.ceil(_HEIGHT * width / height))))
    origin = quad[0]
    a, d = (quad[1] - quad[0]) / length
    b, e = (quad[3] - quad[0]) / _HEIGHT
    data = (float(a), float(b), float(origin[0]), float(d), float(e), float(origin[1]))
    return np.asarray(_cut(page, quad, (length, _HEIGHT), data))


def _cut(page: Grey, quad: Floats, size: tuple[int, int], data: tuple[float, ...]) -> Grey:
    """Return the part of a page; made smaller by averages, which keep thin strokes."""
    left, top, right, bottom = _bounds(quad)
    left, top = max(left, 0), max(top, 0)
    part = Image.fromarray(page[top : bottom + 1, left : right + 1])
    a, b, c, d, e, f = data
    if abs(b) < 1e-6 and abs(d) < 1e-6:
        box = (c - left, f - top, c - left + a * size[0], f - top + e * size[1])
        box = (max(box[0], 0), max(box[1], 0), min(box[2], part.width), min(box[3], part.height))
        if box[2] - box[0] >= 1 and box[3] - box[1] >= 1:
            return np.asarray(part.resize(size, Image.Resampling.BILINEAR, box))
    moved = (a, b, c - left, d, e, f - top)
    return np.asarray(
        part.transform(size, Image.Transform.AFFINE, moved, Image.Resampling.BICUBIC, fillcolor=255)
    )


def _bounds(quad: Floats) -> tuple[int, int, int, int]:
    left, top = quad.min(0)
    right, bottom = quad.max(0)
    return int(left), int(top), int(np.ceil(right)), int(np.ceil(bottom))


def _batches(order: list[int], crops: list[Grey]) -> Iterator[list[int]]:
    """Yield lines of like length together, as many as memory has room for."""
    batch: list[int] = []
    for i in order:
        if batch and (len(batch) + 1) * crops[i].shape[1] > _BATCH_WIDTH:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
