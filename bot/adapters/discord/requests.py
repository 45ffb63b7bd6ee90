"""What people do in Discord, as requests: pure functions of messages and interactions."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import discord

from bot.adapters.discord.access import scope_of, team_of
from bot.messages import Attachment, Language, Request, Turn

_SPOKEN = (discord.MessageType.default, discord.MessageType.reply)
_MENTION = re.compile(r"<@!?(\d+)>")
_MEDIA = ("image/", "video/", "audio/")
_NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is said, and who may see what is answered there."""

    channel: Any
    audience: frozenset[str] = frozenset()
    is_admin: bool = False
    """Of whoever says it."""
    follows_up: bool = False
    """What is said goes on with what the bot said here, and speaks to nobody else."""
    reads_history: bool = False
    """Whoever sees it may read what was said there before."""
    keeps_files: bool = True
    """Files that nobody has shown to the bot are learned without asking."""

    @property
    def is_thread(self) -> bool:
        """Tell whether this is a thread or a forum's post."""
        return isinstance(self.channel, discord.Thread)


def is_said(message: discord.Message) -> bool:
    """Tell whether a person has said this."""
    return not (message.author.bot or message.webhook_id) and message.type in _SPOKEN


def addresses(message: discord.Message, me: int) -> bool:
    """Tell whether a message speaks to the bot by itself, wherever it stands."""
    if message.guild is None:
        return True
    replied_to = message.reference.resolved if message.reference else None
    answers_me = isinstance(replied_to, discord.Message) and replied_to.author.id == me
    return answers_me or me in {person.id for person in message.mentions}


def speaks_to_others(message: discord.Message, me: int) -> bool:
    """Tell whether a message mentions or answers somebody else."""
    replied_to = message.reference.resolved if message.reference else None
    answers_other = isinstance(replied_to, discord.Message) and replied_to.author.id not in (
        me,
        message.author.id,
    )
    return answers_other or bool({person.id for person in message.mentions} - {me})


def to_requests(
    message: discord.Message, place: Place, me: int, *, edition: str = ""
) -> tuple[Request, ...]:
    """Return what a message asks of the bot: nothing, an upload, a question, or both in turn.

    `me` is the bot's user id. Files of messages that don't address the bot are learned too, where
    their content is delivered at all; pictures, sound and films are not, because people share them
    all day. With `edition`, it is the question alone as it was changed.
    """
    if not is_said(message):
        return ()
    channel = place.channel
    addressed = addresses(message, me) or place.follows_up
    names = {person.id: f"@{person.display_name}" for person in message.mentions} | {me: ""}
    text = _MENTION.sub(lambda found: names.get(int(found[1]), found[0]), message.content).strip()
    address = {
        "guild": team_of(channel),
        "channel": str(channel.id),
        "message": str(message.id),
        "asker": str(message.author.id),
    }
    starts_thread = isinstance(channel, discord.TextChannel)  # elsewhere there are none
    ask = Request(
        id=f"{message.id}:ask{edition and ':' + edition}",
        platform="discord",
        command="ask",
        text=text,
        user=str(message.author.id),
        # Discord gives a thread the id of the message that it starts from, so that what is said
        # there later belongs to the same conversation.
        conversation=str(message.id if starts_thread else channel.id),
        scope=scope_of(channel),
        audience=place.audience,
        address=address | ({"thread": thread_name(text)} if starts_thread else {}),
        is_admin=place.is_admin,
        plain=True,
        around=_around(place) if place.reads_history else {},
    )
    files = attachments(message, media=addressed)
    requests = []
    if files and not edition:
        command = "upload" if addressed or place.keeps_files else "offer"
        names_text = ", ".join(file.name for file in files[:_NAMES_SHOWN])
        upload = replace(
            ask,
            id=f"{message.id}:{command}",
            command=command,
            text=names_text if command == "offer" else "",
            # A file says nothing: its receipt is in the language of the server.
            language=_language_of_server(channel),
            attachments=files,
            address=address,
        )
        requests.append(upload)
    if addressed and (text or not files):
        requests.append(ask)
    return tuple(requests)


def _around(place: Place) -> dict[str, str]:
    """Return what refers to what was said where a message stands."""
    channel = place.channel
    around = {"channel": f"channel#{channel.id}", "title": f"#{getattr(channel, 'name', 'chat')}"}
    return around | ({"thread": f"thread#{channel.id}"} if place.is_thread else {})


def attachments(message: discord.Message, *, media: bool) -> tuple[Attachment, ...]:
    """Return a message's files; pictures, sound and films among them only with `media`."""
    place = f"{message.channel.id}/{message.id}"
    return tuple(
        Attachment(file.filename, file.size, f"{file.url}#{place}")
        for file in message.attachments
        if media or not (file.content_type or "").startswith(_MEDIA)
    )


def to_command(
    interaction: discord.Interaction[Any],
    place: Place,
    command: str,
    text: str,
    *,
    files: tuple[Attachment, ...] = (),
    history: tuple[Turn, ...] | None = None,
    private: bool = False,
    options: dict[str, Any] | None = None,
) -> Request:
    """Return what a command, a button or a menu asks of the bot; `private` is for one to see."""
    channel = place.channel
    goes_on = channel.guild is None or place.is_thread
    return Request(
        id=str(interaction.id),
        platform="discord",
        command=command,
        text=text.strip(),
        user=str(interaction.user.id),
        conversation=str(channel.id if goes_on else interaction.id),
        scope=scope_of(channel),
        audience=place.audience,
        language=language_of(interaction),
        attachments=files,
        history=history,
        options=options or {},
        address={
            "guild": team_of(channel),
            "channel": str(channel.id),
            "application": str(interaction.application_id),
            "token": interaction.token,
            "interaction": str(interaction.id),
            "asker": str(interaction.user.id),
            **({"private": "yes"} if private else {}),
        },
        is_admin=place.is_admin,
    )


def language_of(interaction: discord.Interaction[Any]) -> Language:
    """Return the language of the person's own Discord, as far as the bot speaks it."""
    return "zh" if interaction.locale.value.startswith("zh") else "en"


def _language_of_server(channel: Any) -> Language | None:
    if channel.guild is None:
        return None
    return "zh" if channel.guild.preferred_locale.value.startswith("zh") else "en"


def thread_name(text: str) -> str:
    """Return what a thread about a question is called."""
    return " ".join(text.split())[:80] or "TeamGLM"
