"""A2 and A3: what may not be seen looks like what was never there, in whatever the bot says."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk

from bot.adapters.console import copy_local
from bot.app import App
from bot.messages import Attachment, Reply, ReplyEvent, Request
from rag.audience import Audience
from tests.bot.adapters.slack.bot import Bot
from tests.bot.fakes import FakeChat, collect, request, settings, use
from tests.doubles.discord_people import Person
from tests.doubles.discord_running import running
from tests.doubles.discord_wire import DiscordDouble
from tests.doubles.slack import SlackDouble
from tests.fakes import LineParser
from tests.reliability.rows import cases

CANARY = re.compile(r"canary-[0-9a-f]+")
OPEN = ["public", "slack:-:T1:C1", "discord:1:11"]
SECRET = ["slack:-:T1:C2", "slack:-:T2:C1", "slack:-:T1:D9", "discord:1:12", "folder:hr"]
WORDS = [
    "budget",
    "merger",
    "salary",
    "layoff",
    "lawsuit",
    "acquisition",
    "patent",
    "prototype",
    "launch",
    "audit",
]


class Echo(FakeChat):
    """Says all that it was given: what must not be said must not be there."""

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for message in messages:
            yield ChatGenerationChunk(message=AIMessageChunk(content=f"{message.content}\n"))


@dataclass
class Secret:
    """A document that few may see."""

    scope: str
    name: str
    text: str
    id: str = ""


@dataclass
class Place:
    """A bot that knows open and secret documents."""

    app: App
    folder: Path
    open: list[Secret] = field(default_factory=list)
    secret: list[Secret] = field(default_factory=list)

    async def teach(self, scope: str, name: str, text: str) -> Secret:
        """Send the bot a file."""
        file = self.folder / f"{len(self.open) + len(self.secret)}.txt"
        file.write_text(text)
        sent = (Attachment(name, None, str(file)),)
        asked = request("", "upload", scope=scope, attachments=sent, audience=frozenset({scope}))
        _, reply = await collect(self.app.dispatcher.handle(asked))
        assert reply.outcome == "answer", reply
        return Secret(scope, name, text, reply.data[0]["document"])

    async def say(self, asked: Request) -> tuple[str, Reply]:
        """Return all that the bot says to a request, and its reply."""
        events, reply = await collect(self.app.dispatcher.handle(asked))
        return json.dumps([asdict(each) for each in events], default=str), reply


@asynccontextmanager
async def made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    use(monkeypatch, chat=Echo())
    monkeypatch.setattr("bot.app.Sandbox", lambda **limits: LineParser())
    chosen = settings(
        folder,
        answers={"refuse_below": 0, "history": 2, "context_tokens": 2000},
        limits={"requests_per_minute_each": 10**6, "requests_per_minute_channel": 10**6},
    )
    app = App(chosen, dict.fromkeys(("cli", "slack", "discord"), copy_local))
    app.claim()
    try:
        place = Place(app, folder)
        chance = random.Random("A2")
        for number in range(9):
            scope, words = OPEN[number % 3], " ".join(chance.sample(WORDS, 4))
            text = f"# Open\nThe {words} is known, number {number}.\nThis stays so.\n"
            place.open.append(await place.teach(scope, f"open-{number}.txt", text))
        for number in range(10):
            scope, words = SECRET[number % 5], " ".join(chance.sample(WORDS, 4))
            mark = f"canary-{chance.getrandbits(64):016x}"
            text = f"# Heading {mark}\nThe {words} is {mark}, number {number}.\n{mark} again.\n"
            place.secret.append(await place.teach(scope, f"secret-{number}.txt", text))
        yield place
    finally:
        app.close()


def like(name: str, chance: random.Random) -> str:
    """Return a name of the same kind that nothing ever had."""
    if name.endswith(".txt"):
        return f"secret-{chance.randrange(100, 999)}.txt"
    return f"{chance.getrandbits(128):032x}"


async def test_a2_what_is_forbidden_looks_like_what_never_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every verb says of a forbidden document what it says of none, and nothing else of it."""
    async with made(tmp_path, monkeypatch) as place:
        for case in cases("A2", "whatever the bot says", full=2000, sample=20):
            chance = case.chance
            secret = chance.choice(place.secret)
            scopes = chance.choice([["public"], OPEN[:2], OPEN[1:2], [OPEN[0], OPEN[2]]])
            platform = chance.choice(["slack", "discord", "cli"])
            common: dict[str, Any] = {
                "platform": platform,
                "audience": frozenset(scopes),
                "conversation": f"talk-{case.number}",
                "is_admin": chance.random() < 0.5,
                "language": chance.choice(["en", "zh"]),
            }
            await meets(place, secret, chance, common)


