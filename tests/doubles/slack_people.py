"""What people do in a local Slack, and the events and payloads that this causes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from tests.doubles import slack_payloads as payloads
from tests.doubles.slack_payloads import BOT_USER, TEAM, Json
from tests.doubles.slack_workspace import Message, Workspace


class People(Workspace):
    """The workspace with people in it; how Slack tells the bot is left to the server."""

    @abstractmethod
    async def send_event(
        self,
        event: Json,
        *,
        event_id: str | None = None,
        external: bool = False,
        retry: int = 0,
    ) -> str:
        """Deliver an event; return its id when it is acknowledged."""

    @abstractmethod
    async def send_envelope(self, kind: str, payload: Json, **fields: Any) -> Json | None:
        """Send a payload of a kind; return what it is acknowledged with."""

    async def say(
        self,
        text: str,
        *,
        channel: str = "C0GENERAL",
        user: str = "U0ANN",
        thread_ts: str | None = None,
        files: Iterable[Json] = (),
        twin: bool = True,
        external: bool = False,
        parent: str | None = None,
    ) -> str:
        """Post a message; where it mentions the bot, its `app_mention` twin comes too. Return
        its ts when all events are acknowledged."""
        ts = self.next_ts()
        said: Json = {
            "user": user,
            "channel": channel,
            "ts": ts,
            "thread_ts": thread_ts,
            "files": list(files),
        }
        events = [payloads.message(text, **said, parent=parent)]
        self.said.append(events[0])
        if f"<@{BOT_USER}>" in text and twin and channel[0] != "D":
            events.append(payloads.app_mention(text, **said))
        for event in events:
            await self.send_event(event, external=external)
        return ts

    async def mention(self, text: str, **where: Any) -> str:
        """Post a message that mentions the bot; as `say`."""
        return await self.say(f"<@{BOT_USER}> {text}", **where)

    async def edit(self, ts: str, text: str, *, external: bool = False) -> None:
        """Edit what a person said."""
        before = next(each for each in self.said if each["ts"] == ts)
        event = payloads.message_changed(before, text, ts=self.next_ts())
        self.said[self.said.index(before)] = before | {"text": text}
        await self.send_event(event, external=external)

    async def delete(self, ts: str) -> None:
        """Delete what a person said."""
        before = next(each for each in self.said if each["ts"] == ts)
        self.said.remove(before)
        await self.send_event(payloads.message_deleted(before, ts=self.next_ts()))

    async def leave(self, user: str, channel: str) -> None:
        """Have a person leave a channel."""
        self.members[user].remove(channel)
        await self.send_event(payloads.member_left(user=user, channel=channel, ts=self.next_ts()))

    async def open_home(self, tab: str = "home", *, user: str = "U0ANN") -> None:
        """Open the app's home, or its messages."""
        event = payloads.home_opened(tab, user=user, channel=f"D{user[1:]}", ts=self.next_ts())
        await self.send_event(event)

    async def press_stop(self, message: Message, *, user: str = "U0ANN") -> None:
        """Press Slack's own stop button, which ends the streams of a thread."""
        message.streaming = False
        event = payloads.session_stopped(
            user=user,
            channel=message.channel,
            thread_ts=message.thread_ts or message.ts,
            streams=[message.ts],
            ts=self.next_ts(),
        )
        await self.send_event(event)

    async def command(
        self,
        command: str,
        text: str = "",
        *,
        channel: str = "C0GENERAL",
        user: str = "U0ANN",
    ) -> Json | None:
        """Give a slash command; return what it was acknowledged with."""
        payload = payloads.slash_command(
            command,
            text,
            user=user,
            channel=channel,
            trigger_id=self._trigger(),
            response_url=self._response_address(),
            enterprise=self.enterprise,
        )
        return await self.send_envelope("slash_commands", payload, accepts_response_payload=True)

    async def click(
        self,
        message: Message | Json,
        action_id: str,
        *,
        value: str | None = None,
        user: str = "U0ANN",
        channel: str = "C0GENERAL",
    ) -> Json | None:
        """Click what a message of the bot's, or an ephemeral one (what a response URL got), has
        under an id that begins so."""
        public = isinstance(message, Message)
        known = message if isinstance(message, Message) else Message(channel, "", None, message)
        block_id, element = next(
            (block, element)
            for block, element in known.elements()
            if str(element["action_id"]).startswith(action_id)
        )
        payload = payloads.block_actions(
            payloads.click(element, block_id=block_id, ts=self.next_ts(), value=value),
            user=user,
            channel=known.channel,
            message=self._shown(known) if public else None,
            response_url=self._response_address(),
            enterprise=self.enterprise,
            trigger_id=self._trigger(),
        )
        return await self.send_envelope("interactive", payload, accepts_response_payload=True)

    async def shortcut(
        self, callback_id: str, ts: str, *, user: str = "U0ANN", channel: str = "C0GENERAL"
    ) -> Json | None:
        """Use a message shortcut on what somebody said."""
        event = next(each for each in self.said if each["ts"] == ts)
        message = {key: event[key] for key in event if key not in ("channel", "channel_type")}
        payload = payloads.message_action(
            callback_id,
            message,
            user=user,
            channel=channel,
            response_url=self._response_address(),
            enterprise=self.enterprise,
            trigger_id=self._trigger(),
        )
        return await self.send_envelope("interactive", payload, accepts_response_payload=True)

    async def submit(self, values: Json, *, user: str = "U0ANN") -> Json | None:
        """Send the newest modal; `values` is the state of its inputs, by block and action."""
        payload = payloads.view_submission(
            self.views[-1],
            values,
            user=user,
            enterprise=self.enterprise,
            trigger_id=self._trigger(),
        )
        return await self.send_envelope("interactive", payload, accepts_response_payload=True)

    async def suggest(self, action_id: str, typed: str, *, user: str = "U0ANN") -> Json | None:
        """Type into a select menu of the newest modal; return the options."""
        view = self.views[-1]
        block = next(
            b for b in view["blocks"] if b.get("element", {}).get("action_id") == action_id
        )
        payload = payloads.block_suggestion(
            block["element"],
            typed,
            view,
            block_id=block["block_id"],
            user=user,
            trigger_id=self._trigger(),
        )
        return await self.send_envelope("interactive", payload, accepts_response_payload=True)

    def _trigger(self) -> str:
        return f"trigger.{self._next()}"

    def _response_address(self) -> str:
        return f"{self.origin}/commands/{TEAM}/{self._next()}/secret"

    def add_file(
        self,
        name: str,
        content: bytes,
        mimetype: str = "application/octet-stream",
        *,
        mode: str = "hosted",
        user: str = "U0ANN",
        **fields: Any,
    ) -> Json:
        """Keep a file; return it as messages carry it, with some fields changed."""
        id = f"F0{self._next():06d}"
        known = payloads.file(
            name, content, mimetype, id=id, user=user, origin=self.origin, mode=mode
        )
        self.files[id] = (known, content)
        return known | fields
