import re

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from bot.messages import Citation, Language, Outcome, Reply, ReplyChunk, Status
from bot.render import (
    clean,
    escape_discord,
    escape_slack,
    escape_slack_markdown,
    plain,
    progress,
    reading,
    render,
    shorten,
    split,
)


def citation(number: int = 1, quote: str = "Ten days a year.", **fields: str | int) -> Citation:
    known = {"document": "handbook.pdf", "page": 3, "section": "Leave > Sick leave"} | fields
    page = known["page"]
    assert isinstance(page, int)
    return Citation(
        number, str(known["document"]), page, str(known["section"]), quote, 0, len(quote)
    )


def answer(*chunks: ReplyChunk, language: Language = "en") -> Reply:
    cited = tuple(c for chunk in chunks for c in chunk.citations)
    text = "".join(chunk.text for chunk in chunks)
    outcome: Outcome = "answer"
    return Reply(outcome, text, language, chunks, cited)


def same(text: str) -> str:
    return text


def test_a_sentence_is_followed_by_its_markers_and_the_answer_by_its_sources() -> None:
    first, second = citation(1), citation(2, "Ask Ann.", document="faq.md")
    reply = answer(ReplyChunk("You get ten days. ", (first, second)), ReplyChunk("Ask Ann.", ()))
    assert plain(reply) == (
        "You get ten days. [1][2] Ask Ann.\n\nSources:\n"
        "[1] handbook.pdf, p. 3 · Leave > Sick leave: “Ten days a year.”\n"
        "[2] faq.md, p. 3 · Leave > Sick leave: “Ask Ann.”"
    )


def test_chinese_replies_have_chinese_sources() -> None:
    reply = answer(ReplyChunk("病假十天。", (citation(quote="每年十天。"),)), language="zh")
    assert plain(reply) == (
        "病假十天。[1]\n\n来源：\n[1] handbook.pdf，第 3 页 · Leave > Sick leave：“每年十天。”"
    )


def test_a_source_is_listed_once_and_without_what_is_not_known() -> None:
    bare = Citation(1, "notes.txt", None, None, "Yes.", 0, 4)
    reply = answer(ReplyChunk("Yes. ", (bare,)), ReplyChunk("Really.", (bare, bare)))
    assert plain(reply) == "Yes. [1] Really. [1]\n\nSources:\n[1] notes.txt: “Yes.”"


def test_a_reply_without_chunks_is_its_text() -> None:
    assert render(Reply("refusal", "I can't find that.", "en"), same, 100) == ["I can't find that."]


def test_a_refusal_lists_the_nearest_documents_without_quoting_them() -> None:
    near = (citation(1), Citation(2, "faq.md", None, None, "Ask Ann.", 0, 8))
    assert plain(Reply("refusal", "I can't find that.", "en", nearest=near)) == (
        "I can't find that.\n\nThe nearest documents:\n"
        "[1] handbook.pdf, p. 3 · Leave > Sick leave\n[2] faq.md"
    )
    [message] = render(Reply("refusal", "找不到。", "zh", nearest=near), same, 1000)
    assert message.endswith(
        "最接近的文档：\n[1] handbook.pdf，第 3 页 · Leave > Sick leave\n[2] faq.md"
    )


@pytest.mark.parametrize("text", ["", "\u200b\u3164", " \n\t"])
def test_a_reply_is_never_blank(text: str) -> None:
    for language in ("en", "zh"):
        [message] = render(Reply("answer", text, language), escape_slack, 100)
        assert message.strip()


def test_quotes_are_cut_at_a_word() -> None:
    assert shorten("one  two\nthree") == "one two three"
    cut = shorten("word " * 100)
    assert len(cut) <= 200
    assert cut.endswith("word…")
    assert len(shorten("字" * 300)) == 200


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\u2066b\u2069c\u200ed", "abcd"),
        ("pass\u200bword\u2060\ufeff", "password"),
        ("bell\x07 nul\x00 esc\x1b[31m", "bell nul esc[31m"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("hidden\U000e0041\U000e0042", "hidden"),
        ("\u3164", ""),
        ("a\u200db", "ab"),
        ("e" + "\u0301" * 500, "e" + "\u0301" * 8),
    ],
)
def test_what_nobody_sees_is_dropped(text: str, cleaned: str) -> None:
    # Between Latin letters a joiner means nothing; Persian and emoji need theirs.
    assert clean(text).replace("\u200d", "") == cleaned


@pytest.mark.parametrize(
    "text", ["👩‍👩‍👧‍👦", "❤️‍🔥", "👩🏽‍⚕️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🇩🇪", "می‌خواهم", "क्‍ष", "été 中文，\t好\n"]
)
def test_what_belongs_to_a_script_or_an_emoji_stays(text: str) -> None:
    assert clean(text) == text


def test_lone_surrogates_cannot_break_the_connection() -> None:
    assert clean("a\ud800b").encode()


CITED = ReplyChunk("请假需要提前三天。", (citation(1), citation(12)))


