"""Where answers go in Discord when a place refuses them, and what rate limits do to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import discord
import pytest
from simcord.backend.models import Channel, Message
from simcord.enums import ChannelType

from bot.adapters.discord.check import PERMISSIONS
from bot.messages import Reply, ReplyChunk
from tests.doubles.discord_running import Script, running
from tests.doubles.discord_wire import DiscordDouble


@dataclass
class Team:
    """A server that the bot was invited to with exactly the permissions that it asks for."""

    discord: DiscordDouble
    handle: Script

    async def answer(self, channel: Channel | int) -> Message:
        """Wait for the one whole answer in a channel."""

        def whole() -> list[Message]:
            return [m for m in self.discord.said(channel) if "Sources:" in m.content]

        (answer,) = await self.discord.until(whole)
        return answer


@pytest.fixture
async def team() -> AsyncIterator[Team]:
    handle = Script()
    async with DiscordDouble(permissions=PERMISSIONS.value) as double, running(double, handle):
        yield Team(double, handle)


async def test_the_permissions_of_the_invitation_are_enough(team: Team) -> None:
    question = team.discord.person.ask(team.discord.channel, "How many days of leave?")
    await team.answer(question.id)
    refused = [call for call in team.discord.rest.calls if call.status >= 400]
    assert refused == []


async def test_where_no_thread_may_be_started_the_answer_is_a_reply(team: Team) -> None:
    double = team.discord
    double.forbid(double.channel, double.me, create_public_threads=False)
    question = double.person.ask(double.channel, "How many days of leave?")
    answer = await team.answer(double.channel)
    assert answer.reference is not None
    assert answer.reference["message_id"] == str(question.id)


async def test_where_the_bot_may_not_write_the_person_is_told_directly(team: Team) -> None:
    double = team.discord
    double.forbid(
        double.channel,
        double.me,
        create_public_threads=False,
        send_messages=False,
        send_messages_in_threads=False,
    )
    double.person.ask(double.channel, "How many days of leave?")
    await team.answer(double.person.direct)
    assert double.said(double.channel) == []


async def test_what_can_be_said_nowhere_is_logged(
    team: Team, caplog: pytest.LogCaptureFixture
) -> None:
    double = team.discord
    double.rest.blocked.add(double.person.id)
    double.forbid(double.channel, double.me, create_public_threads=False, send_messages=False)
    double.person.ask(double.channel, "How many days of leave?")
    await double.until(lambda: "could not be delivered anywhere" in caplog.text)
    double.person.say(double.person.direct, "Hello?")
    await double.until(lambda: caplog.text.count("could not be delivered anywhere") == 2)


async def test_an_archived_thread_opens_again_for_the_answer(team: Team) -> None:
    double = team.discord
    thread = double.person.start_thread(double.channel, "old")
    question = double.person.ask(thread, "How many days of leave?")
    double.backend.edit_channel(thread.id, {}, thread_metadata={"archived": True})
    answer = await team.answer(thread)
    assert answer.id > question.id
    assert thread.thread_metadata is not None
    assert not thread.thread_metadata.archived


async def test_a_locked_thread_is_answered_in_direct_messages(team: Team) -> None:
    double = team.discord
    thread = double.person.start_thread(double.channel, "settled")
    double.backend.edit_channel(thread.id, {}, thread_metadata={"locked": True})
    double.person.ask(thread, "How many days of leave?")
    await team.answer(double.person.direct)
    assert double.said(thread) == []


async def test_a_thread_that_somebody_else_started_on_the_question_is_used(team: Team) -> None:
    double = team.discord
    double.fail("POST", "/channels/*/threads", status=400, code=160004)
    question = double.person.ask(double.channel, "How many days of leave?")
    double.person.start_thread(double.channel, "mine", question)
    await team.answer(question.id)


async def test_an_answer_in_a_voice_channels_chat_stands_there(team: Team) -> None:
    voice = team.discord.add_channel("standup", kind=ChannelType.VOICE)
    team.discord.person.ask(voice, "How many days of leave?")
    await team.answer(voice)


async def test_after_a_command_has_expired_its_answer_goes_where_it_may_be_seen() -> None:
    for public in (True, False):
        handle = Script()
        async with DiscordDouble() as double, running(double, handle):
            expired = double.backend.now_iso()
            asked = double.person.slash(double.channel, "ask", question="How?", public=public)
            asked.expires_at = asked.initial_response_deadline = expired
            where = double.channel if public else double.person.direct
            await Team(double, handle).answer(where)
            other = double.person.direct if public else double.channel
            assert double.said(other) == []


async def test_a_rate_limit_is_obeyed_and_nothing_is_said_twice(team: Team) -> None:
    double = team.discord
    double.fail("POST", "/channels/*/messages", status=429, retry_after=0.2)
    double.fail("PATCH", "/channels/*/messages/*", status=429, retry_after=0.2)
    sentences = tuple(ReplyChunk(f"Sentence {number}. ") for number in range(3))
    text = "".join(each.text for each in sentences)
    team.handle.scripts["ask"] = [*sentences, Reply("answer", text, "en", sentences)]
    question = double.person.ask(double.channel, "Tell me all.")
    await double.until(lambda: [m for m in double.said(question.id) if "Sentence 2." in m.content])
    assert len(double.said(question.id)) == 1


@pytest.mark.parametrize("status", [0, 502])
async def test_a_message_whose_receipt_is_lost_is_not_sent_again(team: Team, status: int) -> None:
    double = team.discord
    double.fail("POST", "/channels/*/messages", status=status, accepted=True)
    question = double.person.ask(double.channel, "How many days of leave?")
    await team.answer(question.id)
    assert len(double.said(question.id)) == 1


async def test_an_answer_that_somebody_deleted_is_written_again(team: Team) -> None:
    double = team.discord
    question = double.person.ask(double.channel, "How many days of leave?")
    first = await team.answer(question.id)
    double.backend.delete_message(question.id, first.id)
    double.person.edit(question, f"{double.mention} How many now?")
    again = await team.answer(question.id)
    assert again.id != first.id


async def test_only_what_the_bot_needs_is_asked_for() -> None:
    may = {name for name, value in PERMISSIONS if value}
    assert "administrator" not in may
    assert not {name for name in may if name.startswith("manage")}
    assert discord.Permissions(view_channel=True) <= PERMISSIONS
