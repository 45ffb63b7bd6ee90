"""What people may see in Discord now, by roles, channels, private threads and servers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import aiohttp
import discord

log = logging.getLogger(__name__)

PUBLIC = "public"
_ROOMS = (discord.TextChannel, discord.ForumChannel, discord.VoiceChannel, discord.StageChannel)


def team_of(channel: Any) -> str:
    """Return the server of a channel; `@me` where there is none."""
    return str(channel.guild.id) if channel.guild else "@me"


def scope_of(channel: Any) -> str:
    """Return the scope of a channel; a thread has its channel's, unless it is private."""
    if isinstance(channel, discord.Thread) and not channel.is_private():
        return f"discord:{channel.guild.id}:{channel.parent_id}"
    return f"discord:{team_of(channel)}:{channel.id}"


def reads_history(channel: Any, person: discord.abc.User) -> bool:
    """Tell whether a person, and whoever sees a channel besides, may read what was said there."""
    if channel.guild is None:
        return True
    place = channel.parent if isinstance(channel, discord.Thread) else channel
    if place is None or not isinstance(person, discord.Member):
        return False
    denied = (each.read_message_history is False for each in place.overwrites.values())
    everyone = channel.guild.default_role.permissions.read_message_history
    return everyone and not any(denied) and channel.permissions_for(person).read_message_history


class Access:
    """Tells what a destination may see now.

    Roles and channels are the gateway's, which tells every change of them at once. Who is in a
    server and with which roles is asked for each time, because Discord tells such changes only to
    bots with another privileged intent: whoever leaves sees nothing more with the next question.
    """

    def __init__(self, client: discord.Client) -> None:
        self._client = client

    async def audience(self, channel: Any, person: int) -> frozenset[str]:
        """Return the scopes that whoever reads an answer in this channel may see now."""
        own = scope_of(channel)
        if isinstance(channel, discord.DMChannel):
            return frozenset({own}) | await self._readable(person)
        if channel.guild is None or self._client.get_guild(channel.guild.id) is None:
            return frozenset({own})  # a server that the bot isn't in: nobody knows who reads it
        if isinstance(channel, discord.Thread):
            # Whoever may read a private thread may read its channel too.
            return frozenset({PUBLIC, own, f"discord:{channel.guild.id}:{channel.parent_id}"})
        return frozenset({PUBLIC, own})

    def is_admin(self, person: discord.abc.User) -> bool:
        """Tell whether a person manages the server, or, in direct messages, owns the bot."""
        if isinstance(person, discord.Member):
            may = person.resolved_permissions or person.guild_permissions
            return may.administrator or may.manage_guild
        about = self._client.application
        if about is None:
            return False
        owners = [member.id for member in about.team.members] if about.team else [about.owner.id]
        return person.id in owners

    async def may_post(self, channel: Any, person: int) -> bool | None:
        """Tell whether somebody may post in a channel now; None where nobody can know just now."""
        if channel is None:
            return False
        if channel.guild is None:
            return True
        try:
            member = await channel.guild.fetch_member(person)
            if isinstance(channel, discord.Thread) and channel.is_private():
                await channel.fetch_member(person)
        except (discord.NotFound, discord.Forbidden):
            return False
        except (discord.HTTPException, aiohttp.ClientError, OSError):
            return None
        if member.pending or member.is_timed_out():
            return False
        may = channel.permissions_for(member)
        if isinstance(channel, discord.Thread):
            return bool(may.view_channel and may.send_messages_in_threads and not channel.locked)
        return bool(may.view_channel and may.send_messages)

    async def _readable(self, person: int) -> frozenset[str]:
        """Return the channels that a person may read, and what is public to members of a server."""
        found = await asyncio.gather(
            *(self._readable_in(guild, person) for guild in self._client.guilds)
        )
        return frozenset().union(*found)

    async def _readable_in(self, guild: discord.Guild, person: int) -> frozenset[str]:
        try:
            member = await guild.fetch_member(person)
        except discord.NotFound:
            return frozenset()
        except (discord.HTTPException, OSError) as error:
            log.warning("a server's channels are left out of an answer: %s", error)
            return frozenset()
        if member.pending:  # has not yet agreed to the server's rules, and sees nothing there
            return frozenset()
        rooms = (scope_of(room) for room in _rooms(guild) if may_read(room, member))
        return frozenset({PUBLIC, *rooms})


def may_read(room: discord.abc.GuildChannel, member: discord.Member) -> bool:
    """Tell whether somebody may read what was said in a channel."""
    may = room.permissions_for(member)
    return may.view_channel and may.read_message_history


def _rooms(guild: discord.Guild) -> Iterator[discord.abc.GuildChannel]:
    return (channel for channel in guild.channels if isinstance(channel, _ROOMS))
