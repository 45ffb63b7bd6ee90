"""What keeps a connection to Discord alive, and finds what was said while there was none."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import discord

from bot.messages import Inbox

log = logging.getLogger(__name__)

_LONGEST = timedelta(days=1)
_FIRST_START = timedelta(minutes=5)
_MOST_MESSAGES = 100
_MOST_DIRECT = 50


async def watch_heartbeats(
    client: discord.AutoShardedClient,
    *,
    ack_seconds: float,
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    """Resume every session whose heartbeat isn't answered within so many seconds, until cancelled.

    A line that died silently is noticed by nothing else for more than a minute.
    """
    unanswered: dict[int, float] = {}
    while True:
        await sleep(ack_seconds / 4)
        for shard in client.shards.values():
            # Discord.py keeps these times; its own patience is counted from the last message.
            socket = shard._parent.ws
            beat = socket._keep_alive
            # It notes a heartbeat after sending it, which may be after the answer has come.
            if beat is None or beat._last_send - beat._last_ack < (beat.interval or 0) / 2:
                unanswered.pop(shard.id, None)
                continue
            since = unanswered.setdefault(shard.id, beat._last_send)
            if time.perf_counter() - since > ack_seconds:
                log.warning("Discord's shard %s is silent: connecting anew", shard.id)
                del unanswered[shard.id]
                await socket.close(code=4000)


async def missed(client: discord.Client, inbox: Inbox) -> AsyncIterator[discord.Message]:
    """Yield what was said, where the bot reads, since the newest message that it knows.

    After a session that can't be resumed, Discord doesn't tell what happened in between.
    """
    known = await inbox.heard("discord")
    now = datetime.now(UTC)
    since = now - (_LONGEST if known else _FIRST_START)
    newest = max((int(message) for _, _, message in known), default=0)
    start = discord.Object(max(newest, discord.utils.time_snowflake(since)))
    for guild in client.guilds:
        rooms: list[Any] = [*guild.text_channels, *guild.threads, *guild.voice_channels]
        for room in rooms:
            if room.last_message_id and room.last_message_id > start.id:
                async for message in _said(room, start):
                    yield message
    direct = [int(channel) for team, channel, _ in known if team == "@me"]
    for id in direct[-_MOST_DIRECT:]:
        async for message in _said(client.get_partial_messageable(id), start):
            yield message


async def _said(room: Any, start: discord.Object) -> AsyncIterator[discord.Message]:
    try:
        async for message in room.history(limit=_MOST_MESSAGES, after=start, oldest_first=True):
            yield message
    except (TimeoutError, discord.HTTPException, aiohttp.ClientError, OSError) as error:
        log.warning("what was said in a channel meanwhile can't be read: %s", error)
