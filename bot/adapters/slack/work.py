"""What is done about each event that Slack told: requests are made of it and delivered."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from bot.adapters.delivery import Deliveries
from bot.adapters.sheet import Refused, Unreachable
from bot.adapters.slack.access import Access, Team
from bot.adapters.slack.api import FAILURES, SlackApi, reason
from bot.adapters.slack.blocks import Block, Page, home
from bot.adapters.slack.due import Due
from bot.adapters.slack.events import team_of
from bot.adapters.slack.requests import (
    UPLOAD,
    Context,
    conversation_of,
    files_of,
    is_direct,
    thread_of,
    threads_in,
    to_command,
    to_requests,
    to_text,
)
from bot.adapters.slack.surface import SlackSurface, whisper
from bot.adapters.slack.talk import FollowUps
from bot.adapters.slack.words import word
from bot.commands import find
from bot.messages import (
    Attachment,
    Event,
    Forbids,
    Handle,
    Inbox,
    Language,
    Reply,
    ReplyChunk,
    ReplyEvent,
    Request,
)
from bot.render import escape_slack, shorten
from bot.since import moment
from bot.wire import event_from_json, event_to_json

log = logging.getLogger(__name__)

OFFER: Final = "offer"
SHARE: Final = "share"
Payload = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Habits:
    """How the bot behaves in channels, as the settings say."""

    follow_ups: FollowUps = "addressed"
    """Of people in the bot's threads who don't mention it: "addressed", "all" or "mention"."""
    keep_files: str = "always"
    """Files of messages that don't mention it: "always", "ask" or "never"."""
    prompts: Sequence[str] = ()
    """Questions that the agent's pane suggests."""


