"""Where messages of ours stand in Discord, and what Discord's refusals mean for them.

A message carries what it answers twice: in its nonce, which makes Discord return the message that
is there instead of posting it again within minutes, and in its buttons, by which it is found later.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import aiohttp
import discord

from bot.adapters.discord.views import Shown, pressed, view_of
from bot.adapters.sheet import Refused, Unreachable

_NEWEST = 50
_THREAD_EXISTS = 160004  # and has the id of the message that it stands on


def nonce_of(mark: str) -> str:
    """Return a mark in the 25 characters that a nonce may have."""
    return blake2b(mark.encode(), digest_size=12).hexdigest()


def webhook_of(client: discord.Client, application: str, token: str) -> discord.Webhook:
    """Return what answers a command."""
    webhook = discord.Webhook.partial(int(application), token, client=client)
    # Only those of applications may send what one person sees.
    webhook.type = discord.WebhookType.application
    return webhook


async def edit(client: discord.Client, reference: str, content: Shown) -> None:
    """Replace what a message shows: `channel/message` or `application/token/message`."""
    where, _, id = reference.rpartition("/")
    application, _, token = where.partition("/")
    view = view_of(content)
    files: dict[str, Any] = {"attachments": content.attached()} if content.files else {}
    with translated():
        if token:
            webhook = webhook_of(client, application, token)
            await webhook.edit_message(int(id), content=content.text, view=view, **files)
        else:
            message = client.get_partial_messageable(int(where)).get_partial_message(int(id))
            await message.edit(content=content.text, view=view, **files)


async def delete(client: discord.Client, reference: str) -> None:
    """Take a message away."""
    where, _, id = reference.rpartition("/")
    application, _, token = where.partition("/")
    with translated():
        if token:
            await webhook_of(client, application, token).delete_message(int(id))
        else:
            channel = client.get_partial_messageable(int(where))
            await channel.get_partial_message(int(id)).delete()


async def send(channel: discord.abc.Messageable, content: Shown, mark: str, **options: Any) -> str:
    """Post a message with its mark; return its reference."""
    if (view := view_of(content)) is not None:
        options["view"] = view
    if content.files:
        options["files"] = content.attached()
    message = await channel.send(
        content.text, nonce=nonce_of(mark), suppress_embeds=True, **options
    )
    return f"{message.channel.id}/{message.id}"


async def _find(
    client: discord.Client, channel: Any, after: int | None, request: str, mark: str
) -> str | None:
    """Look for the first message of a reply; later ones are left to their nonce, and so is what
    stands where the bot may not look."""
    if not mark.endswith("/0"):
        return None
    start = discord.Object(after) if after else None
    try:
        with translated():
            async for message in channel.history(limit=_NEWEST, after=start):
                # That a thread was started is said in the bot's name too.
                mine = client.user is not None and message.author.id == client.user.id
                if mine and not message.is_system() and _answers(message, request, after):
                    return f"{message.channel.id}/{message.id}"
    except Refused:
        return None
    return None


def _answers(message: discord.Message, request: str, question: int | None) -> bool:
    ids = [
        child.custom_id
        for row in message.components
        for child in getattr(row, "children", ())
        if getattr(child, "custom_id", None)
    ]
    about = [found[1] for id in ids if (found := pressed(id))]
    if any(request in each for each in about):
        return True
    reference = message.reference.message_id if message.reference else None
    return question is not None and reference == question and not about


@dataclass(frozen=True, slots=True)
class Room:
    """A channel or a thread; a reply to the question where there is one."""

    client: discord.Client
    channel: discord.PartialMessageable
    question: discord.PartialMessage | None
    request: str
    editable = True
    unseen_from = None

    async def post(self, content: Shown, mark: str) -> str:
        """Post a message that carries the mark."""
        options: dict[str, Any] = {}
        if self.question is not None and mark.endswith("/0"):
            options["reference"] = self.question.to_reference(fail_if_not_exists=False)
        with translated():
            return await send(self.channel, content, mark, **options)

    async def find(self, mark: str) -> str | None:
        """Look for a message that carries the mark."""
        after = self.question.id if self.question else None
        return await _find(self.client, self.channel, after, self.request, mark)


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread on the question, started by the first post."""

    client: discord.Client
    question: discord.PartialMessage
    name: str
    request: str
    editable = True
    unseen_from = None

    @property
    def _thread(self) -> discord.PartialMessageable:
        # Discord gives a thread the id of the message that it starts from.
        return self.client.get_partial_messageable(self.question.id)

    async def post(self, content: Shown, mark: str) -> str:
        """Post a message that carries the mark."""
        with translated():
            if mark.endswith("/0"):
                try:
                    await self.question.create_thread(name=self.name)
                except discord.HTTPException as error:
                    if error.code != _THREAD_EXISTS:
                        raise
            return await send(self._thread, content, mark)

    async def find(self, mark: str) -> str | None:
        """Look for a message that carries the mark; without a thread there is none."""
        return await _find(self.client, self._thread, self.question.id, self.request, mark)


