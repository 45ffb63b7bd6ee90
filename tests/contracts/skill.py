"""What every skill must do; a test class inherits it and brings the fixture `skill`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bot.app import App
from bot.command import Command
from bot.commands import find
from bot.messages import Attachment, Language, Reply, ReplyChunk, ReplyEvent, Request
from rag.language import language_of
from tests.bot.fakes import FakeChat, collect, request

SCOPE = "slack:E:T:C"
HERE = frozenset({"public", SCOPE})
LANGUAGES: tuple[Language, ...] = ("en", "zh")


@dataclass(frozen=True)
class Skill:
    """A skill, and a request of it over the document `name`, which says `document`."""

    command: str
    """As `bot.commands` declares it."""
    name: str
    document: str
    text: str
    """What the request says; it names the document, or asks about it."""
    says: str
    """What the model says."""
    options: Mapping[str, Any] = field(default_factory=dict)
    fills: Mapping[str, Any] = field(default_factory=dict)
    """What the model fills a JSON Schema in with."""
    streams: bool = True
    """Its answer is written by the model, sentence by sentence."""
    reads: bool = True
    """Its answer rests on the document and cites it."""
    names: bool = True
    """Its text, or its option `document`, names the document."""
    comes_along: bool = False
    """The document isn't known: it comes along with the request."""
    of_channels: bool = False
    """It is about a channel of Slack or Discord: elsewhere it says so."""

    @property
    def declared(self) -> Command:
        """Return its declaration."""
        command = find(self.command)
        assert command is not None, f"{self.command} is not declared in bot/commands.py"
        return command

    def request(self, **more: Any) -> Request:
        """Return the request, of somebody who sees the document's channel."""
        values: dict[str, Any] = {"audience": HERE, "scope": SCOPE, "options": dict(self.options)}
        text = str(more.pop("text", self.text))
        return request(text, self.declared.handler, **(values | more))

    def about(self, name: str, **more: Any) -> Request:
        """Return the same request about another document."""
        options = {
            key: value.replace(self.name, name) if isinstance(value, str) else value
            for key, value in self.options.items()
        }
        return self.request(text=self.text.replace(self.name, name), options=options, **more)


class SkillContract:
    """The contract of a handler that is a skill; `taught` has the bot know the document."""

    @pytest.fixture
    async def taught(
        self, skill: Skill, bot: App, chat: FakeChat, send: Callable[..., Attachment]
    ) -> App:
        """Return a bot that knows the document, for its channel alone."""
        chat.answer, chat.fills = skill.says, skill.fills
        attached = (send(skill.name, skill.document),)
        learning = request("", "upload", scope=SCOPE, attachments=attached)
        _, reply = await collect(bot.dispatcher.handle(learning))
        assert reply.outcome == "answer", reply.text
        return bot

    @pytest.fixture
    def asked(self, skill: Skill, send: Callable[..., Attachment]) -> Request:
        """Return the request, with the document where that comes along."""
        files = (send(skill.name, skill.document),) if skill.comes_along else ()
        return skill.request(attachments=files)

    @pytest.fixture
    def ask(self, taught: App) -> Callable[[Request], Awaitable[tuple[list[ReplyEvent], Reply]]]:
        return lambda request: collect(taught.dispatcher.handle(request))

    def test_it_declares_itself(self, skill: Skill, bot: App) -> None:
        command = skill.declared
        assert bot.dispatcher._handlers[command.handler].command == command.handler
        words = [command.label, command.about]
        words += [each for a in command.arguments for each in (a.label, a.about)]
        words += [choice.label for a in command.arguments for choice in a.choices]
        for english, chinese in words:
            assert language_of(english) == "en"
            assert english.strip()
            assert max(chinese) >= "\u4e00"
            assert max(len(english), len(chinese)) <= 100  # Discord shows no more
        assert len(command.label[0]) <= 24  # nor Slack of a form's title

    async def test_it_answers_and_cites_what_it_read(
        self, skill: Skill, ask: Any, asked: Request
    ) -> None:
        events, reply = await ask(asked)
        assert reply.outcome == "answer", reply.text
        chunks = [event for event in events if isinstance(event, ReplyChunk)]
        if skill.streams:
            assert chunks == list(reply.chunks)
            assert chunks
        if skill.reads:
            assert reply.citations
            for citation in reply.citations:
                assert citation.document.endswith(skill.name)
                assert " ".join(citation.quote.split()) in " ".join(skill.document.split())

    async def test_it_can_be_stopped(self, taught: App, asked: Request) -> None:
        events = taught.dispatcher.handle(asked)
        seen = [await anext(events)]
        if not isinstance(seen[0], Reply):  # else it was done before anybody could
            _, told = await collect(taught.dispatcher.handle(request(asked.id, "stop")))
            assert told.outcome == "answer"
            seen += [event async for event in events]
            assert isinstance(seen[-1], Reply)
            assert "Stopped" in seen[-1].text
        assert taught.dispatcher.load.answering == 0

    @pytest.mark.parametrize("language", LANGUAGES)
    async def test_without_what_it_needs_it_says_what_to_give(
        self, skill: Skill, ask: Any, language: Language
    ) -> None:
        if skill.declared.lacks:
            assert not skill.comes_along
            for text in ("", " \n"):
                _, reply = await ask(skill.request(text=text, language=language))
                assert reply.outcome == "error"
                assert reply.text
                assert language_of(reply.text) == reply.language == language

    @pytest.mark.parametrize("language", LANGUAGES)
    async def test_what_nobody_knows_is_refused_in_words(
        self, skill: Skill, ask: Any, language: Language
    ) -> None:
        if skill.names:
            _, reply = await ask(skill.about("no-such-file.md", language=language))
            assert reply.outcome in ("error", "refusal")
            assert reply.language == language
            assert "no-such-file.md" in reply.text
            assert not reply.citations

    async def test_who_may_not_see_a_document_gets_nothing_of_it(
        self, skill: Skill, ask: Any, chat: FakeChat
    ) -> None:
        if skill.comes_along:
            return
        chat.prompts.clear()
        elsewhere = frozenset({"public", "slack:E:T:ELSEWHERE"})
        _, reply = await ask(skill.request(audience=elsewhere))
        assert not reply.citations
        if skill.names:
            _, unknown = await ask(skill.about("no-such-file.md", audience=elsewhere))
            assert reply.outcome == unknown.outcome
            assert reply.text == unknown.text.replace("no-such-file.md", skill.name)
        shown = "\n".join(str(message.content) for each in chat.prompts for message in each)
        assert skill.document.splitlines()[-1] not in shown

    async def test_an_option_that_cannot_be_meant_is_refused_with_what_can(
        self, skill: Skill, ask: Any, asked: Request
    ) -> None:
        for argument in skill.declared.arguments[1:]:
            if argument.choices:
                options = {**skill.options, argument.name: "sideways"}
                _, reply = await ask(replace(asked, options=options))
                assert reply.outcome == "error"
                assert argument.choices[0].label[0] in reply.text
