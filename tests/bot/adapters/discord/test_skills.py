"""Declared commands in Discord: options with choices, files back, and looking back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.adapters.discord.adapter import DiscordAdapter
from bot.commands import COMMANDS
from bot.messages import AttachmentError, File, Reply
from tests.doubles.discord_running import Script, running
from tests.doubles.discord_wire import DiscordDouble

TABLE = File("people.csv", "name,age\n王,30\n".encode(), "A table of people")


@pytest.fixture
def handle() -> Script:
    return Script(ask=[Reply("answer", "Two people were found.", "en", files=(TABLE,))])


@pytest.fixture
async def double() -> AsyncIterator[DiscordDouble]:
    async with DiscordDouble() as double:
        yield double


@pytest.fixture
async def adapter(double: DiscordDouble, handle: Script) -> AsyncIterator[DiscordAdapter]:
    async with running(double, handle) as adapter:
        yield adapter


async def test_every_argument_is_an_option_in_both_languages(
    double: DiscordDouble, adapter: DiscordAdapter
) -> None:
    (registered,) = double.calls("PUT", "/commands")
    by_name = {each["name"]: each for each in registered.body}
    for command in COMMANDS:
        known = by_name[command.name]
        assert known["name_localizations"]["zh-CN"] == command.label[1]
        options = {each["name"]: each for each in known.get("options") or ()}
        for argument in command.arguments:
            option = options[argument.name]
            assert option["description"] == argument.about[0]
            assert option["description_localizations"]["zh-CN"] == argument.about[1]
            values = [each["value"] for each in option.get("choices") or ()]
            assert values == [choice.value for choice in argument.choices]


async def test_options_and_several_documents_reach_the_handler(
    double: DiscordDouble, handle: Script, adapter: DiscordAdapter
) -> None:
    chosen = {"document": "a.md", "document3": "b.md", "length": "short", "language": "zh"}
    asked = double.person.slash(double.channel, "compare", **chosen)
    await double.until(lambda: double.person.shown(asked))
    (request,) = handle.requests
    assert (request.command, request.text) == ("compare", "a.md\nb.md")
    assert request.options == {"length": "short", "language": "zh"}


async def test_a_file_stands_on_its_answer(
    double: DiscordDouble, handle: Script, adapter: DiscordAdapter
) -> None:
    question = double.person.ask(double.channel, "Who is there?")
    (answer,) = await double.until(lambda: [m for m in double.said(question.id) if m.attachments])
    assert "Two people" in answer.content
    (attached,) = answer.attachments
    assert attached["filename"] == TABLE.name


async def test_a_file_of_a_private_answer_is_seen_by_its_asker_alone(
    double: DiscordDouble, handle: Script, adapter: DiscordAdapter
) -> None:
    asked = double.person.slash(double.channel, "ask", question="Who is there?")
    answer = await double.until(lambda: double.person.shown(asked))
    assert answer is not None
    assert answer.is_ephemeral
    assert [each["filename"] for each in answer.attachments] == [TABLE.name]


async def test_what_was_said_in_the_channel_comes_along(
    double: DiscordDouble, handle: Script, adapter: DiscordAdapter, tmp_path: Path
) -> None:
    thread = double.person.start_thread(double.channel, "The pier")
    double.person.say(double.channel, "The pier is closed")
    double.person.say(thread, "Since when?")
    asked = double.person.slash(double.channel, "missed", since="2h")
    shown = await double.until(lambda: double.person.shown(asked))
    assert shown is not None
    assert shown.is_ephemeral
    (attachment,) = next(r for r in handle.requests if r.command == "missed").attachments
    await adapter.download(attachment, tmp_path / "said", 10_000)
    written = await asyncio.to_thread((tmp_path / "said").read_text, encoding="utf-8")
    assert "The pier is closed" in written
    assert "Since when?" in written


async def test_nothing_said_is_told(
    double: DiscordDouble, handle: Script, adapter: DiscordAdapter, tmp_path: Path
) -> None:
    asked = double.person.slash(double.channel, "missed")
    await double.until(lambda: double.person.shown(asked))
    (request,) = handle.requests
    assert request.text == "1d"
    with pytest.raises(AttachmentError) as caught:
        await adapter.download(request.attachments[0], tmp_path / "said", 10_000)
    assert caught.value.code == "nothing_said"


async def test_who_may_not_read_the_history_gets_nothing_of_it(
    double: DiscordDouble, handle: Script, adapter: DiscordAdapter
) -> None:
    double.forbid(double.channel, double.person.id, read_message_history=False)
    asked = double.person.slash(double.channel, "missed", since="2h")
    await double.until(lambda: double.person.shown(asked))
    (request,) = [each for each in handle.requests if each.command == "missed"]
    assert request.attachments == ()


async def test_a_thread_is_summarised_from_the_menu_of_its_messages(
    double: DiscordDouble, handle: Script, adapter: DiscordAdapter
) -> None:
    thread = double.person.start_thread(double.channel, "The pier")
    message = double.person.say(thread, "It is closed.")
    chosen = double.person.choose(thread, "Summarise", message)
    await double.until(lambda: double.person.shown(chosen))
    (request,) = [each for each in handle.requests if each.command == "summarise"]
    assert request.attachments[0].reference == f"thread#{thread.id}"