async def meets(
    place: Place, secret: Secret, chance: random.Random, common: dict[str, Any]
) -> None:
    """Ask for something secret in one of many ways."""
    verb = chance.choice(
        ["ask", "follow", "search", "summarise", "open", "forget", "list", "rate", "upload"]
    )
    if verb == "follow":  # somebody saw it here before, and may no more
        may = {**common, "audience": common["audience"] | {secret.scope}}
        said, first = await place.say(request(words_of(secret), **may))
        assert first.outcome == "answer"
        assert CANARY.search(said)
    if verb in ("ask", "follow", "search"):
        command = "search" if verb == "search" else "ask"
        asked = request(words_of(secret), command, options={"k": 50}, **common)
        said, _ = await place.say(asked)
        unseen(place, said)
    elif verb in ("summarise", "open", "forget"):
        name = chance.choice([secret.name, secret.id])
        options = {"start": 0, "end": 20} if verb == "open" else {}
        replies = []
        for reference in (name, like(name, chance)):
            said, reply = await place.say(request(reference, verb, options=options, **common))
            said = said.replace(reference, "IT")
            unseen(place, said)
            replies.append((said, reply.outcome))
        assert replies[0] == replies[1]
        assert replies[0][1] == "error"
        seen = place.app.records.sources(Audience.of({secret.scope}))
        assert secret.id in [record.id for record in seen]
    elif verb == "list":  # also what suggestions are made of
        for command in ("sources", "status", "help"):
            said, reply = await place.say(request("", command, **common))
            unseen(place, said)
        _, reply = await place.say(request("", "sources", **common))
        listed = {row["id"] for row in reply.data}
        assert listed == {each.id for each in place.open if each.scope in common["audience"]}
        _, reply = await place.say(request("", "status", **common))
        assert reply.data["documents"] == len(listed)
    elif verb == "rate":
        asked = request(words_of(secret), **{**common, "audience": frozenset({secret.scope})})
        await place.say(asked)
        for rated in (asked.id, "never"):
            about = {"reply": rated, "thumb": "up"}
            for verb in ("rate", "recall"):
                said, _ = await place.say(request("", verb, options=about, **common))
                unseen(place, said)
    else:  # its name is free everywhere else
        name, scope = secret.name, chance.choice(sorted(common["audience"]))
        file = place.folder / "again.txt"
        file.write_text(f"Something else {chance.random()}.\n")
        said_of = []
        for reference in (name, like(name, chance)):
            sent = (Attachment(reference, None, str(file)),)
            said, reply = await place.say(
                request("", "upload", **{**common, "scope": scope, "attachments": sent})
            )
            (row,) = reply.data
            unseen(place, said.replace(reference, "IT"))
            said_of.append(said.replace(reference, "IT").replace(row["document"], "ID"))
            said, reply = await place.say(request(row["document"], "forget", **common))
            assert reply.data["verified"]
        assert said_of[0] == said_of[1]


def words_of(secret: Secret) -> str:
    """Return a question in the words of a document, without its canary."""
    return CANARY.sub("", secret.text.splitlines()[1]) + "?"


def unseen(place: Place, said: str) -> None:
    """Assert that nothing of what is secret was said."""
    assert not CANARY.search(said)
    for secret in place.secret:
        assert secret.id not in said
        assert secret.name not in said


class Heard:
    """Passes requests on to the bot, and keeps all that it says, by what was asked."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.said: dict[str, str] = {}

    async def __call__(self, asked: Request) -> AsyncIterator[ReplyEvent]:
        events = []
        async for event in self._place.app.dispatcher.handle(asked):
            events.append(asdict(event))
            if isinstance(event, Reply):
                self.said[asked.text] = json.dumps(events, default=str)
            yield event


CODE = "The code of the safe is canary-1f.\n"


def nothing_left(said: str) -> None:
    """Assert that neither the document nor its name was said."""
    assert not CANARY.search(said)
    assert "safe.txt" not in said


async def test_a3_who_has_left_a_slack_channel_sees_nothing_of_it_with_the_next_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the event, or, where Slack's event is lost, a quarter of a minute later."""
    now = 0.0
    async with made(tmp_path, monkeypatch) as place, SlackDouble() as slack:
        await place.teach("slack:-:T0TEAM:C0SECRET", "safe.txt", CODE)
        heard = Heard(place)
        bot = Bot(slack, heard, clock=lambda: now)
        task = asyncio.create_task(bot.adapter.run())
        await slack.until(lambda: slack.connections)

        async def ask(question: str) -> str:
            await slack.say(question, channel="D0ANN")
            await slack.until(lambda: question in heard.said)
            return heard.said[question]

        for case in cases("A3", "left on Slack", full=250, sample=2):
            number = case.number
            slack.members["U0ANN"] = ["C0GENERAL", "C0SECRET"]
            now += 16
            assert CANARY.search(await ask(f"What is the code, {number}?"))
            if case.chance.random() < 0.7:
                await slack.leave("U0ANN", "C0SECRET")
            else:
                slack.members["U0ANN"] = ["C0GENERAL"]
                now += 16
            nothing_left(await ask(f"And what is the code now, {number}?"))
        task.cancel()
        await asyncio.wait([task])


async def test_a3_who_loses_a_channel_on_discord_sees_nothing_of_it_with_the_next_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a role, by the channel's own permissions, or by leaving the server."""
    async with made(tmp_path, monkeypatch) as place, DiscordDouble() as double:
        heard = Heard(place)
        backend, guild = double.backend, double.guild
        board = double.add_channel("board")
        double.forbid(board, guild.id, view_channel=False)
        role = backend.create_role(guild.id, "board")
        double.forbid(board, role.id, view_channel=True)
        await place.teach(f"discord:{guild.id}:{board.id}", "safe.txt", CODE)

        async def ask(person: Person, question: str) -> str:
            person.say(person.direct, question)
            await double.until(lambda: question in heard.said)
            return heard.said[question]

        async with running(double, heard):
            for case in cases("A3", "left on Discord", full=250, sample=2):
                number, person = case.number, double.add_person(f"person-{case.number}")
                backend.add_member_role(guild.id, person.id, role.id)
                assert CANARY.search(await ask(person, f"What is the code, {number}?"))
                match case.chance.randrange(3):
                    case 0:
                        backend.remove_member_role(guild.id, person.id, role.id)
                    case 1:
                        double.forbid(board, person.id, view_channel=False)
                    case _:
                        backend.remove_member(guild.id, person.id)
                nothing_left(await ask(person, f"And what is the code now, {number}?"))
