"""What one tab remembers: its language and its conversation, as the browser stores them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from bot.adapters.web.files import KeptFiles
from bot.commands import SETTINGS, find
from bot.messages import (
    Citation,
    File,
    Language,
    Reply,
    ReplyChunk,
    ReplyEvent,
    Sources,
    Status,
    Turn,
)

SETTINGS_NAMES = [argument.name for argument in SETTINGS.arguments[1:]]

KEPT = 50
"""Exchanges that a tab keeps."""


class Passage(BaseModel):
    """A passage that an answer rests on."""

    number: int
    document: str
    page: int | None = None
    section: str | None = None
    quote: str
    start: int | None = None
    end: int | None = None

    @classmethod
    def of(cls, citation: Citation) -> Passage:
        """Return what the page shows of a citation."""
        return cls(
            number=citation.number,
            document=citation.document,
            page=citation.page,
            section=citation.section,
            quote=citation.quote,
            start=citation.start,
            end=citation.end,
        )


class Sentence(BaseModel):
    """A sentence of an answer with the numbers of its passages."""

    text: str
    numbers: list[int]


class Given(BaseModel):
    """A file that came with an answer."""

    name: str
    address: str
    about: str = ""


class Choices(BaseModel):
    """A setting as a form shows it: how it is, and what it may be."""

    value: str | list[str] | None
    allowed: list[str]


class Exchange(BaseModel):
    """A question and what has come of it so far."""

    command: str = "ask"
    question: str
    target: str
    """What the handler gets: the question, or the document to summarise."""
    options: dict[str, Any] = Field(default_factory=dict)
    plain: bool = False
    """Typed without a command: the bot chooses the skill."""
    taken_for: str = ""
    """The skill that was chosen, if it isn't a question's."""
    outcome: Literal["running", "answer", "refusal", "busy", "error", "stopped"] = "running"
    status: str = ""
    reading: list[Passage] = Field(default_factory=list)
    sentences: list[Sentence] = Field(default_factory=list)
    passages: list[Passage] = Field(default_factory=list)
    text: str = ""
    """The whole reply where it has no sentences of its own."""
    files: list[Given] = Field(default_factory=list)
    request: str = ""
    """The id that a rating names it by."""
    thumb: Literal["", "up", "down"] = ""
    cases: list[str] = Field(default_factory=list)
    """Documents that may be named as right when it becomes a case; the first is none of them."""
    choices: dict[str, Choices] = Field(default_factory=dict)
    """The settings that were shown, to be changed in a form."""
    rated: str = ""
    """What the bot said to its rating."""
    decisions: list[tuple[str, int]] = Field(default_factory=list)
    """What may be decided about a reminder by a button: confirm, cancel or again, its number."""

    @classmethod
    def of(cls, typed: str) -> Exchange:
        """Return the exchange that a typed line opens: a question, or a command behind a slash."""
        word, _, rest = typed.partition(" ")
        command = find(word[1:]) if word.startswith("/") else None
        if command is None:
            return cls(question=typed, target=typed, plain=True)
        text, options = command.typed(rest)
        if command.name == "help":
            options["prefix"] = "/"
        return cls(command=command.handler, question=typed, target=text, options=options)

    @classmethod
    def configuring(cls, chosen: Mapping[str, object]) -> Exchange:
        """Return the exchange that changes settings as a form says."""
        options = {name: str(chosen[name]) for name in SETTINGS_NAMES if chosen.get(name)}
        line = " ".join(f"{name}={value}" for name, value in options.items())
        return cls(command="settings", question=f"/settings {line}", target="", options=options)

    @property
    def answer(self) -> str:
        """The answer's plain text."""
        return "".join(sentence.text for sentence in self.sentences) or self.text

    @property
    def ratable(self) -> bool:
        """Whether it came from documents, and is kept for its rating."""
        from_documents = bool(self.sentences or self.passages)
        asked = self.command == "ask" and bool(self.request)
        return asked and from_documents and self.outcome in ("answer", "refusal")

    def judge(self, thumb: Literal["", "up", "down"], reply: Reply) -> None:
        """Take in what came of a rating, or, without a thumb, of a case."""
        self.rated = reply.text
        if reply.outcome != "answer":
            return
        self.thumb = thumb or self.thumb
        offer = reply.data if thumb and isinstance(reply.data, dict) else None
        self.cases = ["", *offer["documents"]] if offer else []

    def again(self) -> Exchange:
        """Return the same question, unanswered."""
        asked = {"command": self.command, "target": self.target, "options": self.options}
        return Exchange(question=self.question, plain=self.plain, **asked)

    def as_question(self) -> Exchange:
        """Return the same message, to be answered as a question."""
        return Exchange(question=self.question, target=self.target)

    def apply(self, event: ReplyEvent) -> None:
        """Take in one event of the reply."""
        match event:
            case Status():
                self.status = event.text
            case Sources():
                self.reading = [Passage.of(citation) for citation in event.citations]
            case ReplyChunk():
                self._add(event)
            case Reply():
                self.outcome = event.outcome
                self.taken_for = event.taken_for or ""
                if event.chunks:
                    self.sentences.clear()
                    for chunk in event.chunks:
                        self._add(chunk)
                elif event.outcome != "answer" or not self.sentences:
                    self.sentences.clear()
                    self.text = event.text
                self._cite(event.citations or event.nearest)
                if self.command == "settings" and isinstance(event.data, dict):
                    shown = event.data["settings"].items()
                    self.choices = {name: Choices.model_validate(each) for name, each in shown}

    def keep(self, files: Iterable[File], kept: KeptFiles) -> None:
        """Take in the files that came with the reply."""
        for file in files:
            self.files.append(Given(name=file.name, address=kept.keep(file), about=file.about))

    def _add(self, chunk: ReplyChunk) -> None:
        numbers = [citation.number for citation in chunk.citations]
        self.sentences.append(Sentence(text=chunk.text, numbers=numbers))
        self._cite(chunk.citations)

    def _cite(self, citations: tuple[Citation, ...]) -> None:
        for passage in map(Passage.of, citations):
            if passage not in self.passages:
                self.passages.append(passage)
        self.passages.sort(key=lambda passage: passage.number)


class Session(BaseModel):
    """One tab's language and conversation."""

    language: Language = "en"
    exchanges: list[Exchange] = Field(default_factory=list)

    @classmethod
    def restore(cls, stored: object) -> Session:
        """Return what a browser stored, or a new session where that can't be read."""
        try:
            session = cls.model_validate(stored)
        except ValidationError:
            return cls()
        session.exchanges = session.exchanges[-KEPT:]
        return session

    def open(self, exchange: Exchange) -> None:
        """Add an exchange; the oldest ones go."""
        self.exchanges = [*self.exchanges, exchange][-KEPT:]

    def interrupt(self) -> None:
        """Mark what was running as stopped: nobody is answering it any more."""
        for exchange in self.exchanges:
            if exchange.outcome == "running":
                exchange.outcome = "stopped"

    def history(self, exchanges: int) -> tuple[Turn, ...]:
        """Return the messages of the last answered exchanges before the one that is open."""
        told = [
            exchange
            for exchange in self.exchanges[:-1]
            if exchange.outcome in ("answer", "refusal") and exchange.answer
        ]
        turns = []
        for exchange in told[-exchanges:] if exchanges else []:
            turns.append(Turn("user", exchange.question))
            turns.append(Turn("assistant", exchange.answer))
        return tuple(turns)
