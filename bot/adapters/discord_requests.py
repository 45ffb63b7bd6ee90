"""What people do in Discord, as requests: pure functions of messages and interactions."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import discord

from bot.messages import Attachment, Request

if TYPE_CHECKING:
    from discord.abc import MessageableChannel

PUBLIC = "public"
_SPOKEN = (discord.MessageType.default, discord.MessageType.reply)
_MENTION = re.compile(r"<@!?(\d+)>")
_MEDIA = ("image/", "video/", "audio/")


def scope_of(channel: MessageableChannel | discord.ForumChannel) -> str:
    """Return the scope of a channel; a thread has its channel's, a direct message its own."""
    if isinstance(channel, discord.Thread):
        return f"discord:{channel.guild.id}:{channel.parent_id}"
    guild = channel.guild.id if channel.guild else "@me"
    return f"discord:{guild}:{channel.id}"


def to_requests(
    message: discord.Message,
    channel: MessageableChannel,
    me: int,
    visible: frozenset[str] = frozenset(),
) -> tuple[Request, ...]:
    """Return what a message asks of the bot: nothing, an upload, a question, or both in turn.

    `me` is the bot's user id; `visible` are further scopes that the author of a direct message may
    see now. Files of messages that don't address the bot are learned too, where their content is
    delivered at all; pictures, sound and films are not, because people share them all day.
    """
    if message.author.bot or message.webhook_id or message.type not in _SPOKEN:
        return ()
    thread = channel if isinstance(channel, discord.Thread) else None
    mentioned = {person.id for person in message.mentions}
    # A thread that the bot opened goes on without mentions, as long as people talk to nobody else.
    follows_up = thread is not None and thread.owner_id == me and not mentioned
    addressed = channel.guild is None or me in mentioned or follows_up
    names = {person.id: f"@{person.display_name}" for person in message.mentions} | {me: ""}
    text = _MENTION.sub(lambda found: names.get(int(found[1]), found[0]), message.content).strip()
    scope = scope_of(channel)
    address = {"channel": str(channel.id), "message": str(message.id)}
    if channel.guild is not None:
        address["guild"] = str(channel.guild.id)
    starts_thread = channel.guild is not None and thread is None
    ask = Request(
        id=f"{message.id}:ask",
        platform="discord",
        command="ask",
        text=text,
        user=str(message.author.id),
        # Discord gives a thread the id of the message that it starts from, so that what is said
        # there later belongs to the same conversation.
        conversation=str(message.id if starts_thread else channel.id),
        scope=scope,
        audience=frozenset({PUBLIC, scope}) | visible,
        address=address | ({"thread": _thread_name(text)} if starts_thread else {}),
    )
    files = tuple(
        Attachment(file.filename, file.size, f"{file.url}#{channel.id}/{message.id}")
        for file in message.attachments
        if addressed or not (file.content_type or "").startswith(_MEDIA)
    )
    requests = []
    if files:
        upload = replace(ask, id=f"{message.id}:upload", command="upload", text="")
        requests.append(replace(upload, attachments=files, address=address))
    if addressed and (text or not files):
        requests.append(ask)
    return tuple(requests)


def to_command(
    interaction: discord.Interaction,
    channel: MessageableChannel,
    command: str,
    text: str,
    file: discord.Attachment | None,
    visible: frozenset[str] = frozenset(),
) -> Request:
    """Return what a slash command asks of the bot; `visible` as for `to_requests`."""
    scope = scope_of(channel)
    address = {
        "channel": str(channel.id),
        "application": str(interaction.application_id),
        "token": interaction.token,
    }
    if channel.guild is not None:
        address["guild"] = str(channel.guild.id)
    goes_on = channel.guild is None or isinstance(channel, discord.Thread)
    return Request(
        id=str(interaction.id),
        platform="discord",
        command=command,
        text=text.strip(),
        user=str(interaction.user.id),
        conversation=str(channel.id if goes_on else interaction.id),
        scope=scope,
        audience=frozenset({PUBLIC, scope}) | visible,
        language="zh" if interaction.locale.value.startswith("zh") else "en",
        attachments=(Attachment(file.filename, file.size, file.url),) if file else (),
        address=address,
    )


def _thread_name(text: str) -> str:
    return " ".join(text.split())[:80] or "TeamGLM"
