"""What a local Slack keeps, and what its Web API does with it.

It refuses what Slack refuses. Messages, views and streams that go out are checked against Slack's
own JSON schemas where they are at hand (chat.postMessage, chat.update, chat.startStream, views and
blocks), and always against the documented limits; every call may only have the arguments that
slack_sdk's signatures name, since nothing else describes the others.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from tests.doubles import slack_payloads as payloads
from tests.doubles.slack_files import Files, Upload
from tests.doubles.slack_limits import (
    POST_LIMIT,
    SESSION_TITLE_LIMIT,
    STREAM_LIMIT,
    UPDATE_LIMIT,
    blocks_problem,
    view_problem,
)
from tests.doubles.slack_payloads import BOT, BOT_USER, TEAM, Json

SCOPES = (
    "app_mentions:read,assistant:write,channels:history,channels:read,chat:write,commands,"
    "files:read,files:write,groups:history,groups:read,im:history,im:write,mpim:history,users:read"
)
SESSION_STATUSES = ("active", "processing", "suspended", "closed")


@cache
def arguments(method: str) -> frozenset[str]:
    """Return what the SDK lets a call of a method have; Bolt's clients add their team to all."""
    call = getattr(AsyncWebClient, method.replace(".", "_"))
    return frozenset(inspect.signature(call).parameters) - {"self", "kwargs"} | {"team_id"}


@dataclass
class Message:
    """A message of the bot's, with every text that it has had."""

    channel: str
    ts: str
    thread_ts: str | None
    args: Json
    texts: list[str] = field(default_factory=list)
    deleted: bool = False
    streaming: bool = False

    @property
    def text(self) -> str:
        return self.texts[-1]

    @property
    def blocks(self) -> list[Json]:
        return list(self.args.get("blocks") or ())

    @property
    def markdown(self) -> str:
        """What people read: the stream's text, or the Markdown of the blocks."""
        shown = [block["text"] for block in self.blocks if block["type"] == "markdown"]
        return "\n\n".join([*self.args.get("streamed", []), *shown])

    def elements(self) -> list[tuple[str, Json]]:
        """Return everything that can be clicked, with its block's id."""
        return [
            (block.get("block_id", "made-up"), element)
            for block in self.blocks
            if block["type"] in ("actions", "context_actions")
            for element in block["elements"]
        ]


@dataclass
class Call:
    """One call of the Web API, with its arguments from query, form and JSON together."""

    method: str
    args: Json


