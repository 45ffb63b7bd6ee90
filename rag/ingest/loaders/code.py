"""Source code and settings files: the text as it stands, by what it defines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from langchain_core.document_loaders.base import BaseBlobParser
from langchain_core.documents import Document
from langchain_core.documents.base import Blob

from rag.ingest.loaders.encodings import decode
from rag.ingest.loaders.outline import clean, document

_DEFINITION = re.compile(
    r"(?P<indent>[ ]*)(?:(?:export|default|public|private|protected|internal|static|final|abstract"
    r"|async|override|virtual|inline|sealed|data|pub(?:\([a-z]+\))?|unsafe)\s+){0,5}"
    r"(?:def|class|func|function|fn|interface|struct|enum|trait|impl|type|module|namespace|object"
    r"|record|protocol|extension|sub|procedure|defmodule|message|service|resource|create\s+table)"
    r"\s+(?:\([^)\n]{0,80}\)\s*)?[\"'`]?(?P<name>[\w.:$<>-]{0,80}[\w$>])",
    re.IGNORECASE,
)
_KEY = re.compile(r"(?P<indent>)[\"']?(?P<name>[\w./-]{1,80})[\"']?\s*:(?:\s|$)")
_TABLE = re.compile(r"(?P<indent>)\[{1,2}(?P<name>[^\]\n]{1,80})\]")
_PATTERNS = {
    ".yaml": _KEY,
    ".yml": _KEY,
    ".toml": _TABLE,
    ".ini": _TABLE,
    ".cfg": _TABLE,
    ".conf": _TABLE,
}


class CodeParser(BaseBlobParser):
    """Yields a Document for each definition, or each key at the top of a settings file."""

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Yield the parts in order; raise `DocumentError(UNSUPPORTED)` for binary data."""
        text = clean(decode(blob.as_bytes()))
        pattern = _PATTERNS.get(PurePath(str(blob.path)).suffix.lower(), _DEFINITION)
        path: list[tuple[int, str]] = []
        lines: list[str] = []
        for line in text.split("\n"):
            if found := pattern.match(line):
                # What stands above a definition without an empty line is its comment.
                cut = len(lines)
                while cut and lines[cut - 1].strip() and _is_comment(lines[cut - 1]):
                    cut -= 1
                if any(part.strip() for part in lines[:cut]):
                    yield _part(lines[:cut], path)
                    lines = lines[cut:]
                depth = len(found["indent"])
                path = [(indent, name) for indent, name in path if indent < depth]
                path.append((depth, found["name"]))
            lines.append(line)
        yield _part(lines, path)


def _part(lines: list[str], path: list[tuple[int, str]]) -> Document:
    return document("\n".join(lines), section=" > ".join(name for _, name in path) or None)


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(("#", "//", "/*", "*", "--", "@", '"""'))
