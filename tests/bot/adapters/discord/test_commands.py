"""Commands, menus, buttons and forms in Discord, over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import discord
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simcord.backend.models import Channel, Interaction, Message

from bot.adapters.discord.surface import question_in, quote_of
from bot.commands import COMMANDS
from bot.messages import Citation, Reply, Request
from bot.render import clean
from rag.audience import Audience
from tests.bot.inboxes import MemoryInbox
from tests.doubles.discord_people import Person
from tests.doubles.discord_running import Script, running
from tests.doubles.discord_wire import DiscordDouble


@dataclass
class Team:
    discord: DiscordDouble
    handle: Script

    @property
    def person(self) -> Person:
        return self.discord.person

    @property
    def channel(self) -> Channel:
        return self.discord.channel

    async def shown(self, interaction: Interaction, text: str = "") -> Message:
        """Wait for the answer to a command or button, with this text in it."""

        def there() -> Message | None:
            message = self.person.shown(interaction)
            return message if message is not None and text in message.content else None

        message = await self.discord.until(there)
        assert message is not None
        return message

    async def answered(self) -> tuple[Channel, Message]:
        """Ask in the channel; return the thread and the answer in it."""
        self.person.ask(self.channel, "How many days of leave?")
        thread = (await self.discord.until(lambda: self.discord.threads(self.channel)))[-1]
        whole = await self.discord.until(
            lambda: [m for m in self.discord.said(thread) if "Sources:" in m.content]
        )
        return thread, whole[0]


@pytest.fixture
async def team() -> AsyncIterator[Team]:
    handle = Script()
    async with DiscordDouble() as discord, running(discord, handle):
        yield Team(discord, handle)


# Commands


async def test_ask_answers_the_person_alone_with_the_question_above(team: Team) -> None:
    asked = team.person.slash(team.channel, "ask", question="How *many* days?")
    answer = await team.shown(asked, "Sources:")
    assert answer.is_ephemeral
    assert answer.content.startswith("> How \\*many\\* days?\n")
    assert answer.flags & 4  # no previews
    assert team.discord.said(team.channel) == []
    (request,) = team.handle.requests
    own = f"discord:{team.discord.guild.id}:{team.channel.id}"
    assert (request.command, request.text, request.scope) == ("ask", "How *many* days?", own)
    assert request.audience == {"public", own}
    assert Audience.of(request.audience)


async def test_ask_answers_everybody_where_that_is_wanted(team: Team) -> None:
    asked = team.person.slash(team.channel, "ask", question="How many days?", public=True)
    answer = await team.shown(asked, "Sources:")
    assert not answer.is_ephemeral
    labels = [b.get("label") for b in answer.components[-1]["components"]]
    assert "Share to channel" not in labels


@pytest.mark.parametrize(
    ("name", "options", "command", "text"),
    [
        ("search", {"words": "leave"}, "search", "leave"),
        ("summarise", {"document": "handbook.pdf"}, "summarise", "handbook.pdf"),
        ("summarise", {"link": "https://example.org/a"}, "summarise", "https://example.org/a"),
        ("learn", {"link": "https://example.org/a"}, "learn", "https://example.org/a"),
        ("sources", {}, "sources", ""),
        ("forget", {"document": "handbook.pdf"}, "forget", "handbook.pdf"),
        ("reindex", {}, "index", ""),
        ("status", {}, "status", ""),
        ("help", {}, "help", ""),
    ],
)
async def test_every_command_reaches_its_handler(
    team: Team, name: str, options: dict[str, Any], command: str, text: str
) -> None:
    await team.shown(team.person.slash(team.channel, name, **options))
    (request,) = team.handle.requests
    assert (request.command, request.text) == (command, text)
    (response,) = team.discord.calls("POST", "/callback")
    assert response.body["type"] == 5  # deferred, before any work


async def test_help_tells_how_the_commands_are_given_here(team: Team) -> None:
    await team.shown(team.person.slash(team.channel, "help"))
    assert team.handle.requests[0].options == {"prefix": "/"}
    here = {name for name, kind in team.discord.backend.commands[None] if kind == 1}
    assert here == {command.name for command in COMMANDS}


async def test_a_file_can_be_summarised(team: Team) -> None:
    file = ("report.pdf", b"%PDF-1.7")
    await team.shown(team.person.slash(team.channel, "summarise", file=file))
    (request,) = team.handle.requests
    assert [each.name for each in request.attachments] == ["report.pdf"]


async def test_who_manages_the_server_is_its_admin(team: Team) -> None:
    boss = team.discord.add_person("boss")
    manage = discord.Permissions(manage_guild=True).value
    role = team.discord.backend.create_role(team.discord.guild.id, "boss", permissions=manage)
    team.discord.backend.add_member_role(team.discord.guild.id, boss.id, role.id)
    await team.shown(team.person.slash(team.channel, "status"))
    await team.shown(boss.slash(team.channel, "status"))
    assert [request.is_admin for request in team.handle.requests] == [False, True]


async def test_a_person_who_reads_chinese_is_answered_so(team: Team) -> None:
    team.person.locale = "zh-CN"
    await team.shown(team.person.slash(team.channel, "sources"))
    assert team.handle.requests[0].language == "zh"


async def test_suggestions_are_documents_that_may_be_seen(team: Team) -> None:
    typed = team.person.type(team.channel, "forget", "document", "NOTES")
    choices = await team.discord.until(lambda: typed.autocomplete_choices or [])
    assert [choice["value"] for choice in choices] == ["release-notes.md"]
    (request,) = team.handle.requests
    own = f"discord:{team.discord.guild.id}:{team.channel.id}"
    assert request.command == "sources"
    assert request.audience == {"public", own}


async def test_commands_are_registered_in_chinese_too_and_only_when_they_changed() -> None:
    async with DiscordDouble() as discord:
        for _ in range(2):
            async with running(discord, Script()):
                pass
        (first,) = discord.calls("PUT", "/commands")
        names = {each["name"]: each["name_localizations"]["zh-CN"] for each in first.body}
        assert names["ask"] == "提问"
        for command in discord.backend.commands[None].values():
            command["description"] = "of an older version"
        async with running(discord, Script()):
            assert len(discord.calls("PUT", "/commands")) == 2


# Menus of messages


async def test_a_messages_file_is_summarised_from_its_menu(team: Team) -> None:
    files = [("report.pdf", b"%PDF-1.7")]
    message = team.person.say(team.channel, "our report", files=files)
    await team.shown(team.person.choose(team.channel, "Summarise", message))
    request = team.handle.requests[-1]
    assert request.command == "summarise"
    assert [each.name for each in request.attachments] == ["report.pdf"]


async def test_what_a_message_says_is_summarised_from_its_menu(team: Team) -> None:
    message = team.person.say(team.channel, "A long story.")
    await team.shown(team.person.choose(team.channel, "Summarise", message))
    (request,) = team.handle.requests
    assert request.attachments[0].reference == f"text#{team.channel.id}/{message.id}"


async def test_a_message_is_asked_about_with_a_form(team: Team) -> None:
    message = team.person.say(team.channel, "How many days of leave?")
    chosen = team.person.choose(team.channel, "Ask about this", message)
    await team.discord.until(lambda: chosen.modal)
    assert "How many days of leave?" in str(chosen.modal)
    sent = team.person.submit(chosen, question="How many days?")
    answer = await team.shown(sent, "Sources:")
    assert answer.is_ephemeral
    assert team.handle.asked() == ["How many days?"]


async def test_a_thread_is_remembered_from_the_menu_of_its_messages(team: Team) -> None:
    thread = team.person.start_thread(team.channel, "Why we moved")
    message = team.person.say(thread, "Because of the rent.")
    await team.shown(team.person.choose(thread, "Remember this thread", message))
    (request,) = team.handle.requests
    assert request.command == "remember"
    assert request.attachments[0].name == "Why we moved"
    outside = team.person.say(team.channel, "hello")
    told = await team.shown(team.person.choose(team.channel, "Remember this thread", outside))
    assert told.is_ephemeral
    assert len(team.handle.requests) == 1


# Buttons


async def test_a_source_opens_for_the_one_who_asked_to_see_it(team: Team) -> None:
    _, answer = await team.answered()
    menu = answer.components[0]["components"][0]
    team.handle.scripts["open"] = [Reply("answer", "> 25 days", "en")]
    opened = await team.shown(team.person.pick(answer, menu["options"][0]["value"]))
    assert opened.is_ephemeral
    assert "25 days" in opened.content
    request = team.handle.requests[-1]
    assert (request.command, request.text) == ("open", "handbook.pdf")
    assert request.options == {"start": 0, "end": 30}


async def test_a_refusal_offers_the_nearest_documents_to_open(team: Team) -> None:
    near = Citation(1, "travel.md", None, "Hotels", "EUR 140 a night.", 5, 21)
    team.handle.scripts["ask"] = [Reply("refusal", "I can't find that.", "en", nearest=(near,))]
    team.person.ask(team.channel, "What about ferries?")
    thread = (await team.discord.until(lambda: team.discord.threads(team.channel)))[-1]
    (refusal,) = await team.discord.until(
        lambda: [m for m in team.discord.said(thread) if "travel.md" in m.content]
    )
    menu = refusal.components[0]["components"][0]
    team.handle.scripts["open"] = [Reply("answer", "> EUR 140", "en")]
    await team.shown(team.person.pick(refusal, menu["options"][0]["value"]), "EUR 140")
    assert team.handle.requests[-1].options == {"start": 5, "end": 21}


async def test_an_answer_is_stopped(team: Team) -> None:
    team.handle.holding = asyncio.Event()
    team.person.ask(team.channel, "How many days of leave?")
    thread = (await team.discord.until(lambda: team.discord.threads(team.channel)))[0]
    (growing,) = await team.discord.until(
        lambda: [m for m in team.discord.said(thread) if m.components]
    )
    team.person.press(growing, "Stop")
    await team.discord.until(lambda: team.handle.asked("stop"))
    assert team.handle.asked("stop") == [team.handle.requests[0].id]


async def test_an_answer_is_rated(team: Team) -> None:
    _, answer = await team.answered()
    await team.shown(team.person.press(answer, "👎"))
    request = team.handle.requests[-1]
    assert request.command == "rate"
    assert request.options == {"thumb": "down", "reply": team.handle.requests[0].id}


@pytest.mark.parametrize("name", ["handbook.pdf", "team/rules/leave.md"])
async def test_an_admins_thumbs_down_becomes_a_case_on_one_click(team: Team, name: str) -> None:
    _, answer = await team.answered()
    asked = team.handle.requests[0].id
    offer = {"reply": asked, "documents": [name, "long" * 30]}
    team.handle.scripts["rate"] = [Reply("answer", "Noted.", "en", data=offer)]
    team.handle.scripts["case"] = [Reply("answer", "Added.", "en")]
    thanks = await team.shown(team.person.press(answer, "👎"), "Noted.")
    assert len(thanks.components[0]["components"]) == 2
    await team.shown(team.person.press(thanks, f"Add it; right is {name}"), "Added.")
    added = team.handle.requests[-1]
    assert (added.command, added.text, added.options) == ("case", name, {"reply": asked})


async def test_an_answer_is_regenerated_in_its_place(team: Team) -> None:
    thread, answer = await team.answered()
    team.handle.scripts["ask"] = [Reply("answer", "Or 26.", "en")]
    team.person.press(answer, "Regenerate")
    await team.discord.until(lambda: "Or 26." in answer.content)
    assert team.discord.said(thread) == [answer]
    assert team.handle.asked() == ["How many days of leave?"] * 2


async def test_somebody_elses_answer_is_not_regenerated(team: Team) -> None:
    _, answer = await team.answered()
    tom = team.discord.add_person("tom")
    told = await team.shown(tom.press(answer, "Regenerate"))
    assert told.is_ephemeral
    assert len(team.handle.asked()) == 1


async def test_a_private_answer_is_regenerated_from_its_quote(team: Team) -> None:
    asked = team.person.slash(team.channel, "ask", question="What is 2*3?")
    answer = await team.shown(asked, "Sources:")
    team.handle.scripts["ask"] = [Reply("answer", "Six.", "en")]
    team.person.press(answer, "Regenerate")
    await team.discord.until(lambda: "Six." in answer.content)
    assert team.handle.asked() == ["What is 2*3?"] * 2


async def test_a_private_answer_is_shared_with_the_channel(team: Team) -> None:
    asked = team.person.slash(team.channel, "ask", question="How many days?")
    answer = await team.shown(asked, "Sources:")
    shared = await team.shown(team.person.press(answer, "Share to channel"))
    assert not shared.is_ephemeral
    assert answer.content in shared.content
    assert "mei" in shared.content
    custom_ids = str(shared.components)
    assert "teamglm/open" in custom_ids
    assert "teamglm/share" not in custom_ids
    assert len(team.handle.asked()) == 1


async def test_a_private_answer_of_several_messages_is_shared_and_regenerated() -> None:
    text = "Everyone has 25 days of leave. " * 100
    inbox, handle = MemoryInbox(), Script(ask=[Reply("answer", text, "en")])
    async with DiscordDouble() as discord:
        team = Team(discord, handle)

        def parts() -> list[Message]:
            kept = discord.backend.messages[team.channel.id].values()
            return [each for each in kept if each.is_ephemeral and "25 days" in each.content]

        async with running(discord, handle, inbox=inbox):
            team.person.slash(team.channel, "ask", question="How many days?")
            first, last = await discord.until(lambda: parts() if len(parts()) == 2 else [])
            team.person.press(last, "Share to channel")
            await discord.until(lambda: len(discord.said(team.channel)) == 2)
            shared = discord.said(team.channel)
            assert shared[0].content.startswith("> How many days?\n")
            whole = "".join(each.content for each in shared)
            assert whole.count("25 days of leave") == 100
            assert "mei" in shared[1].content
            handle.scripts["ask"] = [Reply("answer", "25 days, all in all.", "en")]
            team.person.press(last, "Regenerate")
            await discord.until(lambda: "all in all" in first.content)
            await discord.until(lambda: parts() == [first])
            handle.scripts["ask"] = [Reply("answer", text, "en")]
            team.person.slash(team.channel, "ask", question="And how many weeks?")
            *_, last = await discord.until(lambda: parts() if len(parts()) == 3 else [])
        async with running(discord, handle, inbox=inbox):  # also after a restart
            team.person.press(last, "Share to channel")
            await discord.until(lambda: len(discord.said(team.channel)) == 4)
            handle.recalled.forget()
            for label in ("Share to channel", "Regenerate"):
                await team.shown(team.person.press(last, label), "no longer at hand")
        assert len(discord.said(team.channel)) == 4


async def test_buttons_work_after_a_restart() -> None:
    inbox, handle = MemoryInbox(), Script()
    async with DiscordDouble() as discord:
        team = Team(discord, handle)
        async with running(discord, handle, inbox=inbox):
            thread, answer = await team.answered()
        async with running(discord, handle, inbox=inbox):
            team.person.press(answer, "Regenerate")
            await discord.until(lambda: len(handle.asked()) == 2)
            await team.shown(team.person.press(answer, "👍"))
            menu = answer.components[0]["components"][0]
            await team.shown(team.person.pick(answer, menu["options"][0]["value"]))
            assert discord.said(thread) == [answer]


async def test_a_button_of_somebody_elses_bot_is_left_alone(team: Team) -> None:
    _, answer = await team.answered()
    answer.components[-1]["components"][0]["custom_id"] = "other/again"
    team.person.press(answer, "Regenerate")
    await team.shown(team.person.press(answer, "👍"))
    assert len(team.handle.asked()) == 1


@settings(max_examples=200)
@given(st.text(alphabet="ab *_~`|\\<>[]():/.@#-\n中。", min_size=1, max_size=80))
def test_a_question_is_read_back_from_its_quote(text: str) -> None:
    request = Request(
        "1", "discord", "ask", text, "2", "3", "public", frozenset(), address={"token": "t"}
    )
    quote = quote_of(request)
    expected = clean(text).strip()
    if expected:
        assert question_in(quote + "An answer.") == expected
    else:
        assert quote == ""
    assert quote_of(replace(request, command="search")) == ""
