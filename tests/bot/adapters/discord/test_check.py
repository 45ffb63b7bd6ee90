"""What `doctor` says of Discord, over the wire."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import discord
import pytest

from bot.adapters.discord.check import PERMISSIONS, check, invitation
from bot.messages import PlatformError
from tests.doubles.discord_wire import DiscordDouble


def test_the_invitation_asks_for_what_is_needed_and_for_nothing_else() -> None:
    query = parse_qs(urlsplit(invitation("42")).query)
    assert query["client_id"] == ["42"]
    assert set(query["scope"][0].split()) == {"bot", "applications.commands"}
    assert query["permissions"] == [str(PERMISSIONS.value)]


async def test_a_bot_that_has_all_is_well() -> None:
    async with DiscordDouble(permissions=PERMISSIONS.value) as double:
        ok, said = await check(double.token, double.api_url, message_content=True)
    assert ok
    assert "Team" in said
    assert str(double.backend.application_id) in said


async def test_missing_permissions_and_intents_are_named_in_words() -> None:
    approved = discord.Intents.all()
    approved.message_content = False
    less = discord.Permissions(PERMISSIONS.value)
    less.update(create_public_threads=False, read_message_history=False)
    async with DiscordDouble(approved=approved, permissions=less.value) as double:
        # What nobody may do, the bot may not either.
        everybody = double.guild.roles[double.guild.id]
        double.backend.edit_role(double.guild.id, everybody.id, {"permissions": 0})
        ok, said = await check(double.token, double.api_url, message_content=True)
        without, _ = await check(double.token, double.api_url, message_content=False)
    assert not ok
    assert not without
    for name in ("Team", "Create Public Threads", "Read Message History", "Message Content"):
        assert name in said
    assert "Send Messages" not in said
    assert invitation(str(double.backend.application_id)) in said


async def test_a_refused_token_and_a_dead_address_end_in_a_sentence() -> None:
    async with DiscordDouble() as double:
        with pytest.raises(PlatformError, match="token"):
            await check("another", double.api_url, message_content=False)
        address = double.api_url
    with pytest.raises(PlatformError, match="network"):
        await check(double.token, address, message_content=False)
