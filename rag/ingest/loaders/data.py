"""JSON: records as rows, objects as lines, by the keys that lead to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob

from rag.ingest.loaders.code import CodeParser
from rag.ingest.loaders.encodings import decode
from rag.ingest.loaders.outline import Caption, Cell, Outline
from rag.ingest.loaders.tables import lines

_MAX_DEPTH = 4  # deeper keys become part of a line


class JsonParser(BaseBlobParser):
    """Yields a Document for each object of JSON or JSON lines; what isn't JSON stays text."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the objects in order; raise `DocumentError` UNSUPPORTED or TOO_LARGE."""
        text = decode(blob.as_bytes())
        value = _loaded(text)
        if value is None:
            yield from CodeParser().lazy_parse(blob)
            return
        outline = Outline()
        yield from _told(value, outline, 1)
        yield from outline.close()


def _loaded(text: str) -> Any:
    """Return what JSON or JSON lines say, or None for neither; the last of equal keys counts."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()] or None
    except json.JSONDecodeError:
        return None


def _told(value: Any, outline: Outline, level: int) -> Iterator[Document]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if _is_plain(inner) or level > _MAX_DEPTH:
                for line in _flat(key, inner):
                    outline.block(line, tight=True)
        for key, inner in value.items():
            if not (_is_plain(inner) or level > _MAX_DEPTH):
                yield from outline.heading(level, str(key))
                yield from _told(inner, outline, level + 1)
    elif isinstance(value, list):
        if value and all(isinstance(each, dict) for each in value):
            yield from outline.table(_records(value))
        else:
            for each in value:
                for line in _flat("-", each):
                    outline.block(line, tight=True)
    else:
        outline.block(_said(value))


def _records(values: list[dict[str, Any]]) -> Iterator[str | Cell | Caption]:
    """Yield a row for each object, which names its keys, those of the objects inside too."""
    for value in values:
        cells = [_split(line) for key, inner in value.items() for line in _flat(key, inner)]
        yield from lines([[name for name, _ in cells], [text for _, text in cells]], header=True)


def _split(line: str) -> tuple[str, str]:
    name, _, text = line.partition(": ")
    return (name, text) if text else ("", name)


def _flat(key: str, value: Any) -> Iterator[str]:
    """Yield the values in and under `value`, a line each with the keys that lead there."""
    stack: list[tuple[str, Any]] = [(str(key), value)]
    while stack:
        path, here = stack.pop()
        if isinstance(here, dict):
            stack.extend((f"{path}.{name}", inner) for name, inner in reversed(here.items()))
        elif isinstance(here, list) and all(_is_single(each) for each in here):
            yield _line(path, ", ".join(map(_said, here)))
        elif isinstance(here, list):
            stack.extend((path, inner) for inner in reversed(here))
        else:
            yield _line(path, _said(here))


def _line(path: str, text: str) -> str:
    path = path.removeprefix("-.")
    return f"- {text}" if path == "-" else f"{path}: {text}"


def _is_single(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _is_plain(value: Any) -> bool:
    """Tell whether a value reads well on the line of its key."""
    return _is_single(value) or (isinstance(value, list) and all(map(_is_single, value)))


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
