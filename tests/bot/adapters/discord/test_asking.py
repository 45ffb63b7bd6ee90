"""Questions in Discord, over the wire: where they are asked, answered, changed and taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from simcord.backend.models import Channel, Message
from simcord.enums import ChannelType

from bot.adapters.discord.bot import Manners
from bot.messages import Reply, ReplyChunk, Status
from tests.doubles.discord_running import Script, running
from tests.doubles.discord_wire import DiscordDouble


@dataclass
class Team:
    discord: DiscordDouble
    handle: Script

    async def answers(self, channel: Channel, count: int = 1) -> list[Message]:
        """Wait for so many whole answers in a channel or thread."""

        def whole() -> list[Message]:
            said = self.discord.said(channel)
            done = [each for each in said if "Sources:" in each.content]
            return said if len(done) == count else []

        return await self.discord.until(whole)

    async def thread(self, number: int = 0) -> Channel:
        """Wait for the channel's thread of that number."""
        threads = await self.discord.until(
            lambda: self.discord.threads(self.discord.channel)[number:]
        )
        return threads[0]


@pytest.fixture
async def team() -> AsyncIterator[Team]:
    handle = Script()
    async with DiscordDouble() as discord, running(discord, handle):
        yield Team(discord, handle)


async def test_a_mention_gets_one_cited_answer_in_its_own_thread(team: Team) -> None:
    discord = team.discord
    question = discord.person.ask(discord.channel, "How many days of leave?")
    thread = await team.thread()
    (answer,) = await team.answers(thread)
    assert thread.id == question.id
    assert thread.name == "How many days of leave?"
    assert "You have 25 days. [1]" in answer.content
    assert "handbook.pdf, p. 12" in answer.content
    assert discord.said(discord.channel) == []
    assert discord.calls("POST", "/typing")


async def test_it_is_seen_at_once_that_the_bot_works(team: Team) -> None:
    team.handle.holding = asyncio.Event()
    team.handle.scripts["ask"] = [Status("2 ahead of you …"), Reply("answer", "Yes.", "en")]
    team.discord.person.ask(team.discord.channel, "How many days of leave?")
    thread = await team.thread()
    await team.discord.until(
        lambda: [m for m in team.discord.said(thread) if "2 ahead of you" in m.content]
    )
    team.handle.holding.set()
    await team.discord.until(lambda: team.discord.said(thread)[0].content == "Yes.")
    assert len(team.discord.said(thread)) == 1


async def test_the_place_in_the_queue_is_told_within_three_seconds() -> None:
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        await asyncio.sleep(0)

    places = [Status(f"{ahead} ahead of you …") for ahead in (2, 1)]
    handle = Script(ask=[*places, Reply("answer", "Yes.", "en")])
    handle.holding = asyncio.Event()
    options: dict[str, Any] = {"edit_seconds": 1.5, "clock": lambda: now, "sleep": sleep}
    async with DiscordDouble() as double, running(double, handle, **options):
        double.person.ask(double.channel, "How many days of leave?")
        said = await double.until(
            lambda: [
                m
                for thread in double.threads(double.channel)
                for m in double.said(thread)
                if "1 ahead of you" in m.content
            ]
        )
        assert now <= 3
        handle.holding.set()
        await double.until(lambda: said[0].content == "Yes.")


async def test_a_direct_message_is_answered_there(team: Team) -> None:
    person = team.discord.person
    person.say(person.direct, "How many days of leave?")
    await team.answers(person.direct)
    (request,) = team.handle.requests
    assert request.scope == f"discord:@me:{person.direct.id}"


async def test_a_reply_to_the_bot_goes_on_without_a_mention(team: Team) -> None:
    discord = team.discord
    discord.forbid(discord.channel, discord.me, create_public_threads=False)
    discord.person.ask(discord.channel, "How many days of leave?")
    (answer,) = await team.answers(discord.channel)
    discord.person.say(discord.channel, "And for juniors?", reply_to=answer)
    await discord.until(lambda: len(team.handle.asked()) == 2)


async def test_a_thread_goes_on_while_people_dont_talk_to_each_other(team: Team) -> None:
    discord, mei = team.discord, team.discord.person
    tom = discord.add_person("tom")
    mei.ask(discord.channel, "How many days of leave?")
    thread = await team.thread()
    await team.answers(thread)
    mei.say(thread, "And for juniors?")
    await team.answers(thread, 2)
    mei.say(thread, f"{tom.mention} is that so?")
    tom.say(thread, "I think it is.")
    mei.ask(thread, "Really?")
    await team.answers(thread, 3)
    assert team.handle.asked() == ["How many days of leave?", "And for juniors?", "Really?"]
    conversations = {request.conversation for request in team.handle.requests}
    assert conversations == {str(thread.id)}


async def test_in_a_thread_that_isnt_the_bots_it_waits_to_be_asked(team: Team) -> None:
    discord = team.discord
    thread = discord.person.start_thread(discord.channel, "ours")
    discord.person.say(thread, "How many days of leave?")
    discord.person.ask(thread, "So?")
    await team.answers(thread)
    assert team.handle.asked() == ["So?"]


async def test_without_follow_ups_every_question_needs_a_mention() -> None:
    handle = Script()
    async with (
        DiscordDouble() as discord,
        running(discord, handle, manners=Manners(follow_ups=False)),
    ):
        team = Team(discord, handle)
        discord.person.ask(discord.channel, "How many days of leave?")
        thread = await team.thread()
        await team.answers(thread)
        discord.person.say(thread, "And for juniors?")
        discord.person.ask(thread, "Well?")
        await team.answers(thread, 2)
        assert handle.asked() == ["How many days of leave?", "Well?"]


