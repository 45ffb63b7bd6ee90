"""Clicks, shortcuts, commands and forms: what opens a window at once, and what is to be stored."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from typing import Any, Final

from bot.adapters.sheet import Refused, Unreachable
from bot.adapters.slack import events
from bot.adapters.slack.access import Team
from bot.adapters.slack.api import FAILURES, SlackApi, reason, remember
from bot.adapters.slack.blocks import Block, case_offer, citation_modal
from bot.adapters.slack.forms import (
    ask_about_form,
    command_form,
    document_options,
    filled_in,
)
from bot.adapters.slack.requests import is_direct, to_verb
from bot.adapters.slack.words import help_text, word
from bot.adapters.slack.work import SlackWork
from bot.commands import find
from bot.messages import Event, Language

log = logging.getLogger(__name__)

_STORED: Final = ("stop", "again", "forget", "keep", "share", "reminders")
Body = Mapping[str, Any]


class Clicks:
    """Answers interactions at once, since what opens a window expires within three seconds."""

    def __init__(self, api: SlackApi, work: SlackWork) -> None:
        self._api = api
        self._work = work
        self._tasks: set[asyncio.Task[None]] = set()
        self._languages: dict[str, Language] = {}

    async def close(self) -> None:
        """Stop what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def command(self, body: Body, team: Team) -> dict[str, Any] | None:
        """Return what acknowledges a command that needs no work; None for one that does."""
        found = to_verb(body)
        channel, url = body["channel_id"], body["response_url"]
        if found is None or found[0].name == "help":
            language = await self._language(body["user_id"])
            return {"response_type": "ephemeral", "text": help_text(language)}
        command, line = found
        if not command.lacks or command.typed(line)[0]:
            return None
        language = await self._language(body["user_id"])
        self._open(body["trigger_id"], command_form(command, channel, url, language))
        return {}

    def acknowledgement(self, body: Body) -> dict[str, Any]:
        """Return what is shown at once about a command that is being worked on."""
        found = to_verb(body)
        if found and found[0].sees == "place":
            return {"response_type": "in_channel"}  # shows everybody what was asked
        language = self._languages.get(body["user_id"], "en")
        return {"response_type": "ephemeral", "text": word(language, "looking")}

    def click(self, body: Body, team: Team) -> Event | None:
        """Return the event of a click; None for one that is answered at once."""
        action = body["actions"][0]
        kind = str(action["action_id"]).partition(":")[0]
        if kind == "cite":
            self._start(self._cite(body, team))
        elif kind == "rate":
            self._start(self._rate(body, team))
        elif kind == "case":
            self._start(self._case(body, team))
        elif kind == "home_ask":
            self._start(self._form_of(body, "ask", body["actions"][0]["value"]))
        elif kind == "form":
            name = body["actions"][0]["value"]
            self._start(self._form_of(body, name, body["container"]["channel_id"]))
        elif kind in _STORED:
            return events.click(body, team)
        return None

    def shortcut(self, body: Body, team: Team) -> Event | None:
        """Return the event of a message shortcut; None for one that opens a form."""
        if body["callback_id"] == "ask_about":
            self._start(self._ask_about(body))
            return None
        return events.shortcut(body, team)

    async def form(self, body: Body, team: Team) -> tuple[dict[str, str], Event | None]:
        """Return what is wrong with a form's fields, and the event of a form that is well."""
        if body["view"]["callback_id"] == "citation":
            return {}, None
        language = await self._language(body["user"]["id"])
        about = filled_in(body["view"], language)
        if errors := about.pop("errors", None):
            return errors, None
        return {}, events.form(body, team, about)

    async def options(self, body: Body, team: Team) -> list[Block]:
        """Return the documents that a person may choose from."""
        channel = json.loads(body["view"].get("private_metadata") or "{}")["channel"]
        event = self._event(body, team, channel)
        reply = await self._asked(event, body["user"]["id"], "sources", "")
        rows = reply.data if isinstance(reply.data, list) else []
        return document_options(rows, str(body.get("value") or ""))

    async def _cite(self, body: Body, team: Team) -> None:
        """Open a citation: its passage is read anew, for what may be seen here now."""
        about = json.loads(body["actions"][0]["value"])
        channel = (body.get("container") or {}).get("channel_id") or body["channel"]["id"]
        event = self._event(body, team, channel)
        where = {"start": about["start"], "end": about["end"]}
        reply = await self._asked(
            event, body["user"]["id"], "open", about["document"], options=where
        )
        await self._shown(body["trigger_id"], citation_modal(about["n"], reply))

    async def _rate(self, body: Body, team: Team) -> None:
        thumb, _, request = str(body["actions"][0].get("value") or "").partition(" ")
        event = self._event(body, team, body["container"]["channel_id"])
        options = {"thumb": thumb, "reply": request}
        reply = await self._asked(event, body["user"]["id"], "rate", "", options=options)
        await self._work.whisper(body.get("response_url"), reply.text, case_offer(reply))

    async def _case(self, body: Body, team: Team) -> None:
        about = json.loads(body["actions"][0]["value"])
        event = self._event(body, team, body["container"]["channel_id"])
        options = {"reply": about["reply"]}
        user = body["user"]["id"]
        reply = await self._asked(event, user, "case", about["document"], options=options)
        await self._work.whisper(body.get("response_url"), reply.text, over=True)

    async def _ask_about(self, body: Body) -> None:
        language = await self._language(body["user"]["id"])
        form = ask_about_form(body["channel"]["id"], body["message"], language)
        await self._shown(body["trigger_id"], form)

    async def _form_of(self, body: Body, name: str, channel: str) -> None:
        """Open a command's form from a button."""
        language = await self._language(body["user"]["id"])
        if command := find(name):
            url = str(body.get("response_url") or "")
            form = command_form(command, channel, url, language)
            await self._shown(body["trigger_id"], form)

    async def _asked(self, event: Event, user: str, command: str, text: str, **more: Any) -> Any:
        payload = {"channel": event.channel, "user": user}
        direct = is_direct(payload)
        context = await self._work.context(
            event, user, direct=direct, external=event.payload["external"], named=True
        )
        return await self._work.last(
            replace(self._work.request(context, command, text, payload), **more)
        )

    def _event(self, body: Body, team: Team, channel: str) -> Event:
        here, external = events.place_of(body, team)
        id = body.get("trigger_id") or body["view"]["id"]
        return Event(id, "slack", here.key, channel, "click", {"external": external})

    async def _language(self, user: str) -> Language:
        known = await self._api.language_of(user) or "en"
        remember(self._languages, user, known)
        return known

    def _open(self, trigger_id: str, view: Block) -> None:
        self._start(self._shown(trigger_id, view))

    async def _shown(self, trigger_id: str, view: Block) -> None:
        await self._api.client.views_open(trigger_id=trigger_id, view=view)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._reported(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reported(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (*FAILURES, Refused, Unreachable) as error:
            log.warning("a click could not be answered: %s", reason(error))
        except Exception:
            log.exception("a click was not answered")
