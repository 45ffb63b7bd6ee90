"""What people press, choose and fill in on Discord: buttons, menus, forms and suggestions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Protocol

import discord

from bot.adapters.discord.access import Access, team_of
from bot.adapters.discord.requests import (
    Place,
    attachments,
    language_of,
    to_command,
    to_requests,
)
from bot.adapters.discord.surface import case_offer, question_in, quoted
from bot.adapters.discord.views import chosen, pressed, view_of
from bot.adapters.discord.words import word
from bot.messages import Attachment, Event, Forbids, Reply, ReplyEvent, Request
from bot.render import escape_discord, render
from bot.wire import request_to_json

log = logging.getLogger(__name__)

CONTENT_LIMIT = 2000
_QUESTION_LIMIT = 4000
_SUGGESTIONS = 25
_SUGGESTION_LENGTH = 100
_SUGGEST_SECONDS = 2.0


class Bot(Protocol):
    """What buttons need of the connection."""

    access: Access
    forbids: Forbids

    @property
    def me(self) -> int:
        """The bot's user id."""
        ...

    def answer(self, request: Request) -> AsyncIterator[ReplyEvent]:
        """Answer a request."""
        ...

    async def command(
        self,
        interaction: discord.Interaction[Any],
        command: str,
        text: str,
        *,
        private: bool,
        files: tuple[Attachment, ...] = (),
    ) -> None:
        """Keep what a command asks, and begin to answer it."""
        ...

    async def accept(self, event: Event) -> bool:
        """Keep an event and begin to work on it."""
        ...

    async def known(self, channel: Any) -> Any:
        """Return the whole channel."""
        ...

    async def place(self, channel: Any, person: discord.abc.User) -> Place:
        """Return what a place is to somebody who speaks there now."""
        ...


