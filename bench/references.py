"""What can be read in a file, found without our loaders and without the converters compared.

The text of an Office file is every text element of its parts; of a page or book, what is neither
script nor navigation; of a PDF, what two of three engines agree on; of our own files, what they
were made of.
"""

from __future__ import annotations

import csv
import html
import io
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from pathlib import Path

_PARTS = {
    ".docx": re.compile(r"word/(document|footnotes|endnotes|comments)\.xml"),
    ".pptx": re.compile(r"ppt/(slides|notesSlides)/[^/]+\.xml"),
    ".xlsx": re.compile(r"xl/sharedStrings\.xml"),
    ".epub": re.compile(r".*\.x?html?"),
}
_ENCODINGS = {
    "g__zh_gbk.csv": "gbk",
    "g__zh_gbk_meta.html": "gbk",
    "g__zh_utf16le_bom.txt": "utf-16",
    "g__zhtw_big5.txt": "big5",
    "u__fake-html-cp1252.html": "cp1252",
    "u__fake-text-utf-32.txt": "utf-32",
    "u__umlauts-non-utf8.md": "latin-1",
}
_UNREAD = re.compile(
    "script|style|noscript|template|head|nav|footer|svg|select|button|iframe|textarea|object"
)
_INLINE = re.compile("b|i|em|strong|span|a|sup|sub|font|small|u|code")
_VOID = re.compile("area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr")
# Single letters are left out: engines disagree on words that are set w i d e.
_WORD = re.compile(r"[^\W\d_\u3040-\u9fff\uac00-\ud7af]{2,}|\d+|[\u3400-\u9fff]")
_HYPHEN = re.compile(r"(?<=[a-zà-ÿ])[-\u2010\u00ad]\s*\n\s*(?=[a-zà-ÿ])")

Words = Counter[str]


def words(text: str) -> Words:
    """Return the words of a text, a Chinese character each, however often."""
    text = unicodedata.normalize("NFKC", html.unescape(text)).replace("\\", "")
    return Counter(_WORD.findall(_HYPHEN.sub("", text).lower()))


def share(found: str | None, reference: Words) -> float | None:
    """Return the share of the reference's words that a text has; None where there is no text."""
    total = sum(reference.values())
    return sum((words(found) & reference).values()) / total if found and total else None


# A scan whose text layer is misread, on which all engines agree: written down from what it shows.
_TRANSCRIBED = {
    "u__pdf__pdf-with-ocr-text.pdf": """
SUGAR RESEARCH FOUNDATION, INC. Rec'd 7/27
TO: MESSRS. ABBOTT, BOSTOCK, BUNKER, GREENE, KELLY, NADLER, and PLACE
FROM: ODY H. LAMBORN
Desiring to keep you posted on the progress of the Foundation you will be interested to know that to
date the Foundation has received the following:
(a) A letter from The Amalgamated Sugar Company accepting membership and enclosing their check, and
executed contracts.
(b) A letter from California and Hawaiian Sugar Refining Corporation, Ltd. accepting membership and
enclosing their check and executed contracts.
(c) A letter from Central Aguirre Associates accepting membership and enclosing their check and
executed contracts.
(d) A letter from Liquid Sugars, Inc. accepting membership and enclosing their check and executed
contracts.
(e) A letter from The National Sugar Refining Company accepting membership and enclosing their
executed contracts.
(f) A letter from the Savannah Sugar Refining Corporation accepting membership and enclosing their
executed contracts.
Source: https://www.industrydocuments.ucsf.edu/docs/mjgl0226
""",
}


def reference(file: Path, engines: Mapping[str, str | None]) -> Words:
    """Return the words that a file has; none for what isn't text, or isn't known."""
    data = file.read_bytes()
    beside = file.with_name(f"{file.name}.txt")
    if beside.exists():
        return words(beside.read_text(encoding="utf-8"))
    if file.name in _TRANSCRIBED:
        return words(_TRANSCRIBED[file.name])
    suffix = ".pptx" if file.name == "g__wrong_ext.pdf" else file.suffix.lower()
    if suffix in _PARTS:
        return words("\n".join(_office(data, suffix)))
    if suffix == ".pdf":
        return agreed(text for text in engines.values() if text)
    text = data.decode(_ENCODINGS.get(file.name, "utf-8-sig"), "replace")
    if suffix in {".html", ".htm"}:
        return words(_page(text))
    if suffix == ".csv":
        return words("\n".join(cell for row in csv.reader(io.StringIO(text)) for cell in row))
    return words(text)


def agreed(texts: Iterable[str]) -> Words:
    """Return the words that at least two texts have, as often as two of them do."""
    counts = [words(_once(text)) for text in texts]
    found: Words = Counter()
    for word in set().union(*counts):
        often = sorted((count[word] for count in counts), reverse=True)
        found[word] = often[1] if len(often) > 1 else 0
    return +found


def _once(text: str) -> str:
    """Return a text without lines that were printed twice, one above the other."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return "\n".join(
        line for line, before in zip(lines, ["", *lines], strict=False) if line != before
    )


def _office(data: bytes, suffix: str) -> Iterable[str]:
    try:
        package = zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile:
        return
    with package:
        for name in package.namelist():
            if _PARTS[suffix].fullmatch(name):
                text = package.read(name).decode("utf-8", "replace")
                yield _page(text) if suffix == ".epub" else _runs(text)


def _runs(text: str) -> str:
    """Return the text elements of a part: a paragraph is a line, what was deleted is out."""
    text = re.sub(r"<mc:Fallback>.*?</mc:Fallback>", "", text, flags=re.DOTALL)
    text = re.sub(r'<a:fld [^>]*type="slidenum".*?</a:fld>', "", text, flags=re.DOTALL)
    text = re.sub(r"</(w:p|a:p|si)>|<w:(tab|br)\b[^>]*>", "<w:t>\n</w:t>", text)
    return "".join(re.findall(r"<(?:[wa]:)?t(?:\s[^>]*)?>([^<]*)</(?:[wa]:)?t>", text))


def _page(text: str) -> str:
    main = re.search(r"<main\b.*</main\s*>", text, re.DOTALL | re.IGNORECASE)
    seen = _Seen()
    seen.feed(main[0] if main else text)
    return "".join(seen.parts)


class _Seen(HTMLParser):
    """Gathers what people see of a page that isn't navigation."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._unread: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not _INLINE.fullmatch(tag):
            self.parts.append(" ")
        if _VOID.fullmatch(tag):
            return
        about = dict(attrs)
        style = (about.get("style") or "").replace(" ", "").lower()
        if (
            self._unread
            or _UNREAD.fullmatch(tag)
            or "hidden" in about
            or about.get("role") in {"navigation", "search"}
            or about.get("aria-hidden") == "true"
            or "display:none" in style
        ):
            self._unread.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not _INLINE.fullmatch(tag):
            self.parts.append(" ")
        if tag in self._unread:
            while self._unread.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.parts.append(data)
