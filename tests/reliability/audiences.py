"""A team's places and documents, and retrieval over a plain list of those that one may see."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import discord
import numpy as np
import numpy.typing as npt

from bot.adapters.slack.access import Person, Team
from rag.audience import Audience
from rag.ingest.indexer import Indexer
from rag.ingest.lessons import Lesson
from rag.keywords import passage_weights
from rag.language import Language
from rag.records import Opening, Passage, Records
from rag.retrieval import Retrieval, Retriever
from rag.schema import metadata, open_engine
from rag.store import Hits, PassageIndex
from tests.fakes import HashEmbeddings, LineParser, split_by_segment
from tests.rag.passages import passage

ENGLISH = [
    f"{stem}{end}"
    for stem in ("gard", "flet", "morn", "past", "quil", "rust", "sabl", "tund", "velv", "wint")
    for end in ("ano", "ebi", "iru", "olma", "ux")
]
CHINESE = [
    "请假",
    "报销",
    "出差",
    "会议",
    "花园",
    "钥匙",
    "打印",
    "咖啡",
    "窗户",
    "备份",
    "电脑",
    "访客",
]


@dataclass(frozen=True, slots=True)
class Known:
    """A passage as the oracle has it."""

    scope: str
    passage: Passage
    vector: npt.NDArray[np.float32]
    weights: Mapping[int, float]

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what tells it from every other."""
        return self.scope, self.passage.document, self.passage.text


class Shelf:
    """Documents in the real store, and the same passages in a plain list."""

    def __init__(self, folder: Path, index: PassageIndex) -> None:
        index.delete(index.ids())
        self.folder = folder
        folder.mkdir(parents=True)
        self.index = index
        self.engine = open_engine(f"sqlite:///{folder / 'records.db'}")
        metadata.create_all(self.engine)
        self.records = Records(self.engine)
        self.embeddings = HashEmbeddings()
        self.indexer = Indexer(
            self.records,
            index,
            LineParser(),
            split_by_segment,
            self.embeddings,
            embedder_key="fake",
            splitter_key="segment",
            blobs=folder / "blobs",
        )
        self.retriever = Retriever(self.records, index, self.embeddings, embedder_key="fake")
        self.known: list[Known] = []
        self.ids: dict[tuple[str, str], str] = {}
        self._written = 0

    def learn(self, documents: Iterable[tuple[str, str, Sequence[str]]]) -> None:
        """Learn documents, each a scope, a name and lines."""
        lessons = []
        for scope, name, lines in documents:
            self._written += 1
            file = self.folder / f"{self._written}.txt"
            file.write_text("\n".join(lines), encoding="utf-8")
            self._drop(scope, name)  # the same name again is a new version
            lessons.append(Lesson(file, scope, "upload", name, None, f"{self._written}.txt"))
            for ordinal, line in enumerate(lines):
                made = passage(line, name=name, ordinal=ordinal)
                unique = f"{scope} {name}"
                made = replace(made, document_id=unique, row_id=f"{unique} {ordinal} {line}")
                vector = np.asarray(self.embeddings.embed_query(line), np.float32)
                self.known.append(Known(scope, made, vector, passage_weights(line)))
        for lesson, learned in zip(lessons, self.indexer.learn_many(lessons), strict=True):
            assert learned.document_id, learned
            self.ids[lesson.scope, lesson.name] = learned.document_id

    def forget(self, scope: str, name: str) -> None:
        """Forget a document."""
        receipt = self.indexer.forget(self.ids.pop((scope, name)), Audience.of({scope}))
        assert receipt.verified
        self._drop(scope, name)

    def ask(self, question: str, scopes: frozenset[str]) -> Retrieval:
        """Return what the real retrieval finds."""
        return self.retriever.retrieve(question, Audience.of(scopes), limit=200)

    def _drop(self, *gone: str) -> None:
        self.known = [each for each in self.known if (each.scope, each.passage.document) != gone]

    def oracle(self, question: str, scopes: frozenset[str]) -> Retrieval:
        """Return what retrieval finds where nothing else was ever known."""
        allowed = [each for each in self.known if each.scope in scopes]
        plain: Any = Plain(allowed)
        retriever = Retriever(plain, plain, self.embeddings, embedder_key="fake")
        return retriever.retrieve(question, Audience.of({"public"}), limit=200)


