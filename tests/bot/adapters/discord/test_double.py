"""The local Discord itself: its payloads have the published fields, its refusals are Discord's."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from simcord.backend import serializers

from tests.doubles.discord_schema import document, fault_of, fault_of_request
from tests.doubles.discord_wire import DiscordDouble

needs_description = pytest.mark.skipif(document() is None, reason="no OpenAPI description here")


@needs_description
async def test_what_the_bot_gets_has_discords_fields() -> None:
    async with DiscordDouble() as double:
        backend, guild, person = double.backend, double.guild, double.person
        message = person.say(double.channel, "hello", files=[("a.pdf", b"%PDF")])
        reply = person.ask(double.channel, "and?", reply_to=message)
        thread = person.start_thread(double.channel, "more", message)
        payloads: list[tuple[str, Any]] = [
            ("MessageResponse", serializers.message_payload(backend, message)),
            ("MessageResponse", serializers.message_payload(backend, reply)),
            ("UserResponse", serializers.user_payload(person.user)),
            ("GuildChannelResponse", serializers.channel_payload(backend, double.channel)),
            ("ThreadResponse", serializers.channel_payload(backend, thread)),
            ("PrivateChannelResponse", serializers.channel_payload(backend, person.direct)),
            (
                "GuildMemberResponse",
                serializers.member_payload(backend, guild, guild.members[person.id]),
            ),
            *(("GuildRoleResponse", serializers.role_payload(r)) for r in guild.roles.values()),
        ]
        for name, payload in payloads:
            assert fault_of(name, double.shaped(payload)) is None, name


@needs_description
def test_a_call_that_discord_would_refuse_is_refused() -> None:
    path = "/channels/1/messages"
    assert fault_of_request("POST", path, {"content": "hello"}) is None
    assert fault_of_request("POST", path, {"content": ["hello"]})
    assert fault_of_request("POST", path, {"content": "x" * 4001})
    assert fault_of_request("POST", "/channels/1/nothing", {"content": "hello"})
    original = "/webhooks/1/token/messages/@original"
    assert fault_of_request("PATCH", original, {"content": "hello"}) is None


async def call(
    double: DiscordDouble, method: str, path: str, body: Any = None
) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bot {double.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, double.api_url + path, json=body) as response,
    ):
        return response.status, await response.json()


async def test_a_nonce_that_is_enforced_makes_one_message_of_two_calls() -> None:
    async with DiscordDouble() as double:
        path = f"/channels/{double.channel.id}/messages"
        body = {"content": "once", "nonce": "1", "enforce_nonce": True}
        (_, first), (_, second) = [await call(double, "POST", path, body) for _ in range(2)]
        assert first["id"] == second["id"]
        assert len(double.said(double.channel)) == 1
        double.rest.forget_nonces()
        await call(double, "POST", path, body)
        assert len(double.said(double.channel)) == 2


async def test_a_wrong_token_is_refused() -> None:
    async with DiscordDouble() as double:
        double.token = "another"
        status, _ = await call(double, "GET", "/users/@me")
        assert status == 401


async def test_threads_refuse_what_discord_refuses() -> None:
    async with DiscordDouble(permissions=1 << 10 | 1 << 11 | 1 << 16 | 1 << 38) as double:
        thread = double.person.start_thread(double.channel, "old")
        path = f"/channels/{thread.id}/messages"
        _, posted = await call(double, "POST", path, {"content": "here"})

        double.backend.edit_channel(thread.id, {}, thread_metadata={"archived": True})
        status, refused = await call(double, "PATCH", f"{path}/{posted['id']}", {"content": "x"})
        assert (status, refused["code"]) == (400, 50083)
        status, _ = await call(double, "POST", path, {"content": "again"})
        assert status == 200
        assert thread.thread_metadata is not None
        assert not thread.thread_metadata.archived

        double.backend.edit_channel(thread.id, {}, thread_metadata={"locked": True})
        status, refused = await call(double, "POST", path, {"content": "more"})
        assert (status, refused["code"]) == (400, 160005)

        hidden = double.person.start_thread(double.channel, "ours", private=True)
        status, refused = await call(double, "POST", f"/channels/{hidden.id}/messages", {})
        assert (status, refused["code"]) == (403, 50001)
