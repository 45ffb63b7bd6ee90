"""A1 and A4: what is found is what a plain set filter leaves, as if nothing else were known."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.adapters.discord.access import Access as DiscordAccess
from bot.adapters.discord.access import scope_of
from bot.adapters.slack.access import Access as SlackAccess
from bot.adapters.slack.access import Team
from bot.dispatch import Dispatcher, Limits
from bot.messages import Language, Reply, ReplyEvent, Request
from rag.audience import Audience, InvalidScope
from rag.language import language_of
from rag.records import DocumentAmbiguous, DocumentUnknown
from rag.retrieval import Retrieval
from rag.store import PassageIndex
from tests.bot.fakes import collect, request
from tests.fakes import DIMENSION
from tests.reliability.audiences import (
    Direct,
    Discord,
    Server,
    Shelf,
    Slack,
    Thread,
    line,
)
from tests.reliability.rows import cases

HR = "folder:hr"
A_WORLD = 1000
"""Questions asked of one team before another is made."""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PassageIndex]:
    folder = tmp_path_factory.mktemp("index")
    index = PassageIndex(str(folder / "index.db"), embedder_key="fake", dimension=lambda: DIMENSION)
    index.open()
    yield index
    index.close()


class Asking:
    """A handler that keeps what was found, and for whom."""

    command = "search"

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.found: Retrieval | None = None

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Ask."""
        self.found = self.shelf.ask(request.text, request.audience)
        yield Reply("answer", "", language)


class World:
    """A team on Slack, another in the same bot on Discord, and what they taught it."""

    def __init__(self, folder: Path, index: PassageIndex, chance: random.Random) -> None:
        self.shelf = Shelf(folder, index)
        self.now = 0.0
        team = Team("T1", "E1")
        self.slack = Slack(team, [f"C{n}" for n in range(7)], [f"U{n}" for n in range(5)])
        self.discord = Discord([Server(1, 4), Server(2, 3)])
        self.elsewhere = Server(3, 1)  # the bot isn't in it
        self.people = [901, 902, 903]
        self.threads = [Thread(self.discord.guilds[0].channels[0], 77)]
        self.directs = [Direct(800 + n) for n in range(3)]
        self.slack_access = SlackAccess(self.slack, clock=lambda: self.now)
        client: Any = self.discord
        self.discord_access = DiscordAccess(client)
        rooms = [
            room for guild in (*self.discord.guilds, self.elsewhere) for room in guild.channels
        ]
        self.scopes = [
            "public",
            HR,
            *(team.scope(f"{kind}{n}") for kind in "CD" for n in range(7 if kind == "C" else 5)),
            Team("T1", "E2").scope("C1"),  # the same ids elsewhere
            Team("T2", "E1").scope("C1"),
            *(scope_of(place) for place in (*rooms, *self.threads, *self.directs)),
        ]
        self.grants = {team.scope("C1"): frozenset({HR}), scope_of(rooms[1]): frozenset({HR})}
        self.asking = Asking(self.shelf)
        self.dispatcher = Dispatcher(
            [self.asking],
            language_of=language_of,
            explain=lambda error, language: None,
            limits=Limits(),
            grants=self.grants,
        )
        same = [line(chance) for _ in range(3)]  # sent to many places
        self.shelf.learn(
            (
                scope,
                f"{chance.choice(['plan', 'notes'])}{n}.txt",
                same if chance.random() < 0.1 else [line(chance) for _ in range(3)],
            )
            for scope in self.scopes
            for n in range(4 if scope == "public" else 2)
        )

    def change(self, chance: random.Random) -> None:
        """Move people about, and tell the bot as Slack does."""
        slack = self.slack
        before, shared = slack.members, slack.shared
        slack.members = {
            person: frozenset(chance.sample(slack.channels, chance.randrange(5)))
            for person in slack.people
        }
        slack.shared = frozenset(chance.sample(slack.channels, chance.randrange(3)))
        slack.guests = frozenset(chance.sample(slack.people, 2))
        slack.strangers = frozenset(chance.sample(slack.people, 1))
        for person in slack.people:
            if before.get(person, frozenset()) - slack.members[person]:
                self.slack_access.left(person)
            elif before.get(person) != slack.members[person]:
                self.now += 16  # nobody tells of who joins: it is known a little later
        if slack.shared != shared:
            self.slack_access.changed()
        for guild in self.discord.guilds:
            guild.members = frozenset(chance.sample(self.people, chance.randrange(4)))
            guild.pending = frozenset(chance.sample(self.people, chance.randrange(2)))
            for room in guild.channels:
                room.readers = frozenset(chance.sample(self.people, chance.randrange(4)))

    def relearn(self, chance: random.Random) -> None:
        """Forget a document and learn another."""
        scope, name = chance.choice(sorted(self.shelf.ids))
        self.shelf.forget(scope, name)
        self.shelf.learn([(chance.choice(self.scopes), name, [line(chance) for _ in range(3)])])

    async def place(self, chance: random.Random) -> tuple[frozenset[str], set[str]]:
        """Return for whom a question somewhere is answered, and for whom it should be."""
        if chance.random() < 0.5:
            number = chance.randrange(5)
            user, direct = f"U{number}", chance.random() < 0.5
            channel = f"D{number}" if direct else chance.choice(self.slack.channels)
            audience = await self.slack_access.audience(
                self.slack.team, channel, user, direct=direct, external=None
            )
            return audience, self.slack.may(channel, user, direct=direct)
        person = chance.choice(self.people)
        rooms: list[Any] = [room for guild in self.discord.guilds for room in guild.channels]
        rooms += [*self.directs, *self.directs, *self.threads, *self.elsewhere.channels]
        where = chance.choice(rooms)
        audience = await self.discord_access.audience(where, person)
        return audience, self.discord.may(where, person)

    def granted(self, scopes: set[str]) -> frozenset[str]:
        """Add the folders that channels have been granted."""
        more = [self.grants.get(scope, frozenset[str]()) for scope in scopes]
        return frozenset(scopes.union(*more) if "public" in scopes else scopes)

    def question(self, chance: random.Random) -> str:
        """Return words of something that is known somewhere, forbidden or not."""
        text = chance.choice(self.shelf.known).passage.text
        if language_of(text) == "zh":
            return text[: chance.randrange(4, len(text))]
        words = text.split()
        return " ".join(chance.sample(words, chance.randrange(1, len(words))))