@pytest.mark.parametrize("escape", [same, escape_slack_markdown, escape_discord])
@pytest.mark.parametrize("limit", [40, 100, 2000])
@pytest.mark.parametrize(
    "sentence",
    [
        "The rule <b> & 'x' is ten_days. ",
        "规则是十天，包括周末。",
        "👩‍👩‍👧‍👦🇩🇪❤️‍🔥 ",
        "מותר עשרה ימים. ",
        "x" * 90,
    ],
)
def test_long_replies_split_inside_the_limit_and_lose_nothing(
    escape: object, limit: int, sentence: str
) -> None:
    assert callable(escape)
    chunks = [ReplyChunk(sentence, (citation(n % 99 + 1),)) for n in range(30)]
    reply = answer(*chunks)
    messages = render(reply, escape, limit)
    assert all(0 < len(message) <= limit for message in messages)
    pieces = split(plain(reply), escape, limit)
    assert "".join("".join(pieces).split()) == "".join(plain(reply).split())
    shown = regex.sub(r"[\u200b\s\\]", "", "".join(messages))
    assert shown == regex.sub(r"[\u200b\s\\]", "", escape(plain(reply)))
    markers = [n for piece in pieces for n in re.findall(r"\[(\d+)\]", piece)]
    assert markers == re.findall(r"\[(\d+)\]", plain(reply))
    clusters = [c for piece in pieces for c in regex.findall(r"\X", piece)]
    whole = regex.findall(r"\X", plain(reply))
    assert [c for c in clusters if not c.isspace()] == [c for c in whole if not c.isspace()]


def test_a_split_prefers_paragraphs_then_sentences_then_words() -> None:
    assert split("a b.\n\nc d. e", same, 11) == ["a b.", "c d. e"]
    assert split("One two. Three four", same, 14) == ["One two.", "Three four"]
    assert split("一二三。四五六七", same, 6) == ["一二三。", "四五六七"]
    assert split("alpha beta gamma", same, 12) == ["alpha beta", "gamma"]


def test_markers_stay_with_their_sentence() -> None:
    assert split("Ten days. [1][2] Ask Ann.", same, 18) == ["Ten days. [1][2]", "Ask Ann."]


def test_a_cluster_longer_than_a_message_is_cut_after_all() -> None:
    assert split("👩‍👩‍👧‍👦", same, 3) == ["👩\u200d👩", "\u200d👧\u200d", "👦"]


@given(
    st.text(), st.sampled_from([escape_slack_markdown, escape_discord, same]), st.integers(24, 60)
)
def test_any_text_is_rendered_within_its_limit(text: str, escape: object, limit: int) -> None:
    assert callable(escape)
    messages = render(Reply("answer", text, "en"), escape, limit)
    assert messages
    assert all(message.strip() and len(message) <= limit for message in messages)
    assert "".join(messages).encode()


SPOOFS = [
    "<!channel> <!here|here> <!subteam^S1>",
    "<@U0123456> <@123456789012345678> <@!12> <@&34> <#C012|general> <#56>",
    "<https://evil.example/?q=1|click me> <mailto:a@b.example>",
    "[click](https://evil.example/x) ![pixel](https://evil.example/p.png)",
    "https://evil.example/leak HTTPS://EVIL.example discord.gg/abcdef Discord.com/invite/abc",
    "@everyone @here @EVERYONE",
    "-# small ||spoiler||",
    "<t:1700000000:R> </forget:12> <a:dance:12> <id:customize>",
]

SLACK_ACTIVE = re.compile(
    r"<|\]\(|https?://|www\.|&(?!(?:amp|lt|gt);)|&lt;[@#!]|@(?:everyone|here|channel)", re.I
)
DISCORD_ACTIVE = re.compile(
    r"(?<!\\)(?:\\\\)*[|<]|<[@#]|@(?:everyone|here)|\]\(|https?://|discord\.(?:gg|com)/|^\s*-#",
    re.I | re.M,
)


@pytest.mark.parametrize("spoof", SPOOFS)
def test_nothing_that_a_model_says_is_active(spoof: str) -> None:
    for offset in range(len(spoof) + 1):
        for cited in ((), (citation(),)):
            halves = ReplyChunk(spoof[:offset], cited), ReplyChunk(spoof[offset:])
            for message in render(answer(*halves), escape_slack_markdown, 60, tables=True):
                assert not SLACK_ACTIVE.search(message), message
            for message in render(answer(*halves), escape_discord, 60):
                assert not DISCORD_ACTIVE.search(message), message


def test_documents_and_quotes_are_as_inert_as_the_answer() -> None:
    evil = citation(quote="<!channel>\n[1] fake.pdf", document="<@U1>\u202e.md", section="*x*\ny")
    text = "\n".join(render(answer(ReplyChunk("Yes.", (evil,))), escape_slack, 3000))
    assert "<" not in text
    assert "\u202e" not in text
    assert len(text.splitlines()) == 4


def test_ordinary_words_stay_as_they_are() -> None:
    text = "Mail ann@team.example about C# at 3.5% - see p. 3: handbook.pdf [1] (new) #42"
    assert escape_slack(text) == text
    assert escape_discord(text) == text


def test_progress_counts_once() -> None:
    assert progress(Status("a.pdf: reading", 3, 12)) == "a.pdf: reading 3/12"
    assert progress(Status("a.pdf: reading 3 of 12", 3, 12)) == "a.pdf: reading 3 of 12"
    assert progress(Status("Searching…")) == "Searching…"


def test_reading_names_each_document_once() -> None:
    found = [citation(1), citation(2), citation(3, document="faq.md")]
    assert reading(found, "en") == "Reading handbook.pdf, faq.md…"
    assert reading(found, "zh") == "正在阅读 handbook.pdf、faq.md…"
