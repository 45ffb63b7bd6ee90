"""Who may see what in Discord, over the wire: roles, channels, threads, direct messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import discord
import pytest
from simcord.backend.models import Channel, Message
from simcord.enums import ChannelType

from tests.doubles.discord_people import Person
from tests.doubles.discord_running import Script, running
from tests.doubles.discord_wire import DiscordDouble


@dataclass
class Team:
    discord: DiscordDouble
    handle: Script

    async def audience(self, said: Message) -> frozenset[str]:
        """Return for whom a message is answered."""
        requests = await self.discord.until(
            lambda: [r for r in self.handle.requests if r.address.get("message") == str(said.id)]
        )
        return requests[0].audience

    async def direct(self, person: Person) -> frozenset[str]:
        """Return what somebody may see in direct messages now, without the channel's own scope."""
        audience = await self.audience(person.say(person.direct, "What do you know?"))
        return audience - {f"discord:@me:{person.direct.id}"}

    def scope(self, channel: Channel) -> str:
        return f"discord:{channel.guild_id}:{channel.id}"


@pytest.fixture
async def team() -> AsyncIterator[Team]:
    handle = Script()
    async with DiscordDouble() as double, running(double, handle):
        yield Team(double, handle)


async def test_a_channel_sees_what_is_public_and_its_own(team: Team) -> None:
    double = team.discord
    double.add_channel("another")
    audience = await team.audience(double.person.ask(double.channel, "What?"))
    assert audience == {"public", team.scope(double.channel)}


async def test_a_thread_and_a_post_have_their_channels_scope(team: Team) -> None:
    double = team.discord
    thread = double.person.start_thread(double.channel, "more")
    forum = double.add_channel("questions", kind=ChannelType.FORUM)
    _, post = double.person.post(forum, "Leave", f"{double.mention} What?")
    assert await team.audience(double.person.ask(thread, "What?")) == {
        "public",
        team.scope(double.channel),
    }
    assert await team.audience(post) == {"public", team.scope(forum)}


async def test_a_private_thread_has_a_scope_of_its_own(team: Team) -> None:
    double = team.discord
    thread = double.person.start_thread(double.channel, "secret", private=True)
    double.backend.add_thread_member(thread.id, double.me)
    said = double.person.ask(thread, "What?", files=[("plan.pdf", b"%PDF")])
    assert await team.audience(said) == {
        "public",
        team.scope(double.channel),
        team.scope(thread),
    }
    uploads = [request for request in team.handle.requests if request.command == "upload"]
    assert [request.scope for request in uploads] == [team.scope(thread)]


async def test_in_direct_messages_the_channels_that_one_may_read_now_are_seen(team: Team) -> None:
    double = team.discord
    hidden = double.add_channel("board")
    double.forbid(hidden, double.guild.id, view_channel=False)
    mute = double.add_channel("no-history")
    double.forbid(mute, double.guild.id, read_message_history=False)
    forum = double.add_channel("questions", kind=ChannelType.FORUM)
    strangers = double.add_guild("Strangers")
    double.add_channel("theirs", guild=strangers)
    seen = await team.direct(double.person)
    assert seen == {"public", team.scope(double.channel), team.scope(forum)}


async def test_roles_open_and_close_channels_at_once(team: Team) -> None:
    double, backend, guild = team.discord, team.discord.backend, team.discord.guild
    board = double.add_channel("board")
    double.forbid(board, guild.id, view_channel=False)
    role = backend.create_role(guild.id, "board")
    double.forbid(board, role.id, view_channel=True)
    assert team.scope(board) not in await team.direct(double.person)
    backend.add_member_role(guild.id, double.person.id, role.id)
    assert team.scope(board) in await team.direct(double.person)
    backend.remove_member_role(guild.id, double.person.id, role.id)
    assert team.scope(board) not in await team.direct(double.person)


async def test_a_channel_that_is_closed_is_closed_at_once(team: Team) -> None:
    double = team.discord
    assert team.scope(double.channel) in await team.direct(double.person)
    double.forbid(double.channel, double.person.id, view_channel=False)
    assert team.scope(double.channel) not in await team.direct(double.person)


async def test_a_role_that_loses_its_permission_closes_its_channels(team: Team) -> None:
    double, backend, guild = team.discord, team.discord.backend, team.discord.guild
    assert team.scope(double.channel) in await team.direct(double.person)
    everybody = guild.roles[guild.id]
    without = everybody.permissions & ~discord.Permissions(view_channel=True).value
    backend.edit_role(guild.id, guild.id, {"permissions": without})
    assert await team.direct(double.person) == {"public"}


async def test_whoever_leaves_a_server_sees_nothing_of_it_with_the_next_question(
    team: Team,
) -> None:
    double = team.discord
    assert team.scope(double.channel) in await team.direct(double.person)
    double.backend.remove_member(double.guild.id, double.person.id)
    assert await team.direct(double.person) == set()


async def test_who_has_not_agreed_to_a_servers_rules_sees_nothing_of_it(team: Team) -> None:
    double = team.discord
    double.guild.members[double.person.id].pending = True
    assert await team.direct(double.person) == set()


async def test_a_server_that_cant_be_asked_is_left_out(
    team: Team, caplog: pytest.LogCaptureFixture
) -> None:
    double = team.discord
    double.fail("GET", "/guilds/*/members/*", status=403, code=50001)
    assert await team.direct(double.person) == set()
    assert "left out" in caplog.text


async def test_servers_are_kept_apart(team: Team) -> None:
    double = team.discord
    other = double.add_guild("Other")
    elsewhere = double.add_channel("general", guild=other)
    both = double.add_person("tom", double.guild, other)
    assert await team.direct(both) == {
        "public",
        team.scope(double.channel),
        team.scope(elsewhere),
    }
    assert await team.direct(double.person) == {"public", team.scope(double.channel)}
    there = await team.audience(both.ask(elsewhere, "What?"))
    assert there == {"public", team.scope(elsewhere)}