def assert_same(found: Retrieval, expected: Retrieval) -> None:
    """Assert that two retrievals say the same, to the last digits of a float."""

    def scores(retrieval: Retrieval) -> dict[tuple[str, str], list[float]]:
        by_text: dict[tuple[str, str], list[float]] = {}
        for hit in retrieval.hits:
            by_text.setdefault((hit.passage.document, hit.passage.text), []).append(hit.score)
        return by_text

    ours, theirs = scores(found), scores(expected)
    assert ours.keys() == theirs.keys()
    for key, values in ours.items():
        assert sorted(values) == pytest.approx(sorted(theirs[key]), abs=1e-4)
    assert found.confidence == pytest.approx(expected.confidence, abs=1e-3)
    assert found.rarities == pytest.approx(dict(expected.rarities))


@contextmanager
def worlds(
    folder: Path, make: Callable[[Path, random.Random], World]
) -> Iterator[Callable[[int], World]]:
    """Yield what returns the world of a case."""
    made: dict[int, World] = {}

    def world(number: int) -> World:
        block = number // A_WORLD
        if block not in made:
            for old in made.values():
                old.shelf.engine.dispose()
            made.clear()
            made[block] = make(folder / str(block), random.Random(f"A1/{block}"))
        return made[block]

    try:
        yield world
    finally:
        for last in made.values():
            last.shelf.engine.dispose()