class Plain:
    """Records and index over a list of passages: whoever asks sees all of it."""

    def __init__(self, known: Sequence[Known]) -> None:
        self._known = {each.passage.row_id: each for each in known}

    def state(self, _audience: Audience) -> tuple[int, int]:
        """Count, and never change."""
        return len(self._known), 0

    def generation(self, _audience: Audience) -> int:
        """Never change."""
        return 0

    def frequencies(self, terms: Collection[int], _audience: Audience) -> dict[int, int]:
        """Count the passages with each term."""
        found = Counter(term for each in self._known.values() for term in each.weights)
        return {term: found[term] for term in terms if found[term]}

    def sample_vectors(
        self, _audience: Audience, language: Language, _embedder: str, limit: int
    ) -> npt.NDArray[np.float32]:
        """Return every vector: there are fewer than a sample takes."""
        some = [each.vector for each in self._known.values() if each.passage.language == language]
        assert len(some) < limit
        return np.array(some, np.float32)

    def candidates(
        self, rows: Sequence[str], _audience: Audience, _embedder: str
    ) -> dict[str, tuple[Passage, npt.NDArray[np.float32]]]:
        """Return the passages and vectors of rows."""
        return {row: (self._known[row].passage, self._known[row].vector) for row in rows}

    def left_out(self, _audience: Audience) -> list[str]:
        """Return nothing: all folders answer."""
        return []

    def openings(self, _audience: Audience) -> list[Opening]:
        """Return how each document begins."""
        passages = [each.passage for each in self._known.values()]
        return [
            Opening(each.document_id, each.document, each.section, each.text)
            for each in passages
            if each.ordinal == 0
        ]

    def search_dense(
        self,
        vector: Sequence[float],
        _scopes: frozenset[str],
        limit: int,
        *,
        language: str | None = None,
        documents: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> Hits:
        """Compare with every vector; nothing that is known is to be left out."""
        assert not without
        asked = np.asarray(vector, np.float32)
        return self._best(
            {
                row: float(each.vector @ asked)
                for row, each in self._known.items()
                if language in (None, each.passage.language)
                and (not documents or each.passage.document_id in documents)
            },
            limit,
        )

    def search_sparse(
        self,
        weights: Mapping[int, float],
        _scopes: frozenset[str],
        limit: int,
        *,
        without: Sequence[str] = (),
    ) -> Hits:
        """Score every passage that shares a term."""
        assert not without
        return self._best(
            {
                row: sum(weights[term] * each.weights[term] for term in shared)
                for row, each in self._known.items()
                if (shared := weights.keys() & each.weights.keys())
            },
            limit,
        )

    def _best(self, scores: Mapping[str, float], limit: int) -> Hits:
        return sorted(scores.items(), key=lambda hit: -hit[1])[:limit]


def line(chance: random.Random) -> str:
    """Return a passage in one of two languages."""
    if chance.random() < 0.35:
        return "".join(chance.choices(CHINESE, k=6)) + "。"
    return " ".join(chance.choices(ENGLISH, k=8)) + f" {chance.randrange(1000)}."


@dataclass
class Slack:
    """What Slack knows: a `Directory`."""

    team: Team
    channels: list[str]
    people: list[str]
    members: dict[str, frozenset[str]] = field(default_factory=dict)
    shared: frozenset[str] = frozenset()
    guests: frozenset[str] = frozenset()
    strangers: frozenset[str] = frozenset()

    async def is_external(self, channel: str) -> bool:
        """Tell whether another organisation shares a channel."""
        return channel in self.shared

    async def channels_of(self, user: str) -> frozenset[str]:
        """Return the channels that a person is in."""
        return self.members.get(user, frozenset())

    async def person(self, user: str, team: Team) -> Person:
        """Return what Slack says of a person."""
        assert team == self.team
        return Person(guest=user in self.guests, stranger=user in self.strangers)

    def may(self, channel: str, user: str, *, direct: bool) -> set[str]:
        """Return what docs/permissions.md says that may be used there."""
        own = self.team.scope(channel)
        if not direct:
            return {own} if channel in self.shared else {"public", own}
        if user in self.strangers:
            return {own}
        mine = {self.team.scope(each) for each in self.members.get(user, ())}
        return {own} | mine | (set() if user in self.guests else {"public"})


class Room(discord.TextChannel):
    """A channel of a server that some people may read."""

    def __init__(self, guild: Any, number: int) -> None:
        """Be made without a connection."""
        self.guild, self.id = guild, number
        self.readers: frozenset[int] = frozenset()

    def permissions_for(self, who: Any, /) -> discord.Permissions:
        """Tell what somebody may do."""
        reads = who.id in self.readers
        return discord.Permissions(view_channel=True, read_message_history=reads)


class Thread(discord.Thread):
    """A private thread."""

    def __init__(self, room: Room, number: int) -> None:
        """Be made without a connection."""
        self.guild, self.id, self.parent_id = room.guild, number, room.id
        self._type = discord.ChannelType.private_thread


class Direct(discord.DMChannel):
    """Direct messages."""

    def __init__(self, number: int) -> None:
        """Be made without a connection."""
        self.id = number

    @property
    def guild(self) -> None:
        """Be in no server."""


@dataclass
class Someone:
    """A member of a server; a pending one has not yet agreed to its rules."""

    id: int
    pending: bool


class Server:
    """A Discord server, as the gateway tells of it."""

    def __init__(self, number: int, rooms: int) -> None:
        self.id = number
        self.channels = [Room(self, 10 * number + each) for each in range(rooms)]
        self.members: frozenset[int] = frozenset()
        self.pending: frozenset[int] = frozenset()

    async def fetch_member(self, person: int) -> Someone:
        """Ask Discord for a member."""
        if person not in self.members:
            gone: Any = type("Response", (), {"status": 404, "reason": "Not Found"})()
            raise discord.NotFound(gone, "Unknown Member")
        return Someone(person, person in self.pending)


@dataclass
class Discord:
    """What the gateway and Discord know: as much of a client as audiences need."""

    guilds: list[Server]

    def get_guild(self, number: int) -> Server | None:
        """Return a server that the bot is in."""
        return next((guild for guild in self.guilds if guild.id == number), None)

    def may(self, channel: Any, person: int) -> set[str]:
        """Return what docs/permissions.md says that may be used there."""
        if isinstance(channel, Direct):
            here = [guild for guild in self.guilds if person in guild.members - guild.pending]
            rooms = [room for guild in here for room in guild.channels if person in room.readers]
            mine = {f"discord:{room.guild.id}:{room.id}" for room in rooms}
            return {f"discord:@me:{channel.id}"} | mine | ({"public"} if here else set())
        own = f"discord:{channel.guild.id}:{channel.id}"
        if channel.guild not in self.guilds:
            return {own}
        if isinstance(channel, Thread):
            return {"public", own, f"discord:{channel.guild.id}:{channel.parent_id}"}
        return {"public", own}
