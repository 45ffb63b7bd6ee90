"""Which skill a plain message gets: by its intent, and by what there is here to do it with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.dispatch import Dispatcher, Limits
from bot.handlers.small_talk import SmallTalk
from bot.links import links, without_links
from bot.messages import Language, Reply, ReplyEvent, Request
from bot.router import INTENTS, Intent, Router, examples
from bot.routing import Routing
from rag.language import language_of
from tests.bot.fakes import collect, request

TAUGHT: dict[Intent, list[str]] = {
    "question": ["where is the office", "who signs the form", "办公室在哪里", "谁签字"],
    "summary": ["summarise the notes", "sum up the report", "总结一下报告", "概括这份文件"],
    "table": ["total of the column", "sum of all rows", "这一列总和多少", "按城市合计"],
    "reminder": ["remind me at noon", "remind us on Monday", "提醒我吃药", "明天提醒大家"],
    "small_talk": ["hello there", "thanks a lot", "你好呀", "谢谢你"],
}
SAID: dict[Intent, str] = {
    "question": "who signs the contract",
    "summary": "sum up the minutes",
    "table": "the total of all rows",
    "reminder": "remind me on Monday",
    "small_talk": "thanks there",
}


def meaningless(texts: list[str]) -> Sequence[Sequence[float]]:
    """Embed nothing: wording alone decides."""
    return [[0.0, 0.0] for _ in texts]


@dataclass
class Place:
    """What is known where a message is said."""

    names: list[str] = field(default_factory=list)
    sheets: bool = False
    key: str = "one"
    heard: list[Any] = field(default_factory=list)

    async def routing(self, folder: Path) -> Routing:
        router = Router(meaningless, TAUGHT)

        def named(text: str, audience: Any) -> list[str]:
            self.heard.append(audience)
            return self.names

        made = Routing(
            router,
            folder / "router.npz",
            key=lambda: self.key,
            named=named,
            has_tables=lambda audience: self.sheets,
        )
        await made.ready()
        return made


async def routed(place: Place, folder: Path, text: str, **more: Any) -> Request:
    asked = request(text, plain=True, **more)
    return await (await place.routing(folder))(asked, language_of(text))


def test_what_was_learned_is_kept_for_the_same_examples(tmp_path: Path) -> None:
    asked: list[str] = []

    def meaning(texts: list[str]) -> Sequence[Sequence[float]]:
        asked.extend(texts)
        return [[1.0, float(len(text))] for text in texts]

    kept = tmp_path / "router.npz"
    first = Router(meaning, TAUGHT)
    first.learn(kept, "e")
    learned = len(asked)
    again = Router(meaning, TAUGHT)
    again.learn(kept, "e")
    assert len(asked) == learned
    assert again.tell(SAID["table"]) == first.tell(SAID["table"])
    Router(meaning, TAUGHT).learn(kept, "another embedder")
    assert len(asked) > learned + 2
    kept.write_bytes(b"broken")
    Router(meaning, TAUGHT).learn(kept, "e")
    assert kept.stat().st_size > 6


def test_it_learns_its_examples_and_the_same_each_time(tmp_path: Path) -> None:
    one, other = Router(meaningless, TAUGHT), Router(meaningless, TAUGHT)
    one.learn(tmp_path / "one.npz", "e")
    other.learn(tmp_path / "other.npz", "e")
    for intent, texts in TAUGHT.items():
        for text in (*texts, SAID[intent]):
            shares = one.tell(text)
            assert next(iter(shares)) == intent
            assert shares == other.tell(text)
            assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize("text", ["", "?!", "🎉", "x" * 4000, "\u202e", "1 2 3"])
def test_whatever_is_said_it_tells_something(text: str, tmp_path: Path) -> None:
    router = Router(meaningless, TAUGHT)
    router.learn(tmp_path / "router.npz", "e")
    assert set(router.tell(text)) == set(INTENTS)


def test_the_examples_are_many_in_both_languages() -> None:
    for texts in examples().values():
        assert len(texts) == len(set(texts)) > 100
        assert {language_of(text) for text in texts} == {"en", "zh"}


@pytest.mark.parametrize(
    ("intent", "place", "command"),
    [
        ("question", Place(["a.md"], sheets=True), "ask"),
        ("summary", Place(["minutes.md"]), "summarise"),
        ("summary", Place(), "ask"),
        ("table", Place(sheets=True), "table"),
        ("table", Place(), "ask"),
        ("reminder", Place(), "remind"),
        ("small_talk", Place(), "small_talk"),
    ],
)
async def test_a_skill_is_chosen_where_there_is_something_to_do_it_with(
    intent: Intent, place: Place, command: str, tmp_path: Path
) -> None:
    taken = await routed(place, tmp_path, SAID[intent])
    assert taken.command == command
    if command == "summarise":
        assert taken.text == "minutes.md"
    else:
        assert taken.text == SAID[intent]


@pytest.mark.parametrize("text", ["cancel: remind me on Monday", "把提醒大家的提醒取消"])
async def test_reminders_that_stand_are_listed(tmp_path: Path, text: str) -> None:
    taken = await routed(Place(), tmp_path, text)
    assert (taken.command, taken.text) == ("reminders", "")


async def test_a_link_is_read_and_several_documents_are_compared(tmp_path: Path) -> None:
    taken = await routed(Place(), tmp_path, "sum up https://example.org/notes, please")
    assert taken.text == "https://example.org/notes"
    taken = await routed(Place(["a.md", "b.md"]), tmp_path, "sum up the notes of a.md and b.md")
    assert taken.text == "a.md\nb.md"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("who signs the contract, see https://example.org/law?", "lookup"),
        ("https://example.org/law里谁签字", "lookup"),
        ("who signs? https://example.org/law https://example.org/money", "ask"),
        ("who signs? https://acme.slack.com/archives/C1/p1700000000000100", "ask"),
        ("who signs the form on example.org", "ask"),
        ("the total of all rows of https://example.org/law", "lookup"),
        ("remind me on Monday: https://example.org/law", "remind"),
    ],
)
async def test_a_question_that_names_a_page_is_put_to_it(
    text: str, command: str, tmp_path: Path
) -> None:
    taken = await routed(Place(), tmp_path, text)
    assert (taken.command, taken.text) == (command, text)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("see https://example.org/a_(b), or (https://example.org/c).", ["/a_(b)", "/c"]),
        ("https://example.org/a里的价格？https://example.org/a", ["/a"]),
        ("“https://example.org/a?b=c&d=%20#e”", ["/a?b=c&d=%20#e"]),
        ("<https://example.org/a> https:// http://", ["/a"]),
    ],
)
def test_addresses_end_where_the_words_go_on(text: str, named: list[str]) -> None:
    assert links(text) == [f"https://example.org{each}" for each in named]
    assert "example" not in without_links(text)


async def test_what_was_missed_is_the_channels_and_a_thread_its_own(tmp_path: Path) -> None:
    around = {"channel": "channel:C1", "thread": "thread:C1/1.5", "title": "#general"}
    taken = await routed(Place(), tmp_path, "sum up what I missed since yesterday", around=around)
    assert taken.command == "missed"
    (attached,) = taken.attachments
    assert attached.name == "#general"
    assert attached.reference.startswith("channel:C1/")
    taken = await routed(Place(), tmp_path, "sum up the notes", around=around)
    assert taken.command == "summarise"
    assert taken.attachments[0].reference == "thread:C1/1.5"


async def test_who_may_see_less_is_looked_up_with_less(tmp_path: Path) -> None:
    place = Place(["minutes.md"])
    await routed(place, tmp_path, SAID["summary"], audience=frozenset({"slack:E:T:C"}))
    assert [audience.scopes for audience in place.heard] == [{"slack:E:T:C"}]


async def test_until_it_has_learned_everything_is_a_question(tmp_path: Path) -> None:
    place = Place(sheets=True)
    made = Routing(
        Router(meaningless, TAUGHT),
        tmp_path / "router.npz",
        key=lambda: place.key,
        named=lambda text, audience: [],
        has_tables=lambda audience: True,
    )
    asked = request(SAID["table"], plain=True)
    assert await made(asked, "en") is asked
    await made.ready()
    assert (await made(asked, "en")).command == "table"
    place.key = "two"  # another embedding model
    assert await made(asked, "en") is asked
    await made.ready()
    assert (await made(asked, "en")).command == "table"


class Says:
    """Answers with its own name."""

    def __init__(self, command: str) -> None:
        self.command = command

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(self, request: Request, language: Language) -> AsyncIterator[ReplyEvent]:
        """Yield the name."""
        yield Reply("answer", self.command, language)


def dispatcher(routing: Any, **more: Any) -> Dispatcher:
    handlers: list[Any] = [Says("ask"), Says("table"), SmallTalk()]
    return Dispatcher(
        handlers,
        language_of=language_of,
        explain=lambda error, language: None,
        limits=Limits(),
        route=routing,
        **more,
    )


async def test_only_plain_messages_are_routed_and_the_reply_says_so(tmp_path: Path) -> None:
    door = dispatcher(await Place(sheets=True).routing(tmp_path))
    _, plain = await collect(door.handle(request(SAID["table"], plain=True)))
    assert (plain.text, plain.taken_for) == ("table", "table")
    _, asked = await collect(door.handle(request(SAID["table"])))
    assert (asked.text, asked.taken_for) == ("ask", None)


async def test_a_skill_that_is_not_there_or_not_allowed_is_a_question(tmp_path: Path) -> None:
    routing = await Place(sheets=True).routing(tmp_path)
    _, reply = await collect(dispatcher(routing).handle(request(SAID["reminder"], plain=True)))
    assert (reply.text, reply.taken_for) == ("ask", None)
    door = dispatcher(routing, rights={"table": "admins"})
    asked = request(SAID["table"], plain=True, is_admin=False)
    _, reply = await collect(door.handle(asked))
    assert (reply.text, reply.taken_for) == ("ask", None)


async def test_a_router_that_fails_leaves_a_question() -> None:
    async def broken(asked: Request, language: Language) -> Request:
        raise RuntimeError("no")

    _, reply = await collect(dispatcher(broken).handle(request("hello", plain=True)))
    assert reply.text == "ask"


@pytest.mark.parametrize(
    "text", ["thank you!", "谢谢啦", "bye", "再见", "早啊", "sorry", "🎉", "哈哈"]
)
async def test_small_talk_is_answered_in_its_language(text: str) -> None:
    handler = SmallTalk()
    language = language_of(text)
    _, reply = await collect(handler.handle(request(text), language))
    assert reply.outcome == "answer"
    assert reply.language == language
    assert reply.text