async def test_a1_what_is_found_is_what_a_set_filter_leaves(
    tmp_path: Path, index: PassageIndex
) -> None:
    """Passages, scores, sureness and rarities are those of a bot that knows nothing else."""
    with worlds(tmp_path, lambda folder, chance: World(folder, index, chance)) as world_of:
        for case in cases("A1", "random workspaces", full=10_000, sample=12):
            world, chance = world_of(case.number), case.chance
            world.change(chance)
            if chance.random() < 0.02:
                world.relearn(chance)
            audience, should = await world.place(chance)
            assert audience == should
            allowed = world.granted(should)
            question = world.question(chance)
            asked = request(question, "search", audience=audience)
            await collect(world.dispatcher.handle(asked))
            found = world.asking.found
            assert found is not None
            assert {hit.passage.scope for hit in found.hits} <= allowed
            assert_same(found, world.shelf.oracle(question, allowed))


PAYLOADS = [
    'C" or scope != "',
    'C\\" or 1 == 1 or scope == "',
    "C' or '' == '",
    'C"] or scope in ["public',
    "C%",
    "_",
    "C\\",
    'C\\\\"',
    '" or id like "%',
    "' OR 1=1 --",
    "'; DROP TABLE document; --",
    "public",
    "*",
    "$scope",
    "{scope}",
    "C\\u0031",
    "C1",
    "c1",
    "C1 ",
    "\uff23\uff11",
    "C\u0301",
    "频道“一”",
    "😀",
    "C) or (true",
    "/* */",
    "../C1",
]
CONTROLS = ["C\x00", "C\n1", "\x1b[2J", "C\x7f", "C\x08"]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, index: PassageIndex) -> Iterator[Shelf]:
    """Return documents of hostile names in channels of hostile ids."""
    shelf = Shelf(tmp_path_factory.mktemp("hostile") / "shelf", index)
    chance = random.Random("A4")
    shelf.learn(
        (scope, name, [line(chance)])
        for scope in ("public", HR, *(f"slack:-:T1:{payload}" for payload in PAYLOADS))
        for name in (f"{chance.choice(PAYLOADS)}/plan.txt", chance.choice(PAYLOADS))
    )
    yield shelf
    shelf.engine.dispose()


def named(shelf: Shelf, reference: str, scopes: frozenset[str]) -> set[str]:
    """Return the ids of the documents that a reference means, by comparing texts."""
    seen = [(found, key[1]) for key, found in shelf.ids.items() if key[0] in scopes]
    for meant in (
        {found for found, _ in seen if found == reference},
        {found for found, name in seen if name == reference},
        {found for found, name in seen if name.rpartition("/")[2] == reference},
    ):
        if meant:
            return meant
    return set()


def test_a4_ids_and_names_are_compared_and_never_run(hostile: Shelf) -> None:
    """Whatever a channel, a document or a passage is called finds exactly what is called so."""
    for case in cases("A4", "filter injection", full=1000, sample=20):
        chance = case.chance
        payload = chance.choice(PAYLOADS)
        if chance.random() < 0.3:
            payload += chance.choice(PAYLOADS)
        elif chance.random() < 0.1:
            payload = chance.choice(CONTROLS) + payload
        scopes = frozenset({f"slack:-:T1:{payload}", *(["public"] * chance.randrange(2))})
        if any(control in payload for control in CONTROLS):
            with pytest.raises(InvalidScope):
                Audience.of(scopes)
            scopes, payload = frozenset({"public"}), "C1"
        audience = Audience.of(scopes)
        question = chance.choice(hostile.known).passage.text
        found = hostile.ask(question, scopes)
        assert {hit.passage.scope for hit in found.hits} <= scopes
        assert_same(found, hostile.oracle(question, scopes))

        documents = chance.sample(sorted(hostile.ids.values()), 4)
        reference = chance.choice([payload, "plan.txt", documents[0]])
        meant = named(hostile, reference, scopes)
        try:
            said = {hostile.records.find_document(reference, audience).id}
        except DocumentUnknown:
            said = set()
        except DocumentAmbiguous as error:
            said = set(error.ids)
        assert said == meant
        for document in (payload, *documents):
            may = any(key[0] in scopes for key, found in hostile.ids.items() if found == document)
            try:
                assert hostile.records.passages_of(document, audience)
                assert may
            except DocumentUnknown:
                assert not may
        assert hostile.records.passages([payload, f"{payload}%"], audience) == {}
        assert hostile.index.verify_absent(payload)
        hostile.index.delete([payload])
    assert len(hostile.index.ids()) == len(hostile.known)
