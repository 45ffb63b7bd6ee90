"""What falls due in Slack: posted where its author may post now, or not at all."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from bot.adapters.due import due_request, needs_leave, revoked
from bot.adapters.slack.access import Access
from bot.adapters.slack.api import SlackApi
from bot.adapters.slack.events import team_of
from bot.adapters.slack.requests import conversation_of, is_direct
from bot.messages import Event, Reply, Request

log = logging.getLogger(__name__)

_ASK_AGAIN_SECONDS: Final = 30.0
Deliver = Callable[[Request, Event], Awaitable[None]]
Answer = Callable[[Request], Awaitable[Reply]]


class Due:
    """Posts what is due, for what its place may see then; `sleep` is seconds."""

    def __init__(
        self, api: SlackApi, access: Access, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._api = api
        self._access = access
        self._sleep = sleep

    async def post(self, event: Event, deliver: Deliver, answer: Answer) -> None:
        """Post what is due, if its author may post there now; else tell them so alone."""
        user, channel, team = event.payload["user"], event.channel, team_of(event.team)
        if needs_leave(event):
            while (may := await self._api.may_post(user, team, channel)) is None:
                log.warning("whether a reminder may be posted isn't known: Slack is asked again")
                await self._sleep(_ASK_AGAIN_SECONDS)
        else:
            may = True
        audience = await self._access.audience(
            team, channel, user, direct=is_direct({"channel": channel}), external=None
        )
        conversation = conversation_of(team, channel, event.id)
        due = due_request(event, audience, {"channel": channel}, conversation)
        if not may:
            await deliver(revoked(due), event)
        elif due.command != "digested" or (await answer(due)).data:  # no news, no message
            await deliver(due, event)