@pytest.mark.parametrize("answered", [True, False])
async def test_forum_posts_are_answered_where_that_is_wanted(answered: bool) -> None:
    handle = Script()
    async with (
        DiscordDouble() as discord,
        running(discord, handle, manners=Manners(forum_posts=answered)),
    ):
        team = Team(discord, handle)
        forum = discord.add_channel("questions", kind=ChannelType.FORUM)
        first, _ = discord.person.post(forum, "Leave", "How many days of leave?")
        second, _ = discord.person.post(forum, "Bank", f"{discord.mention} When is payday?")
        await team.answers(second)
        if answered:
            await team.answers(first)
        assert handle.asked()[-1:] == ["When is payday?"]
        assert len(handle.requests) == 1 + answered
        assert {request.scope for request in handle.requests} == {
            f"discord:{discord.guild.id}:{forum.id}"
        }


async def test_a_question_that_is_edited_gets_its_answer_edited(team: Team) -> None:
    discord = team.discord
    question = discord.person.ask(discord.channel, "How many days of leave?")
    thread = await team.thread()
    (answer,) = await team.answers(thread)
    team.handle.scripts["ask"] = [Reply("answer", "Juniors have 20.", "en")]
    discord.person.edit(question, f"{discord.mention} And for juniors?")
    await discord.until(lambda: "Juniors have 20." in discord.said(thread)[0].content)
    assert [each.id for each in discord.said(thread)] == [answer.id]
    assert team.handle.asked() == ["How many days of leave?", "And for juniors?"]


async def test_a_preview_that_discord_adds_is_no_edit(team: Team) -> None:
    discord = team.discord
    question = discord.person.ask(discord.channel, "See https://example.org?")
    thread = await team.thread()
    await team.answers(thread)
    created = next(p for op, e, p in discord.backend.transcript if e == "MESSAGE_CREATE")
    discord.gateway.repeat("MESSAGE_UPDATE", {**created, "embeds": [{"type": "link"}]})
    discord.person.edit(question, f"{discord.mention} See it now?")
    await discord.until(lambda: len(team.handle.asked()) == 2)
    assert team.handle.asked()[1] == "See it now?"


async def test_a_message_that_becomes_a_question_is_answered(team: Team) -> None:
    discord = team.discord
    message = discord.person.say(discord.channel, "How many days of leave?")
    discord.person.edit(message, f"{discord.mention} How many days of leave?")
    await team.answers(await team.thread())


async def test_a_question_that_is_deleted_takes_its_answer_with_it(team: Team) -> None:
    discord = team.discord
    question = discord.person.ask(discord.channel, "How many days of leave?")
    thread = await team.thread()
    await team.answers(thread)
    discord.person.delete(question)
    await discord.until(lambda: not discord.said(thread))


async def test_a_question_that_is_deleted_while_it_is_answered_ends_the_work(team: Team) -> None:
    discord = team.discord
    team.handle.holding = asyncio.Event()
    question = discord.person.ask(discord.channel, "How many days of leave?")
    thread = await team.thread()
    await discord.until(lambda: discord.said(thread))
    discord.person.delete(question)
    await discord.until(lambda: not discord.said(thread))


async def test_what_doesnt_address_the_bot_is_left_alone(team: Team) -> None:
    discord = team.discord
    robot = discord.add_person("robot", bot=True)
    robot.ask(discord.channel, "How many days of leave?")
    discord.person.say(discord.channel, "How many days of leave?")
    discord.person.say(discord.channel, "@everyone lunch?")
    discord.person.ask(discord.channel, "And now?")
    await team.answers(await team.thread())
    assert team.handle.asked() == ["And now?"]


async def test_an_event_that_comes_twice_is_answered_once(team: Team) -> None:
    discord = team.discord
    discord.person.ask(discord.channel, "How many days of leave?")
    thread = await team.thread()
    await team.answers(thread)
    for _, event, payload in list(discord.backend.transcript):
        if event == "MESSAGE_CREATE":
            discord.gateway.repeat(event, payload)
    discord.person.ask(discord.channel, "And now?")
    await team.answers(await team.thread(1))
    assert team.handle.asked() == ["How many days of leave?", "And now?"]
    assert len(discord.said(thread)) == 1


async def test_a_long_chinese_answer_is_split_into_messages_that_discord_takes(
    team: Team,
) -> None:
    sentences = [
        f"第{number}条：员工每年享有二十五天带薪年假，请提前申请。" for number in range(200)
    ]
    text = "".join(sentences)
    team.handle.scripts["ask"] = [ReplyChunk(text), Reply("answer", text, "zh")]
    discord = team.discord
    discord.person.ask(discord.channel, "年假有多少天？")
    thread = await team.thread()

    def whole() -> bool:
        return "".join(each.content for each in discord.said(thread)) == text

    await discord.until(whole)
    said = discord.said(thread)
    assert len(said) > 1
    assert all(len(each.content) <= 2000 for each in said)
    assert [bool(each.components) for each in said] == [False] * (len(said) - 1) + [True]


async def test_model_text_cannot_mention_or_link(team: Team) -> None:
    discord = team.discord
    text = f"@everyone <@{discord.person.id}> [x](http://evil.example)"
    team.handle.scripts["ask"] = [ReplyChunk(text), Reply("answer", text, "en")]
    discord.person.ask(discord.channel, "hello")
    thread = await team.thread()
    await discord.until(
        lambda: [m for m in discord.said(thread) if m.components and "everyone" in m.content]
    )
    (said,) = discord.said(thread)
    assert not said.mention_everyone
    assert said.ping_user_ids == []
    assert "](http" not in said.content
    assert said.flags & 4  # no previews
    for call in discord.calls("POST", "/messages"):
        assert call.body["allowed_mentions"]["parse"] == []