class Buttons:
    """Acts on what is pressed; what it needs is in the button's own id and on its message.

    Only a private answer that doesn't fit in one message is recalled to share and regenerate it:
    Discord shows nobody its other parts again.
    """

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    async def on_press(self, interaction: discord.Interaction[Any]) -> None:
        """Act on a button, a menu or a form; what isn't ours is left alone."""
        data: Any = interaction.data or {}
        found = pressed(data.get("custom_id", ""))
        if found is None:
            return
        does, about = found
        try:
            match does:
                case "stop":
                    await self._stop(interaction, about[0])
                case "again" | "redo":
                    await self._again(interaction, *about, plain=does == "again")
                case "share":
                    await self._share(interaction, *about)
                case "rate":
                    options = {"thumb": about[0], "reply": about[1]}
                    await self._whisper(interaction, "rate", "", options)
                case "case":  # a document's name may have slashes of its own
                    name = "/".join(about[1:])
                    await self._whisper(interaction, "case", name, {"reply": about[0]})
                case "forget":
                    await self._forget(interaction, about[0])
                case "reminders":
                    await self._reminder(interaction, f"{about[0]} {about[1]}")
                case "keep" | "leave":
                    await self._decide(interaction, does == "keep", *about)
                case "open":
                    document, start, end = chosen(data["values"][0])
                    place = {"start": start, "end": end}
                    await self._whisper(interaction, "open", document, place)
                case "asked":
                    await self._bot.command(interaction, "ask", _filled_in(data), private=True)
        except discord.HTTPException as error:
            # Pressed twice, or too long ago: Discord takes no answer to it.
            log.warning("a button could not be answered: %s", error)

    # Below answers

    async def _stop(self, interaction: discord.Interaction[Any], request: str) -> None:
        await interaction.response.defer()
        reply = await self._reply(interaction, "stop", request)
        if reply.outcome == "error":
            await self._tell(interaction, reply)

    async def _again(
        self,
        interaction: discord.Interaction[Any],
        channel: str,
        message: str,
        over: str,
        *,
        plain: bool,
    ) -> None:
        """Answer anew; unless `plain`, as a question, whatever it was taken for."""
        language = language_of(interaction)
        place = await self._place(interaction)
        if channel in ("quoted", "kept"):
            answer = _under(interaction)
            about = answer.interaction_metadata
            asker = about.user.id if about else 0
            private = answer.flags.ephemeral
            text = question_in(answer.content)
            if channel == "kept":
                kept = await self._reply(interaction, "recall", "", {"reply": over})
                if kept.outcome == "error":
                    await _refuse(interaction, kept.text)
                    return
                text, asker = kept.data["question"], interaction.user.id
            if not text:
                await _refuse(interaction, word(language, "gone"))
                return
            request = to_command(interaction, place, "ask", text, private=private)
        else:
            where = interaction.client.get_partial_messageable(int(channel))
            try:
                question = await where.fetch_message(int(message))
            except discord.NotFound:
                await _refuse(interaction, word(language, "gone"))
                return
            asker = question.author.id
            spot = await self._bot.place(await self._bot.known(where), question.author)
            spot = replace(spot, follows_up=True)
            asks = [
                each for each in to_requests(question, spot, self._bot.me) if each.command == "ask"
            ]
            if not asks:
                await _refuse(interaction, word(language, "gone"))
                return
            request = asks[0]
        if interaction.user.id != asker and not place.is_admin:
            await _refuse(interaction, word(language, "not_yours"))
            return
        await interaction.response.defer()
        plain = plain and request.plain
        request = replace(request, id=f"{interaction.id}:again", plain=plain)
        await self._replace(interaction, place, request, over)

    async def _share(
        self, interaction: discord.Interaction[Any], request: str, long: str = ""
    ) -> None:
        message, language = _under(interaction), language_of(interaction)
        parts = [message.content]
        if long:
            kept = await self._reply(interaction, "recall", "", {"reply": request})
            if kept.outcome == "error":
                await _refuse(interaction, kept.text)
                return
            head = quoted(kept.data["question"]) if kept.data["command"] == "ask" else ""
            first, *more = render(kept, escape_discord, CONTENT_LIMIT - len(head))
            parts = [head + first, *more]
        view = discord.ui.View.from_message(message, timeout=None)
        for item in list(view.children):
            does, _ = pressed(getattr(item, "custom_id", "") or "") or ("", ())
            if does in ("share", "again"):
                view.remove_item(item)
        view.stop()
        name = escape_discord(interaction.user.display_name)
        note = "\n-# " + word(language, "shared_by", person=name)
        parts[-1] += note if len(parts[-1] + note) <= CONTENT_LIMIT else ""
        send: Any = interaction.response.send_message
        for part in parts[:-1]:
            await send(part, suppress_embeds=True)
            send = interaction.followup.send
        await send(parts[-1], view=view, suppress_embeds=True)

    async def _reminder(self, interaction: discord.Interaction[Any], change: str) -> None:
        """Confirm, cancel or repeat a reminder, for its author."""
        if not _under(interaction).flags.ephemeral:
            await self._whisper(interaction, "reminders", change)
            return
        await interaction.response.defer()
        reply = await self._reply(interaction, "reminders", change)
        if reply.outcome == "error":
            await self._tell(interaction, reply)
            return
        text = render(reply, escape_discord, CONTENT_LIMIT)[0]
        await interaction.edit_original_response(content=text, view=None)

    # Below files

    async def _forget(self, interaction: discord.Interaction[Any], document: str) -> None:
        reply = await self._whisper(interaction, "forget", document)
        if reply.outcome != "answer":
            return
        message = _under(interaction)
        view = discord.ui.View.from_message(message, timeout=None)
        for item in list(view.children):
            if pressed(getattr(item, "custom_id", "") or "") == ("forget", (document,)):
                view.remove_item(item)
        view.stop()
        await message.edit(view=view if view.children else None)

    async def _decide(
        self, interaction: discord.Interaction[Any], keep: bool, channel: str, message: str
    ) -> None:
        language = language_of(interaction)
        place = await self._place(interaction)
        where = interaction.client.get_partial_messageable(int(channel))
        try:
            posted = await where.fetch_message(int(message))
        except discord.NotFound:
            await _refuse(interaction, word(language, "gone"))
            return
        if not keep:
            if interaction.user.id != posted.author.id and not place.is_admin:
                await _refuse(interaction, word(language, "not_yours"))
                return
            names = ", ".join(file.filename for file in posted.attachments)
            text = escape_discord(word(language, "left", names=names))
            await interaction.response.edit_message(content=text[:CONTENT_LIMIT], view=None)
            return
        user = str(interaction.user.id)
        uploads = [
            replace(request, user=user, is_admin=place.is_admin, language=language)
            for request in to_requests(posted, replace(place, keeps_files=True), self._bot.me)
            if request.command == "upload"
        ]
        for request in uploads:
            if refusal := self._bot.forbids(request):
                await _refuse(interaction, refusal.text)
                return
        await interaction.response.defer()
        for request in uploads:
            await self._replace(interaction, place, request, f"{message}:offer")

    async def _replace(
        self, interaction: discord.Interaction[Any], place: Place, request: Request, over: str
    ) -> None:
        """Keep a request whose reply takes the place of another one, and begin to answer it."""
        event = Event(
            id=str(interaction.id),
            platform="discord",
            team=team_of(place.channel),
            channel=request.address["channel"],
            kind="again",
            payload=request_to_json(request) | {"over": over},
        )
        await self._bot.accept(event)

    # Menus of messages, forms, suggestions

    async def summarise(
        self, interaction: discord.Interaction[Any], message: discord.Message
    ) -> None:
        """Summarise the file of a message, the thread that it stands in, or what it says."""
        files = attachments(message, media=True)[:1]
        channel = await self._bot.known(interaction.channel)
        if not files and isinstance(channel, discord.Thread):
            files = (Attachment(channel.name, None, f"thread#{channel.id}"),)
        if not files and message.content.strip():
            files = (Attachment("message.txt", None, f"text#{message.channel.id}/{message.id}"),)
        if files:
            await self._bot.command(interaction, "summarise", "", private=True, files=files)
        else:
            await _refuse(interaction, word(language_of(interaction), "nothing_here"))

    async def ask_about(
        self, interaction: discord.Interaction[Any], message: discord.Message
    ) -> None:
        """Show a form with what a message says, to be asked as it is or changed."""
        language = language_of(interaction)
        form = discord.ui.Modal(
            title=word(language, "ask_title"), custom_id="teamglm/asked", timeout=None
        )
        text: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id="question",
            style=discord.TextStyle.paragraph,
            default=message.clean_content[:_QUESTION_LIMIT] or None,
            max_length=_QUESTION_LIMIT,
        )
        form.add_item(discord.ui.Label(text=word(language, "your_question"), component=text))
        form.stop()
        await interaction.response.send_modal(form)

    async def remember(
        self, interaction: discord.Interaction[Any], message: discord.Message
    ) -> None:
        """Learn the thread that a message stands in."""
        channel = await self._bot.known(interaction.channel)
        if not isinstance(channel, discord.Thread):
            await _refuse(interaction, word(language_of(interaction), "no_thread"))
            return
        files = (Attachment(channel.name, None, f"thread#{channel.id}"),)
        await self._bot.command(interaction, "remember", "", private=False, files=files)

    async def suggest(self, interaction: discord.Interaction[Any], typed: str) -> list[str]:
        """Return names of documents that the person may see, best first; never late."""
        try:
            async with asyncio.timeout(_SUGGEST_SECONDS):
                reply = await self._reply(interaction, "sources", "")
        except TimeoutError:
            return []
        sought = typed.casefold().strip()
        rows: list[Any] = reply.data if isinstance(reply.data, list) else []
        names = dict.fromkeys(str(row["document"]) for row in rows)
        found = [name for name in names if sought in name.casefold()]
        found.sort(key=lambda name: not name.casefold().startswith(sought))
        return [name for name in found if len(name) <= _SUGGESTION_LENGTH][:_SUGGESTIONS]

    # What is answered to one person alone

    async def _whisper(
        self,
        interaction: discord.Interaction[Any],
        command: str,
        text: str,
        options: dict[str, Any] | None = None,
    ) -> Reply:
        await interaction.response.defer(thinking=True, ephemeral=True)
        reply = await self._reply(interaction, command, text, options)
        await self._tell(interaction, reply, rating=command == "rate")
        return reply

    async def _reply(
        self,
        interaction: discord.Interaction[Any],
        command: str,
        text: str,
        options: dict[str, Any] | None = None,
    ) -> Reply:
        place = await self._place(interaction)
        request = to_command(interaction, place, command, text, private=True, options=options)
        async for event in self._bot.answer(request):
            if isinstance(event, Reply):
                return event
        language = language_of(interaction)
        return Reply("error", word(language, "failed"), language)

    async def _tell(
        self, interaction: discord.Interaction[Any], reply: Reply, *, rating: bool = False
    ) -> None:
        texts = render(reply, escape_discord, CONTENT_LIMIT)
        for text in texts[:-1]:
            await interaction.followup.send(text, ephemeral=True, suppress_embeds=True)
        view = view_of(case_offer(reply)) if rating else None
        await interaction.followup.send(
            texts[-1], ephemeral=True, suppress_embeds=True, view=view or discord.utils.MISSING
        )

    async def _place(self, interaction: discord.Interaction[Any]) -> Place:
        channel = await self._bot.known(interaction.channel)
        return await self._bot.place(channel, interaction.user)


def _under(interaction: discord.Interaction[Any]) -> discord.Message:
    """Return the message that a button stands under."""
    if interaction.message is None:
        raise ValueError("a button stands under a message")
    return interaction.message


async def _refuse(interaction: discord.Interaction[Any], text: str) -> None:
    await interaction.response.send_message(text, ephemeral=True)


def _filled_in(data: Any) -> str:
    """Return what stands in a form's only field."""
    for row in data["components"]:
        for field in (row.get("component"), *row.get("components", ())):
            if field and field.get("custom_id") == "question":
                return str(field["value"])
    return ""
