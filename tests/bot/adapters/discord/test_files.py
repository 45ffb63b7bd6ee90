"""Files in Discord, over the wire: receipts, what is kept, and how their bytes are fetched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import discord
import pytest

from bot.adapters.discord.adapter import DiscordAdapter
from bot.adapters.discord.bot import Manners
from bot.messages import Attachment, AttachmentError, Reply, Request
from rag.fetch import FetchError
from tests.doubles.discord_running import Script, running
from tests.doubles.discord_wire import DiscordDouble

PDF = ("handbook.pdf", b"%PDF-1.7")


@pytest.fixture
def handle() -> Script:
    return Script()


@pytest.fixture
async def double() -> AsyncIterator[DiscordDouble]:
    async with DiscordDouble() as double:
        yield double


@pytest.fixture
async def adapter(double: DiscordDouble, handle: Script) -> AsyncIterator[DiscordAdapter]:
    async with running(double, handle) as adapter:
        yield adapter


@contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises((AttachmentError, FetchError)) as caught:
        yield
    assert getattr(caught.value, "code", None) == code


async def test_a_receipt_goes_from_reading_to_ready(
    double: DiscordDouble, handle: Script, adapter: DiscordAdapter
) -> None:
    handle.holding = asyncio.Event()
    message = double.person.say(double.channel, "our handbook", files=[PDF])
    await double.until(lambda: [m for m in double.said(double.channel) if "reading" in m.content])
    handle.holding.set()
    await double.until(
        lambda: [m for m in double.said(double.channel) if "34 passages" in m.content]
    )
    (receipt,) = double.said(double.channel)
    assert receipt.reference is not None
    assert receipt.reference["message_id"] == str(message.id)
    (request,) = handle.requests
    assert request.command == "upload"
    assert request.scope == f"discord:{double.guild.id}:{double.channel.id}"
    assert [(file.name, file.size) for file in request.attachments] == [("handbook.pdf", 8)]


async def test_a_file_is_forgotten_from_its_receipt(
    double: DiscordDouble, handle: Script, adapter: DiscordAdapter
) -> None:
    double.person.say(double.channel, "our handbook", files=[PDF])
    (receipt,) = await double.until(
        lambda: [m for m in double.said(double.channel) if m.components]
    )
    pressed = double.person.press(receipt, "Forget handbook.pdf")
    told = await double.until(lambda: double.person.shown(pressed))
    assert told is not None
    assert told.is_ephemeral
    assert (handle.requests[-1].command, handle.requests[-1].text) == ("forget", "d1")
    await double.until(lambda: not receipt.components)


async def test_a_forgetting_that_is_refused_leaves_the_button(
    double: DiscordDouble, handle: Script, adapter: DiscordAdapter
) -> None:
    handle.scripts["forget"] = [Reply("error", "Only admins may do that.", "en")]
    double.person.say(double.channel, "our handbook", files=[PDF])
    (receipt,) = await double.until(
        lambda: [m for m in double.said(double.channel) if m.components]
    )
    pressed = double.person.press(receipt, "Forget handbook.pdf")
    told = await double.until(lambda: double.person.shown(pressed))
    assert told is not None
    assert "Only admins" in told.content
    assert receipt.components


async def test_a_file_with_a_question_is_learned_before_the_question_is_answered(
    double: DiscordDouble, handle: Script, adapter: DiscordAdapter
) -> None:
    question = double.person.ask(double.channel, "What is new?", files=[PDF])
    await double.until(lambda: double.said(question.id))
    assert [request.command for request in handle.requests] == ["upload", "ask"]
    assert len(double.said(double.channel)) == 1


async def test_a_receipt_is_in_the_language_of_the_server(
    double: DiscordDouble, handle: Script, adapter: DiscordAdapter
) -> None:
    double.backend.edit_guild(double.guild.id, {"preferred_locale": "zh-CN"})
    double.person.say(double.channel, "", files=[PDF])
    await double.until(lambda: handle.requests)
    assert handle.requests[0].language == "zh"


async def test_pictures_are_learned_only_where_the_bot_is_asked_to(
    double: DiscordDouble, handle: Script, adapter: DiscordAdapter
) -> None:
    double.person.say(double.channel, "look", files=[("cat.png", b"1")])
    double.person.say(double.channel, "both", files=[("cat.png", b"1"), ("a.pdf", b"2")])
    double.person.ask(double.channel, "", files=[("scan.png", b"3")])
    await double.until(lambda: len(handle.requests) == 2)
    names = [[file.name for file in request.attachments] for request in handle.requests]
    assert names == [["a.pdf"], ["scan.png"]]


@pytest.mark.parametrize(("label", "kept"), [("Keep", True), ("No, thanks", False)])
async def test_a_file_is_kept_on_a_button_where_that_is_wanted(
    double: DiscordDouble, handle: Script, label: str, kept: bool
) -> None:
    async with running(double, handle, manners=Manners(keep_files=False)):
        double.person.say(double.channel, "our handbook", files=[PDF])
        (offer,) = await double.until(lambda: double.said(double.channel))
        await double.until(lambda: len(offer.components) == 1)
        assert "handbook.pdf" in offer.content
        assert handle.requests == []
        double.person.press(offer, label)
        await double.until(lambda: "34 passages" in offer.content or "didn't keep" in offer.content)
        assert double.said(double.channel) == [offer]
        assert [request.command for request in handle.requests] == ["upload"] * kept


def only_admins(request: Request) -> Reply | None:
    """Let only admins teach."""
    limited = request.command == "upload" and not request.is_admin
    return Reply("error", "Please ask an admin.", "en") if limited else None


@pytest.mark.parametrize("keeps", [True, False])
async def test_files_of_people_who_may_not_teach_are_left_alone_unless_they_ask(
    double: DiscordDouble, handle: Script, keeps: bool
) -> None:
    manners = Manners(keep_files=keeps)
    async with running(double, handle, manners=manners, forbids=only_admins):
        ignored = double.person.say(double.channel, "our handbook", files=[PDF])
        asked = double.person.ask(double.channel, "", files=[PDF])
        await double.until(lambda: handle.requests)
    (request,) = handle.requests
    assert request.id == f"{asked.id}:upload"
    answered = [(m.reference or {}).get("message_id") for m in double.said(double.channel)]
    assert str(ignored.id) not in answered


async def test_who_may_not_keep_an_offered_file_leaves_it_to_others(
    double: DiscordDouble, handle: Script
) -> None:
    admin = double.add_person("tom")
    manage = discord.Permissions(manage_guild=True).value
    role = double.backend.create_role(double.guild.id, "admin", permissions=manage)
    double.backend.add_member_role(double.guild.id, admin.id, role.id)
    async with running(double, handle, manners=Manners(keep_files=False), forbids=only_admins):
        admin.say(double.channel, "our handbook", files=[PDF])
        (offer,) = await double.until(lambda: double.said(double.channel))
        await double.until(lambda: len(offer.components) == 1)
        pressed = double.person.press(offer, "Keep")
        told = await double.until(lambda: double.person.shown(pressed))
        assert told is not None
        assert "ask an admin" in told.content
        admin.press(offer, "Keep")
        await double.until(lambda: "34 passages" in offer.content)


async def fetched(
    adapter: DiscordAdapter, reference: str, tmp_path: Path, limit: int = 1000
) -> bytes:
    file = tmp_path / "file"
    await adapter.download(Attachment("handbook.pdf", None, reference), file, limit)
    return file.read_bytes()


async def test_a_file_is_fetched_without_the_token(
    double: DiscordDouble, handle: Script, adapter: DiscordAdapter, tmp_path: Path
) -> None:
    double.person.say(double.channel, "our handbook", files=[PDF])
    await double.until(lambda: handle.requests)
    reference = handle.requests[0].attachments[0].reference
    assert await fetched(adapter, reference, tmp_path, 8) == PDF[1]
    assert double.fetched[0][1] is None
    with refused("too_large"):
        await fetched(adapter, reference, tmp_path, 7)


async def test_an_expired_address_is_asked_for_anew(
    double: DiscordDouble, handle: Script, adapter: DiscordAdapter, tmp_path: Path
) -> None:
    message = double.person.say(double.channel, "our handbook", files=[PDF])
    await double.until(lambda: handle.requests)
    reference = handle.requests[0].attachments[0].reference
    double.expire_links()
    assert await fetched(adapter, reference, tmp_path) == PDF[1]
    double.expire_links()
    double.person.delete(message)
    with refused("unreadable"):
        await fetched(adapter, reference, tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/attachments/1/2/handbook.pdf",
        "http://cdn.discordapp.com/attachments/1/2/handbook.pdf",
        "https://cdn.discordapp.com.evil.example/a.pdf",
        "https://cdn.discordapp.com@evil.example/a.pdf",
        "file:///etc/passwd",
    ],
)
async def test_only_discords_own_addresses_are_fetched(
    adapter: DiscordAdapter, tmp_path: Path, url: str
) -> None:
    with refused("unreadable"):
        await fetched(adapter, url, tmp_path)


async def test_what_a_message_and_a_thread_say_can_be_read(
    double: DiscordDouble, adapter: DiscordAdapter, tmp_path: Path
) -> None:
    start = double.person.say(double.channel, "Why do we move?")
    thread = double.person.start_thread(double.channel, "The move", start)
    tom = double.add_person("tom")
    said = tom.say(thread, "Because of the rent.")
    text = f"text#{thread.id}/{said.id}"
    assert await fetched(adapter, text, tmp_path) == b"Because of the rent."
    whole = (await fetched(adapter, f"thread#{thread.id}", tmp_path)).decode()
    assert whole.startswith("The move\n")
    assert whole.index("Why do we move?") < whole.index("Because of the rent.")
    assert "tom" in whole
    with refused("too_large"):
        await fetched(adapter, f"thread#{thread.id}", tmp_path, 30)
