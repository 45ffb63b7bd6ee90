"""What a reply says as a syntax tree, and the tree as a platform's Markdown.

Models write Markdown, more or less. It is read here into a few kinds of blocks: links, images and
HTML don't survive, only what they say. What goes out is written anew from the tree, with every run
of text escaped, so that nothing that a model or a document says can become markup of its own.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import regex
from markdown_it import MarkdownIt
from markdown_it.token import Token

Escape = Callable[[str], str]

_IGNORED: Final = ["html_block", "html_inline", "reference", "code", "lheading", "entity"]
_STYLES: Final = {"strong": "**", "em": "*", "s": "~~"}
_MARKER = regex.compile("\ue000(.*?)\ue001")
_NUMBER = regex.compile(r"\[\d{1,3}\]")
_MARKERS = regex.compile(r"((?:\[\d{1,3}\])+)(?:\n|$)")
_MARKER_LINE = regex.compile("^\ue000[^\ue001]*\ue001\n", regex.M)
_STRONG = regex.compile(r"\*\*(?=\S)([^*\n]+)(?<=\S)\*\*")
_ROW_OF_DASHES = regex.compile(r"\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*")
_ACTIVE_IN_CODE = regex.compile(
    r"(?:<|&lt;)(?=[@#!]|[a-z]+:)|@(?=everyone|here|channel)|:(?=//)|(?<=www)(?=\.\w)|`(?=`)",
    regex.I,
)
_TABLE_CELLS: Final = 20
_JOINER: Final = "\u200b"


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text in one style; `styles` are strong, em, s or code."""

    text: str
    styles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph, a heading, a line of a list or a quote: `lead` is what stands before it."""

    spans: tuple[Span, ...]
    lead: str = ""
    listed: int = 0
    """Which list it belongs to; 0 for none."""

    @property
    def text(self) -> str:
        """Return the words without their styles."""
        return "".join(span.text for span in self.spans)


@dataclass(frozen=True, slots=True)
class Code:
    """Lines that are shown as they are."""

    text: str
    language: str = ""
    cited: str = ""
    """The markers of the citations that got in; they stand right below."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, the header first; each has as many cells as the header."""

    rows: tuple[tuple[str, ...], ...]


Block = Prose | Code | Table


def with_marker(text: str, marker: str) -> str:
    """Return a sentence with its citations' marker behind it, where it breaks no fence or row.

    Until it is parsed, two private characters tell a marker from what a model says.
    """
    text = regex.sub("[\ue000\ue001]", "", text)
    if not marker:
        return text
    marker = f"\ue000{marker}\ue001"
    last = text.rpartition("\n")[2].strip()
    if last.startswith(("```", "~~~")):
        return f"{text}\n{marker}"
    if _ROW_OF_DASHES.fullmatch(last) and "|" in last:
        return text
    if last.startswith("|") and last.endswith("|") and len(last) > 1:
        return f"{text.rstrip()[:-1].rstrip()} {marker} |"
    gap = "" if not text or text[-1] > "\u2e7f" else " "  # Chinese stops bring their own space
    return text + gap + marker


def parse(text: str) -> list[Block]:
    """Return the blocks of a text that is meant as Markdown; never fails."""
    # Marks next to Chinese punctuation would not be read as such.
    text = _STRONG.sub(rf"**{_JOINER}\1{_JOINER}**", text)
    return _cited(_blocks(_reader().parse(text)))


@cache
def _reader() -> MarkdownIt:
    """Return what reads Markdown; it takes as long to make as a short answer takes to read."""
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable(_IGNORED)
    # Nothing is linked here, so that no address has to be valid either.
    reader.validateLink = lambda url: True  # type: ignore[method-assign]
    return reader


def _cited(blocks: Iterator[Block]) -> list[Block]:
    """Return the blocks, with the markers that stand right below a fence as the fence's own."""
    found: list[Block] = []
    for block in blocks:
        above = found[-1] if found else None
        if isinstance(above, Code) and isinstance(block, Prose) and not block.lead:
            first, *others = block.spans
            if below := _MARKERS.match(first.text):
                found[-1] = replace(above, cited=_numbers(above.cited + below[1]))
                rest = first.text[below.end() :]
                block = replace(block, spans=(replace(first, text=rest), *others))
                if not rest and not others:
                    continue
        found.append(block)
    return found


def _numbers(markers: str) -> str:
    """Return each of the markers once."""
    return "".join(dict.fromkeys(_NUMBER.findall(markers)))


def _blocks(tokens: Sequence[Token]) -> Iterator[Block]:
    quotes = 0
    lists: list[int | None] = []
    listed, lead = 0, ""
    rows: list[list[str]] = []
    inside = False
    for token in tokens:
        listed += not lists and token.type.endswith("list_open")
        match token.type:
            case "blockquote_open":
                quotes += 1
            case "blockquote_close":
                quotes -= 1
            case "bullet_list_open":
                lists.append(None)
            case "ordered_list_open":
                lists.append(int(token.attrs.get("start", 1)))
            case "bullet_list_close" | "ordered_list_close":
                lists.pop()
            case "list_item_open":
                number = lists[-1]
                lead = "  " * (len(lists) - 1) + ("- " if number is None else f"{number}. ")
                lists[-1] = None if number is None else number + 1
            case "heading_open":
                lead = "#" * min(int(token.tag[1]), 3) + " "
            case "table_open":
                rows, inside = [], True
            case "tr_open":
                rows.append([])
            case "table_close":
                inside = False
                yield Table(tuple(tuple(row[:_TABLE_CELLS]) for row in rows))
            case "inline" if inside:
                rows[-1].append("".join(span.text for span in _spans(token)).replace("\n", " "))
            case "inline":
                if spans := _spans(token):
                    yield Prose(spans, "> " * min(quotes, 1) + lead, listed if lists else 0)
                lead = "  " * len(lists)
            case "heading_close":
                lead = ""
            case "fence":
                yield from _code(token)
            case "hr":
                yield Prose((Span("———"),))
        if not lists and token.type.endswith("list_close"):
            lead = ""


