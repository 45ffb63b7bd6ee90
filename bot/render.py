"""A reply as the text of a platform: sentences with their markers, then the sources, split to fit.

Whatever a model or a document says is plain text here. It is cleaned of characters that nobody
sees, split, and only then escaped, so that no split can cut an escape sequence or open a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import regex

from bot.markdown import Block, Escape, Prose, Span, halves, parse, unstyled, with_marker, write
from bot.messages import Citation, Language, Reply, ReplyChunk, Status

QUOTE_LENGTH: Final = 200
_NAMES_SHOWN: Final = 3
_EMPTY: Final = {"en": "There is nothing to say.", "zh": "没有可显示的内容。"}
_SOURCES: Final = {"en": "Sources:", "zh": "来源："}
_NEAREST: Final = {"en": "The nearest documents:", "zh": "最接近的文档："}
_READING: Final = {"en": "Reading {}…", "zh": "正在阅读 {}…"}

# Bidi overrides, zero-width characters, tags and fillers; the two joiners, the variation selectors
# and a flag's tags are meant to be invisible and stay where a cluster needs them.
_INVISIBLE = regex.compile(
    r"(?V1)[[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\uFFFE\uFFFF]"
    r"--[\n\t\u200c\u200d\p{Variation_Selector}\U000E0020-\U000E007F"
    r"\p{Prepended_Concatenation_Mark}]]"
    r"|(?<![\p{L}\p{M}\p{Extended_Pictographic}\p{Emoji_Modifier}])[\u200c\u200d]"
    r"|[\u200c\u200d](?![\p{L}\p{M}\p{Extended_Pictographic}\u2640\u2642])"
    r"|(?<!\U0001F3F4[\U000E0020-\U000E007F]*)[\U000E0020-\U000E007F]"
)
_LINE_END = regex.compile(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# No script needs more than a handful of marks on a letter; "zalgo" text has hundreds.
_STACKED = regex.compile(r"(\p{M}{8})\p{M}+")
_MANY_LINES = regex.compile(r"[ \t]*\n(?:[ \t]*\n){2,}")

# One step of a split: a cluster with the markers that follow it, which stay together.
_STEP = regex.compile(r"\X(?: ?\[\d{1,3}\]){1,9}|\X")
_NARROW_END = regex.compile(r"[.!?][\"'”’)]*(?: ?\[\d{1,3}\])*$")
_WIDE_END = regex.compile(r"[。！？；…][”’」』）]*(?: ?\[\d{1,3}\])*$")
_SPLIT_QUALITIES: Final = ("paragraph", "line", "sentence", "space")


def clean(text: str) -> str:
    """Return `text` without control, bidi-control, zero-width and other invisible characters."""
    text = _LINE_END.sub("\n", text).encode("utf-16", "replace").decode("utf-16")
    return _STACKED.sub(r"\1", _INVISIBLE.sub("", text))


def _one_line(text: str) -> str:
    return " ".join(clean(text).split())


def shorten(text: str, length: int = QUOTE_LENGTH) -> str:
    """Return `text` on one line, cut at a word's end with an ellipsis where it is longer."""
    text = _one_line(text)
    if len(text) <= length:
        return text
    clusters = regex.findall(r"\X", text[:length])[:-1]  # the cut may have torn the last one
    head = "".join(clusters)
    cut = max(head.rfind(" "), head.rfind("，") + 1, head.rfind("。") + 1)
    return (head[:cut] if cut > length // 2 else head).rstrip() + "…"


def source_line(citation: Citation, language: Language) -> str:
    """Return a citation as one line: number, document, page, section and the quoted passage."""
    place = place_line(citation, language)
    quote = shorten(citation.quote)
    if not quote:
        return place
    return f"{place}：“{quote}”" if language == "zh" else f"{place}: “{quote}”"


def place_line(citation: Citation, language: Language) -> str:
    """Return where a citation stands as one line: number, document, page and section."""
    place = f"[{citation.number}] {_one_line(citation.document)}"
    if citation.page is not None:
        place += f"，第 {citation.page} 页" if language == "zh" else f", p. {citation.page}"
    return f"{place} · {_one_line(citation.section)}" if citation.section else place


def sources(citations: Iterable[Citation], language: Language) -> str:
    """Return the list of sources under its heading, one line a number; empty without citations."""
    numbered = {citation.number: citation for citation in citations}
    lines = [source_line(numbered[number], language) for number in sorted(numbered)]
    return "\n".join([_SOURCES[language], *lines]) if lines else ""


def listing(reply: Reply) -> str:
    """Return what stands below a reply: its sources or, of a refusal, the nearest documents."""
    if reply.nearest:
        lines = [place_line(citation, reply.language) for citation in reply.nearest]
        return "\n".join([_NEAREST[reply.language], *lines])
    cited = reply.citations or [c for chunk in reply.chunks for c in chunk.citations]
    return sources(cited, reply.language)


def progress(status: Status) -> str:
    """Return a status in one line, with how much of how much where its words don't tell yet."""
    text = _one_line(status.text)
    if status.done is None or status.total is None or str(status.total) in text:
        return text
    return f"{text} {status.done}/{status.total}"


def reading(citations: Iterable[Citation], language: Language) -> str:
    """Return the line that tells, while the answer is written, which documents it is read from."""
    names = list(dict.fromkeys(_one_line(citation.document) for citation in citations))
    shown = ("、" if language == "zh" else ", ").join(names[:_NAMES_SHOWN])
    return _READING[language].format(shown + (" …" if len(names) > _NAMES_SHOWN else ""))


def body(reply: Reply) -> str:
    """Return the reply's words as plain text, each sentence followed by its markers."""
    if not reply.chunks:
        return clean(reply.text).strip()
    parts = []
    for chunk in reply.chunks:
        sentence = chunk.text.rstrip()
        markers = "".join(f"[{n}]" for n in dict.fromkeys(c.number for c in chunk.citations))
        gap = "" if not markers or not sentence or _ends_wide(sentence) else " "
        parts.append(sentence + gap + markers + chunk.text[len(sentence) :])
    return _MANY_LINES.sub("\n\n", clean("".join(parts))).strip()


def _ends_wide(sentence: str) -> bool:
    return sentence[-1] > "\u2e7f"  # Chinese punctuation brings its own space


def plain(reply: Reply) -> str:
    """Return the whole reply as plain text, sources included; never empty."""
    parts = [body(reply), listing(reply)]
    return "\n\n".join(part for part in parts if part) or _EMPTY[reply.language]


def split(text: str, escape: Escape, limit: int) -> list[str]:
    """Return `text` in pieces whose escaped form has at most `limit` characters, none of them
    blank; a piece ends where a paragraph, line, sentence or word ends if it can."""
    steps = _STEP.findall(text)
    pieces = []
    start = 0
    while start < len(steps):
        taken = _fitting(steps[start : start + limit], escape, limit)
        if not taken and len(steps[start]) > 1:  # one cluster longer than a whole message
            steps[start : start + 1] = list(steps[start])
            continue
        if not taken:
            raise ValueError(f"a limit of {limit} has no room for one character")
        if start + taken < len(steps):
            taken = _best_end(steps[start : start + taken + 1])
        piece = "".join(steps[start : start + taken]).strip()
        start += taken
        if piece:
            pieces.append(piece)
    return pieces


def _fitting(steps: list[str], escape: Escape, limit: int) -> int:
    """Return how many of the first steps fit together, by bisection."""
    low, high = 0, len(steps)
    while low < high:
        middle = (low + high + 1) // 2
        if len(escape("".join(steps[:middle]).strip())) <= limit:
            low = middle
        else:
            high = middle - 1
    return low


def _best_end(steps: list[str]) -> int:
    """Return after how many steps to split; the last step is the first that no longer fits."""
    most = len(steps) - 1
    found: dict[str, int] = {}
    for end in range(most, most // 2, -1):
        before, after = steps[end - 1], steps[end]
        tail = "".join(steps[max(0, end - 4) : end])
        if tail.endswith("\n\n"):
            found.setdefault("paragraph", end)
        elif before == "\n":
            found.setdefault("line", end)
        elif _WIDE_END.search(tail) or (after.isspace() and _NARROW_END.search(tail)):
            found.setdefault("sentence", end)
        elif after.isspace():
            found.setdefault("space", end)
    return next((found[quality] for quality in _SPLIT_QUALITIES if quality in found), most)


def render(
    reply: Reply,
    escape: Escape,
    limit: int,
    *,
    tables: bool = False,
    listed: bool = True,
    whole: bool = True,
) -> list[str]:
    """Return the reply as messages of Markdown of at most `limit` characters; at least one.

    A code block that is too long is closed and opened again, a table repeats its header. `tables`
    says that the platform shows them; `listed` appends the sources. What isn't `whole` yet is
    shown without the code or table that it is in, so that it only ever grows.
    """
    text = _marked(reply.chunks) if reply.chunks else clean(reply.text).strip()
    blocks: list[Block] = list(parse(text))
    while not whole and blocks and not isinstance(blocks[-1], Prose):
        blocks.pop()
    if listed and (lines := listing(reply)):
        blocks.append(Prose((Span(lines),)))
    return pack(blocks or [Prose((Span(_EMPTY[reply.language]),))], escape, limit, tables=tables)


def _marked(chunks: Sequence[ReplyChunk]) -> str:
    """Return sentences with their markers as Markdown, before it is parsed."""
    parts = []
    for chunk in chunks:
        sentence = clean(chunk.text)
        words = sentence.rstrip()
        markers = "".join(f"[{n}]" for n in dict.fromkeys(c.number for c in chunk.citations))
        parts.append(with_marker(words, markers) + sentence[len(words) :])
    return _MANY_LINES.sub("\n\n", "".join(parts)).strip()


def pack(blocks: Sequence[Block], escape: Escape, limit: int, *, tables: bool) -> list[str]:
    """Return blocks as messages of Markdown of at most `limit` characters, none of them blank."""
    messages: list[str] = []
    todo, listed = list(blocks)[::-1], 0
    while todo:
        block = todo.pop()
        written = write(block, escape, tables=tables).rstrip()
        if not written.strip():
            continue
        of_list = block.listed if isinstance(block, Prose) else 0
        gap = "\n" if of_list and of_list == listed else "\n\n"
        if messages and len(messages[-1]) + len(gap) + len(written) <= limit:
            messages[-1] += gap + written
        elif len(written) <= limit:
            messages.append(written)
        elif parts := halves(block):
            todo += parts[::-1]
            continue
        else:
            plain_block = unstyled(block)
            messages += [escape(piece) for piece in split(plain_block.text, escape, limit)]
        listed = of_list
    return messages


_SLACK = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "://": ":\u200b//"}
_SLACK_ACTIVE = regex.compile(r"[&<>]|://")


def escape_slack(text: str) -> str:
    """Escape plain text for Slack's mrkdwn: no mention, no channel, no link, no address."""
    return _SLACK_ACTIVE.sub(lambda match: _SLACK[match[0]], text)


_DISCORD_ACTIVE = regex.compile(
    r"[\\*_~`|<]"  # emphasis, spoilers, code; emoji, dates and links in angle brackets
    r"|(?<=\])\("  # [text](address)
    r"|:(?=//)|\.(?=[a-z]{2,}/)"  # addresses, and invitations without a scheme
    r"|^\s*\K(?:>|-(?=#))|(?<!\S)#(?=#{0,2}\s)",  # quotes, small print, headings
    regex.M | regex.I,
)
_DISCORD_MENTION = regex.compile(r"@(?=everyone|here)|<(?=[@#])", regex.I)


def escape_discord(text: str) -> str:
    """Escape plain text for Discord's markdown: no markup, no mention, no link."""
    text = _DISCORD_ACTIVE.sub(lambda match: "\\" + match[0], text)
    return _DISCORD_MENTION.sub(lambda match: match[0] + "\u200b", text)


_MARKDOWN_ACTIVE = regex.compile(
    r"\\(?=[!-/:-@\[-`{-~])|[*`]|(?<!\w)_|_(?!\w)|~(?=~)|(?<=~)~"  # emphasis, code
    r"|(?<=\])\(|\[(?=[^\]\n]*\]:)"  # [text](address), [name]: address
    r"|^\s*\K(?:[#+=]|-(?=[\s-]))|^\s*\d+\K[.)](?=\s)",  # headings, lists
    regex.M,
)
_MARKDOWN_NAMES = regex.compile(
    r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=&[lg]t;)(?=[@#!])|(?<=@)(?=everyone|here|channel)", regex.I
)


def escape_slack_markdown(text: str) -> str:
    """Escape plain text for Slack's Markdown blocks: no markup, no mention, no link."""
    text = _MARKDOWN_ACTIVE.sub(lambda match: "\\" + match[0], text)
    text = regex.sub("[&<>]", lambda match: _SLACK[match[0]], text)
    return _MARKDOWN_NAMES.sub("\u200b", text)