class SlackWork:
    """Works on stored events; `deliveries` shows the replies, and is set before the first event."""

    deliveries: Deliveries[Page]

    def __init__(
        self,
        handle: Handle,
        forbids: Forbids,
        inbox: Inbox,
        api: SlackApi,
        access: Access,
        surface: SlackSurface,
        habits: Habits,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._handle = handle
        self._forbids = forbids
        self._inbox = inbox
        self._api = api
        self._access = access
        self._surface = surface
        self._habits = habits
        self._due = Due(api, access, sleep)
        self.me = ""
        """The bot's own user id, known after signing in."""
        self._live: dict[str, set[str]] = {}

    async def work(self, event: Event) -> None:
        """Do what an event asks for, until its replies stand there complete."""
        match event.kind:
            case "message":
                await self._said(event)
            case "edited":
                await self._edited(event)
            case "deleted":
                if event.message is not None:
                    await self.deliveries.withdraw(event.team, event.channel, event.message)
            case "stopped":
                await self._stopped(event)
            case "opened":
                await self._opened(event)
            case "command":
                await self._commanded(event)
            case "click":
                await self._clicked(event)
            case "shortcut":
                await self._shortcut(event)
            case "form":
                await self._form(event)
            case "due":
                await self._due.post(event, self._deliver, self.last)

    async def handle(self, request: Request) -> AsyncIterator[ReplyEvent]:
        """Answer a request: Slack's own ones here, all others by the handlers."""
        if request.command == OFFER:
            names = ", ".join(shorten(each.name, 60) for each in request.attachments[:5])
            language = request.language or "en"
            yield Reply("answer", word(language, "keep_asked", names=names), language)
            return
        if request.command == SHARE:
            yield event_from_json(dict(request.options["reply"]))
            return
        async for said in self._handle(request):
            yield said

    async def last(self, request: Request) -> Reply:
        """Return the reply to a request that needs no place to stand."""
        reply: Reply | None = None
        async for said in self._handle(request):
            if isinstance(said, Reply):
                reply = said
        if reply is None:
            raise RuntimeError("a request ended without a reply")
        return reply

    async def context(
        self, event: Event, user: str, *, direct: bool, external: bool | None, named: bool = False
    ) -> Context:
        """Return what a request needs to know; `named` asks for the person's language and role."""
        team = team_of(event.team)
        audience = await self._access.audience(
            team, event.channel, user, direct=direct, external=external
        )
        context = Context(event.id, team, self.me, audience)
        if not named:
            return context
        person = await self._api.person(user, team)
        language = await self._api.language_of(user)
        return replace(context, language=language, is_admin=person.admin)

    def request(
        self, context: Context, command: str, text: str, payload: Payload, **more: Any
    ) -> Request:
        """Return a request of somebody who clicked or filled in a form in a thread."""
        channel, thread = payload["channel"], payload.get("thread")
        address = {"channel": channel, "team": context.team.id}
        known = Request(
            id=context.event_id,
            platform="slack",
            command=command,
            text=text,
            user=payload["user"],
            conversation=conversation_of(context.team, channel, thread),
            scope=context.team.scope(channel),
            audience=context.audience,
            language=context.language,
            address=address | ({"thread": thread} if thread else {}),
            is_admin=context.is_admin,
        )
        return replace(known, **more)

    async def _deliver(self, request: Request, event: Event, over: str | None = None) -> None:
        live = self._live.setdefault(request.conversation, set())
        live.add(request.id)
        try:
            await self.deliveries.deliver(request, event, over=over)
        finally:
            live.discard(request.id)
            if not live:
                self._live.pop(request.conversation, None)

    async def _said(self, event: Event) -> None:
        said = event.payload["event"]
        direct = is_direct(said)
        context = await self.context(
            event,
            said["user"],
            direct=direct,
            external=event.payload["external"],
            named=bool(said.get("files")),  # which say nothing of their sender's language
        )
        asked = to_requests(
            said, context, follows=event.payload["follows"], keep=self._habits.keep_files
        )
        for request in asked:
            # Nobody has asked for a file to be learned that was only posted.
            unasked = request.command != "ask" and "unasked" in request.address
            if not (unasked and self._forbids(replace(request, command="upload"))):
                await self._deliver(request, event)

    async def _edited(self, event: Event) -> None:
        """Answer an edited question anew, in the messages of its old answer."""
        said = event.payload["event"]
        known = await self._inbox.replies_to(
            "slack", event.team, event.channel, event.message or ""
        )
        over = next((each.request for each in known if not each.request.endswith(UPLOAD)), None)
        context = await self.context(
            event, said["user"], direct=is_direct(said), external=event.payload["external"]
        )
        for request in to_requests(said, context, follows=over is not None):
            if request.command == "ask":
                await self._deliver(request, event, over)

    async def _stopped(self, event: Event) -> None:
        channel, thread = event.payload["channel"], event.payload["thread"]
        for ts in event.payload["streams"]:
            self._surface.stopped(channel, ts)
        conversation = conversation_of(team_of(event.team), channel, thread)
        for request in list(self._live.get(conversation, ())):
            await self._stop(request, event)
        await self._api.rest(channel, thread)

    async def _stop(self, request: str, event: Event) -> None:
        """End a request, for whoever asked it or an admin; others are told why not."""
        payload = event.payload
        person = await self._api.person(payload["user"], team_of(event.team))
        context = Context(event.id, team_of(event.team), self.me, is_admin=person.admin)
        language = await self._api.language_of(payload["user"])
        context = replace(context, language=language)
        reply = await self.last(self.request(context, "stop", request, payload))
        if reply.outcome != "error":
            return
        if payload.get("response_url"):
            await self.whisper(payload["response_url"], reply.text)
        else:
            await self._api.tell(
                payload["channel"], payload.get("thread"), payload["user"], escape_slack(reply.text)
            )

    async def whisper(
        self,
        response_url: str | None,
        text: str,
        blocks: Sequence[Block] = (),
        *,
        over: bool = False,
    ) -> None:
        """Tell something to the person alone who clicked; log if that isn't possible."""
        if response_url:
            try:
                shown = escape_slack(text)
                await whisper(self._api.client, response_url, shown, blocks, over=over)
            except (Refused, Unreachable) as error:
                log.warning("a person could not be told: %s", error)

    async def _opened(self, event: Event) -> None:
        user, tab, channel = (event.payload[key] for key in ("user", "tab", "channel"))
        context = await self.context(event, user, direct=True, external=False, named=True)
        language = context.language or "en"
        try:
            if tab == "messages":
                await self._suggest(channel, language)
            elif tab == "home":
                asked = {"channel": channel, "user": user}
                status = await self.last(self.request(context, "status", "", asked))
                known = await self.last(self.request(context, "sources", "", asked))
                await self._api.client.views_publish(
                    user_id=user, view=home(status.text, known.text, channel, language)
                )
        except FAILURES as error:
            log.warning("the app's home could not be shown: %s", reason(error))

    async def _suggest(self, channel: str, language: Language) -> None:
        asked = [*self._habits.prompts[:3], word(language, "what_can_you_do")]
        prompts = [{"title": shorten(each, 60), "message": each} for each in asked]
        await self._api.client.assistant_threads_setSuggestedPrompts(
            channel_id=channel, title=word(language, "prompts"), prompts=prompts
        )

    async def _commanded(self, event: Event) -> None:
        command = event.payload["command"]
        channel, user = command["channel_id"], command["user_id"]
        direct, external = is_direct({"channel": channel}), event.payload["external"]
        context = await self.context(event, user, direct=direct, external=external, named=True)
        request = to_command(command, context)
        if request is not None:
            found = find(request.command)
            if found is not None and found.looks_back:
                since = moment(request.text, await self._api.now_for(user))
                if since is not None:
                    title = f"#{command.get('channel_name') or channel}"
                    said = Attachment(title, None, f"channel:{channel}/{since.timestamp():.6f}")
                    request = replace(request, attachments=(said,))
            await self._deliver(request, event)

    async def _clicked(self, event: Event) -> None:
        payload = event.payload
        action, value = payload["action"], payload["value"] or ""
        if action == "stop":
            return await self._stop(value, event)
        context = await self.context(
            event,
            payload["user"],
            direct=payload["channel"][0] == "D",
            external=payload["external"],
            named=True,
        )
        match action.partition(":")[0]:
            case "again":
                again = json.loads(value)
                context = replace(context, language=None)
                asked = self.request(context, again["command"], again["text"], payload)
                if payload.get("private"):
                    await self._again_in_private(asked, event)
                else:
                    await self._deliver(asked, event, again["id"])
            case "forget":
                about = json.loads(value)
                asked = self.request(context, "forget", about["document"], payload)
                await self._deliver_if_allowed(asked, event, about["over"])
            case "keep":
                about = json.loads(value)
                files = tuple(Attachment(*each) for each in about["files"])
                asked = self.request(context, "upload", "", payload, attachments=files)
                asked = replace(asked, conversation=f"{asked.conversation}:files")
                await self._deliver_if_allowed(asked, event, about["over"])
            case "share":
                await self._share(context, value, event)
            case "reminders":
                await self._decide(context, event)

    async def _deliver_if_allowed(self, asked: Request, event: Event, over: str | None) -> None:
        """Do what a button does; whoever may not is told so, and the button stays for others."""
        if refusal := self._forbids(asked):
            await self.whisper(event.payload["response_url"], refusal.text)
        else:
            await self._deliver(asked, event, over)

    async def _again_in_private(self, asked: Request, event: Event) -> None:
        """Have the answer that only one person sees replaced, whose button they pressed."""
        channel, url = asked.address["channel"], event.payload["response_url"]
        # As a command's: what they ask next goes on from here.
        mine = conversation_of(team_of(event.team), channel, asked.user)
        place = {"channel": channel, "response_url": url, "again": "yes"}
        await self.whisper(url, word(asked.language or "en", "looking"), over=True)
        await self._deliver(replace(asked, conversation=mine, address=place), event)

    async def _share(self, context: Context, answered: str, event: Event) -> None:
        """Show everybody an answer that only one person has seen, and who shares it."""
        payload = event.payload
        place = {"channel": payload["channel"], "user": payload["user"]}
        wanted = self.request(context, "recall", "", place, options={"reply": answered})
        reply = await self.last(wanted)
        if reply.outcome == "error":
            return await self.whisper(payload["response_url"], reply.text)
        person = await self._api.name(payload["user"], payload["user"])
        asked = word(reply.language, "shared", question=reply.data["question"])
        by = word(reply.language, "shared_by", person=person)
        said = reply.chunks or (ReplyChunk(reply.text),)
        chunks = (ReplyChunk(f"{asked}\n\n"), *said, ReplyChunk(f"\n\n{by}"))
        options = {"reply": event_to_json(replace(reply, chunks=chunks, data=None))}
        shared = self.request(context, SHARE, "", place, options=options)
        await self._deliver(replace(shared, address={"channel": event.channel}), event)

    async def _decide(self, context: Context, event: Event) -> None:
        """Confirm, cancel or repeat a reminder, for its author; tell the one who clicked."""
        payload = event.payload
        asked = self.request(context, "reminders", payload["value"], payload)
        reply = await self.last(asked)
        over = bool(payload["private"]) and reply.outcome == "answer"
        await self.whisper(payload["response_url"], reply.text, over=over)

    async def _shortcut(self, event: Event) -> None:
        payload, message = event.payload, event.payload["message"]
        place = {**payload, "thread": thread_of(message)}
        context = await self.context(
            event,
            payload["user"],
            direct=payload["channel"][0] == "D",
            external=payload["external"],
            named=True,
        )
        title = shorten(to_text(message.get("text") or ""), 80)
        thread = Attachment(title, None, f"thread:{payload['channel']}/{thread_of(message)}")
        if payload["callback"] == "remember":
            asked = self.request(context, "remember", "", place, attachments=(thread,))
        else:
            chosen = files_of(message)[:1] or (thread,)
            asked = self.request(context, "summarise", "", place, attachments=chosen)
        await self._deliver(asked, event)

    async def _form(self, event: Event) -> None:
        payload = event.payload
        channel = payload["channel"]
        context = await self.context(
            event,
            payload["user"],
            direct=channel[0] == "D",
            external=payload["external"],
            named=True,
        )
        command = find(payload["callback"])
        handler = command.handler if command else "ask"
        if handler == "ask":
            context = replace(context, language=None)  # the question has one
        if command:
            text = payload["text"]
            text, threads = threads_in(text, channel) if command.reads else (text, ())
            asked = self.request(
                context,
                handler,
                text,
                payload,
                options=payload["options"],
                attachments=(*files_of(payload), *threads),
            )
        else:
            asked = self.request(context, handler, payload["question"], payload)
        if payload["callback"] == "ask_about":
            language = context.language or "en"
            about = word(language, "about_this", text=payload["about"])
            asked = replace(asked, text=f"{payload['question']}\n\n{about}")
        elif url := payload.get("response_url"):
            place = {"channel": channel, "response_url": url}
            asked = replace(asked, address=place | ({"public": "yes"} if payload["public"] else {}))
        await self._deliver(asked, event)


def own_team(me: Mapping[str, Any]) -> Team:
    """Return the workspace of the token, from Slack's answer to `auth.test`."""
    return Team(str(me["team_id"]), me.get("enterprise_id") or "-")
