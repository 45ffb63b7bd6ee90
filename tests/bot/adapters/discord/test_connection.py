"""The connection to Discord, over the wire: signing in, intents, and lines that break."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import discord
import pytest
from aiohttp import web

from bot.messages import PlatformError, Reply
from tests.bot.inboxes import MemoryInbox
from tests.doubles.discord_running import Script, running
from tests.doubles.discord_wire import DiscordDouble


async def answered(double: DiscordDouble, question: str) -> None:
    """Ask in the channel, and wait for the answer."""
    message = double.person.ask(double.channel, question)
    await double.until(lambda: [m for m in double.said(message.id) if "Sources:" in m.content])


async def test_a_wrong_token_ends_in_one_sentence() -> None:
    async with DiscordDouble() as double:
        double.token = "another"
        with pytest.raises(PlatformError, match="DISCORD_BOT_TOKEN"):
            async with running(double, Script()):
                pass


async def test_a_server_that_refuses_or_isnt_there_ends_in_one_sentence() -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=403)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        closed = nobody.getsockname()[1]
    for port in (runner.addresses[0][1], closed):
        async with DiscordDouble() as double:
            double.api_url = f"http://127.0.0.1:{port}/api/v10"
            with pytest.raises(PlatformError, match="DISCORD_API_URL"):
                async with running(double, Script()):
                    pass
    await runner.cleanup()


async def test_without_the_privileged_intent_mentions_files_and_commands_still_work(
    caplog: pytest.LogCaptureFixture,
) -> None:
    approved = discord.Intents.all()
    approved.message_content = False
    handle = Script()
    async with DiscordDouble(approved=approved) as double, running(double, handle):
        assert [each.intents.message_content for each in double.gateway.identified] == [True, False]
        assert "Message Content Intent" in caplog.text
        await answered(double, "How many days of leave?")
        double.person.ask(double.channel, "", files=[("a.pdf", b"%PDF-1.7")])
        await double.until(lambda: handle.asked("upload"))
        asked = double.person.slash(double.channel, "ask", question="And now?")
        await double.until(lambda: double.person.shown(asked))


Break = Callable[[DiscordDouble], Any]
BREAKS: dict[str, Break] = {
    "a cut line": lambda double: double.gateway.drop(),
    "op 7": lambda double: double.gateway.ask_to_reconnect(),
    "op 9, to be resumed": lambda double: double.gateway.invalidate(resumable=True),
    "silence": lambda double: double.gateway.mute(),
}


@pytest.mark.parametrize("fault", BREAKS)
async def test_what_is_said_while_the_line_is_broken_is_answered(fault: str) -> None:
    handle = Script()
    async with (
        DiscordDouble(heartbeat_seconds=0.1) as double,
        running(double, handle, ack_seconds=0.2),
    ):
        await answered(double, "Before?")
        broken = BREAKS[fault](double)
        question = double.person.ask(double.channel, "Meanwhile?")
        if asyncio.iscoroutine(broken):
            await broken
        await double.until(lambda: double.gateway.resumed)
        await double.until(lambda: [m for m in double.said(question.id) if "Sources:" in m.content])
        await answered(double, "After?")
        assert handle.asked() == ["Before?", "Meanwhile?", "After?"]


async def test_after_a_session_that_is_lost_what_was_said_is_looked_for() -> None:
    handle = Script()
    async with DiscordDouble() as double, running(double, handle):
        await answered(double, "Before?")
        double.person.say(double.person.direct, "Hello?")
        await double.until(lambda: len(handle.asked()) == 2)
        double.gateway.mute()
        double.person.ask(double.channel, "Meanwhile?")
        double.person.say(double.channel, "nothing for the bot")
        double.person.say(double.person.direct, "Still there?")
        double.gateway.sessions.clear()
        await double.gateway.drop()
        await double.until(lambda: len(handle.asked()) == 4)
        assert set(handle.asked()[2:]) == {"Meanwhile?", "Still there?"}
        await answered(double, "After?")


async def test_what_is_said_while_the_bot_is_off_is_answered_once_when_it_is_back() -> None:
    inbox, handle = MemoryInbox(), Script()
    async with DiscordDouble() as double:
        async with running(double, handle, inbox=inbox):
            await answered(double, "Before?")
        question = double.person.ask(double.channel, "Meanwhile?")
        for _ in range(2):
            async with running(double, handle, inbox=inbox):
                await double.until(
                    lambda: [m for m in double.said(question.id) if "Sources:" in m.content]
                )
                await answered(double, "After?")
        assert handle.asked() == ["Before?", "Meanwhile?", "After?", "After?"]


async def test_a_heartbeat_is_sent_as_discord_asks_for_it() -> None:
    async with DiscordDouble(heartbeat_seconds=0.05) as double, running(double, Script()):
        await double.until(lambda: double.gateway.heartbeats > 3)
        assert len(double.gateway.identified) == 1


async def test_several_shards_and_servers_are_one_bot_and_kept_apart() -> None:
    handle = Script()
    async with DiscordDouble(shards=2) as double:
        # A server's shard is told by its id; the second has to be the other shard's.
        backend = double.backend
        shard = (double.guild.id >> 22) % 2
        other = backend.create_guild("Other", shard_id=1 - shard, shard_count=2)
        elsewhere = double.add_channel("general", guild=other)
        tom = double.add_person("tom", other)
        async with running(double, handle):
            await double.until(lambda: len(double.gateway.sessions) == 2)
            await answered(double, "Here?")
            question = tom.ask(elsewhere, "There?")
            await double.until(lambda: double.said(question.id))
        here, there = handle.requests
        assert here.audience == {"public", f"discord:{double.guild.id}:{double.channel.id}"}
        assert there.audience == {"public", f"discord:{other.id}:{elsewhere.id}"}


async def test_work_that_is_cut_off_by_a_stop_is_resumed_by_the_next_start() -> None:
    inbox, handle = MemoryInbox(), Script()
    handle.scripts["ask"] = [Reply("answer", "Yes.", "en")]
    handle.holding = asyncio.Event()
    async with DiscordDouble() as double:
        async with running(double, handle, inbox=inbox):
            question = double.person.ask(double.channel, "How many days of leave?")
            await double.until(lambda: double.said(question.id))
        handle.holding.set()
        async with running(double, handle, inbox=inbox):
            await double.until(lambda: double.said(question.id)[0].content == "Yes.")
        assert len(double.said(question.id)) == 1
