"""Rows O1, O3 and O4 for Discord: what a model says is only ever shown."""

from __future__ import annotations

import random
import re

import discord
import pytest

from bot.adapters.delivery import View
from bot.adapters.discord.surface import CONTENT_LIMIT, DiscordSurface
from bot.messages import Citation, Reply, ReplyChunk, Request
from bot.render import escape_discord, render
from tests.doubles.discord_schema import fault_of_request
from tests.reliability.rows import cases

FENCE = re.compile(r"^(`{3,})[^\n`]*\n.*?^\1`*$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(?<![\\`])(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
ACTIVE = re.compile(
    r"@(?:everyone|here)\b"
    r"|<(?:@[!&]?|#)\d+>"  # people, roles, channels
    r"|(?<!\\)(?:\\\\)*<(?:a?:\w+:\d+|t:\d+(?::\w)?|/[\w ]+:\d+|id:\w+)>"  # emoji, dates, commands
    r"|(?:https?|steam|discord|ftp)://"
    r"|(?<!\\)(?:\\\\)*\]\([^)\s]"  # [text](address)
    r"|discord\.(?:gg|com/invite)/\w",
    re.IGNORECASE,
)
LOST = re.compile(r"\s*\[\d+\]")
"""How a message begins that has a citation without its sentence."""
TEN = range(1, 10)
OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069]")
NAUGHTY = [
    "@everyone",
    "@here",
    "<@123456789012345678>",
    "<@!123456789012345678>",
    "<@&123456789012345678>",
    "<#123456789012345678>",
    "<:smile:123456789012345678>",
    "<t:1700000000:R>",
    "</ask:123456789012345678>",
    "[x](https://evil.example)",
    "[x](<https://evil.example>)",
    "![x](https://evil.example/a.png)",
    "<https://evil.example>",
    "https://evil.example/?q=secret",
    "discord.gg/abcdef",
    "HTTPS://EVIL.example",
    "[a]: https://evil.example\n[a]",
    "```\n@everyone\n```\n@everyone",
    "`code`@here`",
    "\\@everyone \\<@123456789012345678>",
    "<script>alert(1)</script>",
    "<a href='https://evil.example'>x</a>",
    "||spoiler|| ~~gone~~ __under__",
    "> quote\n# heading\n-# small",
    "\u202e@everyone\u202c",
    "@\u200beveryone @every\u200bone",
    "&lt;@123456789012345678&gt; &#64;everyone",
    "\x00\x1b[31m\ud83d @here",
    "𝕋𝕙𝕖 🏳️‍🌈 👩‍👩‍👧‍👦 שלום مرحبا",
    "[x]\n(https://evil.example)",
    "h\u200bttps://evil.example",
    "``` ` ```` @everyone ``",
]
FORMS = [
    "{url}",
    "<{url}>",
    "[click]({url})",
    '[click]({url} "title")',
    "![image]({url})",
    "[![image]({url})]({url})",
    "[click][1]\n\n[1]: {url}",
    "[click][]\n\n[click]: {url}",
    "<a href='{url}'>click</a>",
    "<img src='{url}'>",
    "`x` {url}",
    "| a |\n|---|\n| {url} |",
    "- [ ] {url}",
    "> {url}",
    "**{url}**",
    "# {url}",
    "\\{url}",
    "[click](\n{url}\n)",
    "{url})",
    "||{url}||",
]
SCHEMES = ["https://", "http://", "HTTP://", "steam://", "discord://", "https:\\/\\/"]


def shown(text: str, *, pieces: list[str] | None = None) -> list[str]:
    """Return every text that Discord is sent for what a model says, while it is written too."""
    request = Request(
        "1:ask", "discord", "ask", "?", "2", "3", "public", frozenset(),
        address={"guild": "@me", "channel": "4", "message": "1"},
    )  # fmt: skip
    surface = DiscordSurface(discord.Client(intents=discord.Intents(guilds=True)))
    view = View(request)
    texts = []
    chunks = tuple(ReplyChunk(piece) for piece in pieces or [text])
    for chunk in chunks:
        view = view.after(chunk)
        texts += [each.text for each in surface.render(view)]
    quote = Citation(1, f"{text[:40]}.pdf", 1, text[:40], text, 0, len(text))
    view = view.after(Reply("answer", text, "en", chunks, (quote,)))
    return texts + [each.text for each in surface.render(view)]