class Workspace(Files):
    """The state of one workspace, and the Web API's methods as `_group_method`."""

    def __init__(self, *, enterprise: str | None = None) -> None:
        self.enterprise = enterprise
        self.scopes = SCOPES
        self.streams = True
        """Whether messages can be streamed; some workspaces refuse."""
        self.channels: dict[str, Json] = {"C0GENERAL": {}, "C0SECOND": {}}
        self.members: dict[str, list[str]] = {"U0ANN": ["C0GENERAL"]}
        self.locales: dict[str, str] = {"U0ANN": "en-US"}
        self.people: dict[str, Json] = {}
        """Further facts of `users.info`, such as `is_restricted`."""
        self.files: dict[str, tuple[Json, bytes]] = {}
        self.uploads: dict[str, Upload] = {}
        self.page_size = 2
        self.calls: list[Call] = []
        self.messages: list[Message] = []
        self.whispers: list[tuple[str, str]] = []
        """Whom the bot told something alone in a channel, and what."""
        self.said: list[Json] = []
        """What people said, as `message` events carry it."""
        self.views: list[Json] = []
        """The modals that were opened, newest last."""
        self.homes: dict[str, Json] = {}
        self.prompts: dict[str, Json] = {}
        self.sessions: dict[tuple[str, str], str] = {}
        """What the agent is said to be doing, by channel and thread."""
        self._by_ts: dict[tuple[str, str], Message] = {}
        self._by_thread: defaultdict[str | None, list[Message]] = defaultdict(list)
        self._violations: list[str] = []
        self._count = 0
        self._changed = asyncio.Condition()

    def next_ts(self) -> str:
        return f"17000{self._next():05d}.000100"

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _check(self, *problems: str | None) -> None:
        self._violations += [problem for problem in problems if problem]

    def _keep(self, message: Message) -> None:
        self.messages.append(message)
        self._by_ts[message.channel, message.ts] = message
        self._by_thread[message.thread_ts].append(message)

    async def _auth_test(self, args: Json) -> Json:
        me = {"team_id": TEAM, "user_id": BOT_USER, "bot_id": BOT, "is_enterprise_install": False}
        names = {"url": "https://team.slack.com/", "team": "Team", "user": "teamglm"}
        return me | names | ({"enterprise_id": self.enterprise} if self.enterprise else {})

    # Messages

    def _room(self, channel: str) -> Json:
        """Return the channel that a message goes to, or why it can't."""
        if channel[0] in "UW":
            return {"channel": f"D{channel[1:]}"}
        known = self.channels.get(channel)
        if channel[0] != "D" and known is None:
            return {"error": "channel_not_found"}
        if known and known.get("is_member") is False:
            return {"error": "not_in_channel"}
        if known and known.get("is_archived"):
            return {"error": "is_archived"}
        return {"channel": channel}

    async def _chat_postMessage(self, args: Json) -> Json:
        room = self._room(args["channel"])
        if "error" in room:
            return room
        self._check(
            payloads.violation("ChatPostMessage", args), blocks_problem(args.get("blocks") or [])
        )
        if error := self._fits(args, POST_LIMIT):
            return {"error": error}
        message = Message(
            room["channel"], self.next_ts(), args.get("thread_ts"), args, [args.get("text", "")]
        )
        self._keep(message)
        return {"channel": message.channel, "ts": message.ts, "message": {"text": message.text}}

    async def _chat_postEphemeral(self, args: Json) -> Json:
        room = self._room(args["channel"])
        if "error" in room:
            return room
        if error := self._fits(args, POST_LIMIT):
            return {"error": error}
        self.whispers.append((args["user"], args["text"]))
        return {"message_ts": self.next_ts()}

    async def _chat_update(self, args: Json) -> Json:
        message = self._find(args)
        if message is None:
            return {"error": "message_not_found"}
        if message.streaming:
            return {"error": "streaming_state_conflict"}
        same = {key: args[key] for key in ("channel", "text", "blocks") if key in args}
        self._check(
            payloads.violation("ChatPostMessage", same), blocks_problem(args.get("blocks") or [])
        )
        if error := self._fits(args, UPDATE_LIMIT):
            return {"error": error}
        message.texts.append(args["text"])
        message.args = message.args | args | {"streamed": []}
        return {"channel": message.channel, "ts": message.ts, "text": message.text}

    async def _chat_delete(self, args: Json) -> Json:
        message = self._find(args)
        if message is None:
            return {"error": "message_not_found"}
        message.deleted = True
        return {"channel": message.channel, "ts": message.ts}

    def _find(self, args: Json) -> Message | None:
        found = self._by_ts.get((args["channel"], args["ts"]))
        return None if found is None or found.deleted else found

    def _fits(self, args: Json, limit: int) -> str | None:
        if not str(args.get("text") or "").strip() and not args.get("blocks"):
            return "no_text"
        if len(args.get("text") or "") > limit:
            self._check("a message is too long")
            return "msg_too_long"
        return None

    async def _conversations_open(self, args: Json) -> Json:
        return {"channel": {"id": f"D{args['users'][1:]}"}}

    async def _conversations_replies(self, args: Json) -> Json:
        root = args["ts"]
        said = [each for each in self.said if root in (each["ts"], each.get("thread_ts"))]
        return self._listed(args, said, self._by_thread[root])

    async def _conversations_history(self, args: Json) -> Json:
        said = [each for each in self.said if not each.get("thread_ts")]
        answer = self._listed(args, said, self._by_thread[None])
        return answer | {"messages": answer.get("messages", [])[::-1]}

    def _listed(self, args: Json, said: list[Json], ours: list[Message]) -> Json:
        """Return what stands in a channel, oldest first, a page of it."""
        room = self._room(args["channel"])
        if room.get("error") not in (None, "is_archived"):
            return room
        shown = [dict(each) for each in said if each["channel"] == args["channel"]]
        for message in ours:
            if message.channel == args["channel"] and not message.deleted:
                shown.append(self._shown(message))
                if str(args.get("include_all_metadata")).lower() in ("1", "true"):
                    metadata = message.args.get("metadata") or {}
                    decoded = json.loads(metadata) if isinstance(metadata, str) else metadata
                    shown[-1]["metadata"] = decoded
        oldest = str(args.get("oldest") or "0")
        shown = sorted((each for each in shown if each["ts"] >= oldest), key=lambda e: e["ts"])
        start = int(args.get("cursor") or 0)
        end = start + int(args.get("limit") or 100)
        more = {"next_cursor": str(end)} if end < len(shown) else {}
        page = shown[start:end]
        return {"messages": page, "has_more": bool(more), "response_metadata": more}

    def _shown(self, message: Message) -> Json:
        """Return a message of the bot's as Slack shows it to others."""
        shown = {
            "type": "message",
            "user": BOT_USER,
            "bot_id": BOT,
            "app_id": payloads.APP,
            "team": TEAM,
            "ts": message.ts,
            "text": message.text or message.markdown,
            "blocks": message.blocks,
        }
        return shown | ({"thread_ts": message.thread_ts} if message.thread_ts else {})

    # Streams and sessions

    async def _chat_startStream(self, args: Json) -> Json:
        self._check(payloads.violation("ChatStartStream", args))
        room = self._room(args["channel"])
        if "error" in room:
            return room
        if not self.streams:
            return {"error": "not_authorized"}
        if args["channel"][0] != "D":
            for name in ("recipient_team_id", "recipient_user_id"):
                if not args.get(name):
                    return {"error": f"missing_{name}"}
        message = Message(args["channel"], self.next_ts(), args["thread_ts"], dict(args), [""])
        if error := self._streamed(message, args):
            return {"error": error}
        message.streaming = True
        self._keep(message)
        self.sessions[message.channel, args["thread_ts"]] = "processing"
        return {"channel": message.channel, "ts": message.ts}

    async def _chat_appendStream(self, args: Json) -> Json:
        message = self._find(args)
        if message is None:
            return {"error": "message_not_found"}
        if not message.streaming:
            return {"error": "message_not_in_streaming_state"}
        if not (args.get("markdown_text") or args.get("chunks")):
            return {"error": "no_text"}
        if error := self._streamed(message, args):
            return {"error": error}
        return {"channel": message.channel, "ts": message.ts}

    async def _chat_stopStream(self, args: Json) -> Json:
        message = self._find(args)
        if message is None:
            return {"error": "message_not_found"}
        if not message.streaming:
            return {"error": "message_not_in_streaming_state"}
        blocks = args.get("blocks") or []
        self._check(
            *(payloads.violation("SlackKnownBlock", block) for block in blocks),
            blocks_problem(blocks),
        )
        status = args.get("session_status", "active")
        if status not in SESSION_STATUSES:
            return {"error": "invalid_arguments"}
        if error := self._streamed(message, args):
            return {"error": error}
        message.streaming = False
        self.sessions[message.channel, str(message.thread_ts)] = status
        message.args["blocks"] = message.blocks + blocks
        if "metadata" in args:
            message.args["metadata"] = args["metadata"]
        return {"channel": message.channel, "ts": message.ts, "message": {"text": message.text}}

    def _streamed(self, message: Message, args: Json) -> str | None:
        """Add what a call streams to a message: text, and tasks by their ids."""
        text = args.get("markdown_text") or ""
        chunks = args.get("chunks") or []
        if text and chunks:
            return "invalid_arguments"
        for chunk in chunks:
            self._check(payloads.violation("ChatStartStream", chunk, "AnyChunk"))
            if chunk["type"] == "markdown_text":
                text += chunk["text"]
            elif chunk["type"] == "task_update":
                card = {"type": "task_card", "task_id": chunk["id"], "title": chunk["title"]}
                kept = [b for b in message.blocks if b.get("task_id") != chunk["id"]]
                message.args["blocks"] = [card | {"status": chunk["status"]}, *kept]
        if len(text) > STREAM_LIMIT:
            return "msg_too_long"
        if text:
            message.args["streamed"] = ["".join([*message.args.get("streamed", []), text])]
            message.texts.append(message.args["streamed"][0])
        return None

    async def _agents_sessions_setStatus(self, args: Json) -> Json:
        titled = len(args.get("title") or "") <= SESSION_TITLE_LIMIT
        if args.get("status") not in SESSION_STATUSES or not args.get("thread_ts") or not titled:
            return {"error": "invalid_arguments"}
        room = self._room(args["channel_id"])
        if "error" in room:
            return room
        if not self.streams:
            return {"error": "not_authorized"}
        self.sessions[args["channel_id"], args["thread_ts"]] = args["status"]
        return {"status": args["status"], "agent_status": args["status"]}

    async def _assistant_threads_setSuggestedPrompts(self, args: Json) -> Json:
        prompts = args["prompts"]
        if not 0 < len(prompts) <= 4 or not all({"title", "message"} == set(p) for p in prompts):
            return {"error": "invalid_arguments"}
        self.prompts[args["channel_id"]] = args
        return {}

    # Views

    async def _views_open(self, args: Json) -> Json:
        if not args.get("trigger_id"):
            return {"error": "invalid_arguments"}
        view = args["view"]
        self._check(payloads.violation("SlackEventUnion", view, "ModalView"), view_problem(view))
        self.views.append(view)
        return {"view": view | {"id": "V0MODAL"}}

    async def _views_publish(self, args: Json) -> Json:
        view = args["view"]
        self._check(payloads.violation("SlackEventUnion", view, "HomeView"), view_problem(view))
        self.homes[args["user_id"]] = view
        return {"view": view | {"id": "V0HOME"}}

    # Channels, people, files

    async def _conversations_info(self, args: Json) -> Json:
        if args["channel"] not in self.channels:
            return {"error": "channel_not_found"}
        about = {"id": args["channel"], "is_channel": True, "is_ext_shared": False}
        return {"channel": about | self.channels[args["channel"]]}

    async def _conversations_members(self, args: Json) -> Json:
        inside = [user for user, where in self.members.items() if args["channel"] in where]
        return {"members": inside, "response_metadata": {"next_cursor": ""}}

    async def _users_conversations(self, args: Json) -> Json:
        channels = self.members.get(args["user"], [])
        start = int(args.get("cursor") or 0)
        end = start + min(self.page_size, int(args.get("limit", 100)))
        cursor = str(end) if end < len(channels) else ""
        page = [
            {"id": channel, "is_channel": True, "is_ext_shared": False}
            | self.channels.get(channel, {})
            for channel in channels[start:end]
        ]
        return {"channels": page, "response_metadata": {"next_cursor": cursor}}

    async def _users_info(self, args: Json) -> Json:
        user = args["user"]
        if user not in self.locales and user not in self.people:
            return {"error": "user_not_found"}
        known = {
            "id": user,
            "team_id": TEAM,
            "is_admin": False,
            "is_owner": False,
            "is_primary_owner": False,
            "is_restricted": False,
            "is_ultra_restricted": False,
            "is_bot": False,
            "is_app_user": False,
            "deleted": False,
        }
        locale = {"locale": self.locales[user]} if user in self.locales else {}
        return {"user": known | locale | self.people.get(user, {})}

    async def _call(self, method: str, args: Json) -> Any:
        handler = getattr(self, "_" + method.replace(".", "_"), None)
        if handler is None:
            return {"error": "unknown_method"}
        if unknown := args.keys() - arguments(method):
            self._check(f"{method} has no {', '.join(sorted(unknown))}")
        return await handler(args)
