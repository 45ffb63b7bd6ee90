"""Rows O1, O3 and O4 for Slack: what a model says is only ever shown."""

from __future__ import annotations

import re

import pytest

from bot.adapters.delivery import View
from bot.adapters.slack.blocks import PAGE_LIMIT, Page, pages
from bot.markdown import inert
from bot.messages import Citation, Reply, ReplyChunk, Request
from bot.render import escape_slack_markdown, render
from tests.doubles import slack_payloads as payloads
from tests.doubles.slack_limits import UPDATE_LIMIT, blocks_problem
from tests.reliability.rows import cases
from tests.reliability.test_discord_text import (
    FENCE,
    FORMS,
    INLINE,
    LOST,
    NAUGHTY,
    OVERRIDES,
    SCHEMES,
    cited,
    long_text,
)

ACTIVE = re.compile(
    r"<[!@#]|&lt;[!@#]"  # mentions, also where Slack would read the escape
    r"|<(?:https?|mailto|tel|slack):"
    r"|(?:https?|steam|discord|slack|ftp)://|www\.\w"
    r"|@(?:everyone|here|channel)\b",
    re.IGNORECASE | re.MULTILINE,
)
LINK = re.compile(
    r"(?<!\\)(?:\\\\)*\]\([^)\s]"  # [text](address)
    r"|^ {0,3}\[[^\]\n]+\]:\s*\S",  # [name]: address
    re.MULTILINE,
)
SLACKS = [
    "<!channel>",
    "<!here|here>",
    "<!subteam^S012|@team>",
    "<@U0123456>",
    "<@U0123456|ann>",
    "<#C0123456|general>",
    "<https://evil.example/?q=1|click me>",
    "<mailto:a@b.example|mail>",
    "<slack://user?team=T1&id=U1|x>",
    "@channel",
    "&lt;!channel&gt;",
    "&amp;lt;@U0123456&amp;gt;",
    "\\<!channel>",
    "`<!channel>`",
    "```\n<!channel> https://evil.example\n```",
    "<!date^1392734382^{date}^https://evil.example|x>",
]


def shown(text: str, *, pieces: list[str] | None = None) -> list[Page]:
    """Return every message that Slack is sent for what a model says, while it is written too."""
    request = Request("Ev1", "slack", "ask", "?", "U1", "c", "public", frozenset())
    view = View(request)
    found: list[Page] = []
    chunks = tuple(ReplyChunk(piece) for piece in pieces or [text])
    for chunk in chunks:
        view = view.after(chunk)
        found += pages(view)
    quote = Citation(1, f"{text[:40]}.pdf", 1, text[:40], text, 0, len(text))
    return found + pages(view.after(Reply("answer", text, "en", chunks, (quote,))))


def active(page: Page) -> str | None:
    """Return what Slack would make of a message: a mention or a link; None for nothing.

    The notification's text is mrkdwn, where an escaped bracket is only shown.
    """
    if re.search(r"[<>]|&(?!(?:amp|lt|gt);)|://", page.text):
        return page.text
    found = ACTIVE.search(page.markdown) or ACTIVE.search(inert(page.status or ""))
    found = found or LINK.search(without_code(page.markdown))
    return found[0] if found else None


def without_code(markdown: str) -> str:
    """Return what is not in code, where Markdown's own signs mean nothing."""
    return INLINE.sub("", FENCE.sub("", markdown))


@pytest.mark.parametrize("naughty", SLACKS)
def test_the_oracle_knows_what_is_active(naughty: str) -> None:
    if "lt;" not in naughty:
        assert active(Page(f"see {naughty} there", "")) is not None
        assert active(Page("", f"see {naughty} there")) or "<" not in naughty
    assert active(Page("see [x](y) there", ""))
    assert active(Page("[x]: y", ""))
    assert active(Page("```\n[x](y)\n```", "")) is None


def test_o1_nothing_that_a_model_says_is_active_wherever_the_stream_is_cut() -> None:
    strings = NAUGHTY + SLACKS
    for case in cases("O1", "Slack's naughty strings at every cut", full=3800, sample=60):
        naughty = strings[case.number % len(strings)]
        text = f"First. {naughty} and {case.chance.choice(strings)}. Last."
        at = case.chance.randrange(1, len(text))
        for page in shown(text, pieces=[text[:at], text[at:]]):
            assert active(page) is None, (text, at, page)
            assert OVERRIDES.search(str(page.blocks())) is None


def test_o3_no_link_is_left_in_any_form() -> None:
    for case in cases("O3", "Slack's links in every form", full=500, sample=40):
        form = [*FORMS, "<{url}|click>"][case.number % (len(FORMS) + 1)]
        scheme = case.chance.choice([*SCHEMES, "slack://"])
        url = f"{scheme}evil.example/{case.chance.getrandbits(64):x}?q=secret"
        for page in shown(f"Look: {form.format(url=url)}\n\nDone."):
            assert active(page) is None, (form, url, page)
            assert not re.search(r'"(?:url|image_url|link)"', str(page.blocks()))


def test_o4_every_message_is_one_that_slack_takes() -> None:
    for case in cases("O4", "Slack's limits", full=1000, sample=15):
        text = long_text(case.chance)
        split = render(
            cited(text, case.chance), escape_slack_markdown, PAGE_LIMIT, tables=True, listed=False
        )
        assert not any(LOST.match(each) for each in split), split
        for page in shown(text):
            assert page.markdown.strip()
            assert 0 < len(page.text) <= UPDATE_LIMIT
            assert OVERRIDES.search(page.markdown) is None
            assert len(re.findall(r"^`{3,}", page.markdown, re.MULTILINE)) % 2 == 0, page
            f"{page.markdown}{page.text}".encode()  # no half of a pair
            assert blocks_problem(page.blocks()) is None
            sent = {"channel": "C1", "text": page.text, "blocks": page.blocks()}
            assert payloads.violation("ChatPostMessage", sent) is None
            assert rows_are_whole(page.markdown)


def rows_are_whole(markdown: str) -> bool:
    """Tell whether every row of every table stands on one line below its header."""
    rows = [line for line in without_code(markdown).split("\n") if line.startswith("| ")]
    return not rows or any("---" in row for row in rows)