def _code(token: Token) -> Iterator[Block]:
    """Return a fence's lines; citations that got in are shown below it."""
    cited = _numbers("".join(_MARKER.findall(token.content)))
    content = _MARKER_LINE.sub("", token.content)
    lines = [line.rstrip() for line in _MARKER.sub("", content).replace(_JOINER, "").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    language = regex.sub(r"[^\w+#.-]", "", token.info)[:20]
    if lines:
        yield Code("\n".join(lines), language, cited)
    elif cited:
        yield Prose((Span(cited),))


def _spans(token: Token) -> tuple[Span, ...]:
    """Return the runs of an inline token; a link is what it says, an image its description."""
    spans: list[Span] = []
    styles: list[str] = []

    def add(text: str, *more: str) -> None:
        text = regex.sub(f"[\ue000\ue001{_JOINER}]", "", text)
        style = (*dict.fromkeys(styles), *more)
        if spans and spans[-1].styles == style:
            text = spans.pop().text + text
        if text:
            spans.append(Span(text, style))

    for child in token.children or ():
        kind, _, edge = child.type.rpartition("_")
        match child.type:
            case "text":
                add(child.content)
            case "softbreak" | "hardbreak":
                add("\n")
            case "code_inline":
                add(child.content, "code")
            case "image":
                add(child.content)
            case _ if kind in _STYLES and edge == "open":
                styles.append(kind)
            case _ if kind in _STYLES and kind in styles:
                styles.remove(kind)
    return tuple(spans)


def write(block: Block, escape: Escape, *, tables: bool) -> str:
    """Return a block as Markdown; where a platform has no `tables`, one is drawn in a fence."""
    match block:
        case Code(text, language, cited):
            fence = f"```{language}\n{inert(text)}\n```"
            return f"{fence}\n{escape(cited)}" if cited else fence
        case Table(rows) if tables:
            lines = ["| " + " | ".join(_cell(cell, escape) for cell in row) + " |" for row in rows]
            lines.insert(1, "|" + " --- |" * len(rows[0]))
            return "\n".join(lines)
        case Table(rows):
            return write(Code(_drawn(rows)), escape, tables=False)
    words = "".join(_inline(block.spans, escape))
    indent = "> " if block.lead.startswith(">") else " " * len(block.lead) * bool(block.listed)
    if block.lead.lstrip("> ").startswith("#"):
        return block.lead + words.replace("\n", " ")
    return block.lead + words.replace("\n", f"\n{indent}")


def inert(code: str) -> str:
    """Return what stands in code without mentions and addresses, and without what could end it.

    Markup is off there already; not every platform knows fences of more than three marks.
    """
    return _ACTIVE_IN_CODE.sub(rf"\g<0>{_JOINER}", code)


def _inline(spans: Sequence[Span], escape: Escape) -> Iterator[str]:
    styled = False
    for span in spans:
        if not span.styles or not span.text.strip():
            yield escape(span.text)
            styled = False
            continue
        if styled:  # two marks in a row would be read as one
            yield _JOINER
        styled = True
        core = span.text.strip()
        before, _, after = span.text.partition(core)
        if "code" in span.styles:
            tick = "``" if "`" in core else "`"
            pad = " " if core[0] == "`" or core[-1] == "`" else ""
            yield f"{before}{tick}{pad}{inert(core).replace(chr(10), ' ')}{pad}{tick}{after}"
            continue
        marks = "".join(_STYLES[style] for style in span.styles)
        # Next to punctuation, Chinese above all, a mark would not be read as one.
        first = _JOINER if _is_sign(core[0]) else ""
        last = _JOINER if _is_sign(core[-1]) else ""
        yield f"{before}{marks}{first}{escape(core)}{last}{marks[::-1]}{after}"


def _is_sign(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


def _cell(text: str, escape: Escape) -> str:
    return escape(text).replace("\\|", "|").replace("|", "\\|")


def _drawn(rows: Sequence[Sequence[str]]) -> str:
    """Return a table in columns of equal width; a Chinese character is as wide as two others."""
    widths = [max(_width(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = [
        " | ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        )
        for row in rows
    ]
    lines.insert(1, "-+-".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def _width(text: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def halves(block: Block) -> tuple[Block, Block] | None:
    """Return a code block or table as two that stand alone; None where it is one line or prose."""
    match block:
        case Code(text, language, cited):
            lines = text.split("\n")
            if len(lines) < 2:
                return None
            middle = len(lines) // 2
            return (
                Code("\n".join(lines[:middle]), language),
                Code("\n".join(lines[middle:]), language, cited),
            )
        case Table((header, *rows)) if len(rows) > 1:
            middle = len(rows) // 2
            return Table((header, *rows[:middle])), Table((header, *rows[middle:]))
    return None


def unstyled(block: Block) -> Prose:
    """Return what a block says as plain prose, for where it fits no other way."""
    match block:
        case Prose():
            return replace(block, spans=(Span(block.text),))
        case Code(text, _, cited):
            return Prose((Span(f"{text} {cited}".rstrip()),))
        case Table(rows):
            return Prose((Span("\n".join(" · ".join(row) for row in rows)),))