def active(text: str) -> str | None:
    """Return what Discord would make of a text: a mention, a link, an emoji; None for nothing."""
    found = ACTIVE.search(INLINE.sub("", FENCE.sub("", text)))
    return found[0] if found else None


@pytest.mark.parametrize("naughty", ["@everyone", "<@1>", "https://a.b", "[x](y)", "<:a:1>"])
def test_the_oracle_knows_what_is_active(naughty: str) -> None:
    assert active(f"see {naughty} there")


def test_o1_nothing_that_a_model_says_is_active_wherever_the_stream_is_cut() -> None:
    for case in cases("O1", "Discord's naughty strings at every cut", full=3800, sample=60):
        naughty = NAUGHTY[case.number % len(NAUGHTY)]
        text = f"First. {naughty} and {case.chance.choice(NAUGHTY)}. Last."
        cut = case.chance.randrange(1, len(text))
        for each in shown(text, pieces=[text[:cut], text[cut:]]):
            assert active(each) is None, (text, cut, each)
            assert OVERRIDES.search(each) is None
            assert len(each) <= CONTENT_LIMIT


def test_o3_no_link_is_left_in_any_form() -> None:
    for case in cases("O3", "Discord's links in every form", full=500, sample=40):
        form = FORMS[case.number % len(FORMS)]
        scheme = case.chance.choice(SCHEMES)
        url = f"{scheme}evil.example/{case.chance.getrandbits(64):x}?q=secret"
        for each in shown(f"Look: {form.format(url=url)}\n\nDone."):
            assert active(each) is None, (form, url, each)


def test_o4_every_message_is_one_that_discord_takes() -> None:
    for case in cases("O4", "Discord's limits", full=1000, sample=15):
        text = long_text(case.chance)
        split = render(cited(text, case.chance), escape_discord, CONTENT_LIMIT, listed=False)
        assert not any(map(LOST.match, split)), split
        for each in shown(text):
            assert 0 < len(each) <= CONTENT_LIMIT
            assert each.strip()
            assert OVERRIDES.search(each) is None
            assert len(re.findall(r"^`{3,}", each, re.MULTILINE)) % 2 == 0, each
            each.encode()  # no half of a pair
            body = {"content": each, "nonce": "1", "enforce_nonce": True, "flags": 4}
            assert fault_of_request("POST", "/channels/1/messages", body) is None


def cited(text: str, chance: random.Random) -> Reply:
    """Return an answer whose every sentence, line of code and row has one or two citations."""
    pieces = re.findall(r"[^\n]+?(?:[。.] ?|\n+|$)", text)
    chunks = tuple(
        ReplyChunk(each, tuple(Citation(n, "d", 1, None, "q", 0, 1) for n in chance.sample(TEN, 2)))
        for each in pieces
    )
    return Reply("answer", text, "en", chunks)


def long_text(chance: random.Random) -> str:
    """Return paragraphs, code, tables, lists, emoji and right-to-left text in some order."""
    kinds = [
        lambda: "第一条：员工每年享有二十五天带薪年假。" * chance.randint(1, 120),
        lambda: "```python\n" + "x = 1  # комментарий\n" * chance.randint(1, 150) + "```",
        lambda: "```\n" + "no end of it\n" * chance.randint(1, 50),
        lambda: "| a | b |\n|---|---|\n" + "| 1 | 二 |\n" * chance.randint(1, 200),
        lambda: "".join(f"- item {n} 👩‍👩‍👧‍👦\n" for n in range(chance.randint(1, 150))),
        lambda: "👩‍👩‍👧‍👦🏳️‍🌈" * chance.randint(1, 400),
        lambda: "שלום \u202eمرحبا\u202c " * chance.randint(1, 300),
        lambda: "w" * chance.randint(1, 5000),
        lambda: "*~_`|\\<>" * chance.randint(1, 400),
        lambda: "Some words in a sentence. " * chance.randint(1, 150),
    ]
    return "\n\n".join(chance.choice(kinds)() for _ in range(chance.randint(1, 5)))