@dataclass(frozen=True, slots=True)
class Direct:
    """The person's direct messages."""

    client: discord.Client
    person: int
    request: str
    editable = True
    unseen_from = None

    async def _channel(self) -> discord.DMChannel:
        user = await self.client.fetch_user(self.person)
        return user.dm_channel or await user.create_dm()

    async def post(self, content: Shown, mark: str) -> str:
        """Post a message that carries the mark."""
        with translated():
            return await send(await self._channel(), content, mark)

    async def find(self, mark: str) -> str | None:
        """Look for a message that carries the mark."""
        try:
            with translated():
                channel = await self._channel()
        except Refused:
            return None
        return await _find(self.client, channel, None, self.request, mark)


@dataclass(frozen=True, slots=True)
class Original:
    """The response to a command: first what fills "thinking", then further messages."""

    webhook: discord.Webhook
    channel: discord.PartialMessageable
    interaction: int
    private: bool
    editable = True

    @property
    def unseen_from(self) -> int | None:
        """Discord lists nowhere what only one person sees, but for the first response."""
        return 1 if self.private else None

    async def post(self, content: Shown, mark: str) -> str:
        """Send a response; the first one takes the place of "thinking"."""
        options: dict[str, Any] = {}
        if (view := view_of(content)) is not None:
            options["view"] = view
        if content.files:
            options["files"] = content.attached()
        with translated():
            message = await self.webhook.send(
                content.text,
                wait=True,
                suppress_embeds=True,
                ephemeral=self.private,
                **options,
            )
        return self._reference(message.id)

    async def find(self, mark: str) -> str | None:
        """Look for a response."""
        try:
            with translated():
                return await self._first() if mark.endswith("/0") else await self._further(mark)
        except Refused:  # it can't be sent again either, then
            return None

    async def _first(self) -> str | None:
        # The id that Discord itself gives to the response.
        original = await self.webhook.fetch_message("@original")  # type: ignore[arg-type]
        return None if original.flags.loading else self._reference(original.id)

    async def _further(self, mark: str) -> str | None:
        number = int(mark.rpartition("/")[2])
        start = discord.Object(self.interaction)
        found = [
            message.id
            async for message in self.channel.history(limit=_NEWEST, after=start)
            if message.interaction_metadata and message.interaction_metadata.id == self.interaction
        ]
        return self._reference(found[number]) if number < len(found) else None

    def _reference(self, id: int) -> str:
        # What everybody sees can be changed after the token has expired, too.
        if self.private:
            return f"{self.webhook.id}/{self.webhook.token}/{id}"
        return f"{self.channel.id}/{id}"


@contextmanager
def translated() -> Iterator[None]:
    """Tell a refusal from silence."""
    try:
        yield
    except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
        refused = isinstance(error, discord.HTTPException) and error.status < 500
        raise (Refused if refused else Unreachable)(f"Discord: {error}") from error
