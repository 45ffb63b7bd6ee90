"""Discord's gateway on a loopback WebSocket: identify, heartbeats, sessions that can be resumed."""

from __future__ import annotations

import asyncio
import copy
import json
import secrets
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import discord
import zstandard
from aiohttp import WSCloseCode, WSMsgType, web
from simcord import intents as rules
from simcord.backend import Backend, serializers

DISPATCH, RECONNECT, INVALID_SESSION, HELLO, HEARTBEAT_ACK = 0, 7, 9, 10, 11
Frame = dict[str, Any]


class Session:
    """What a shard has identified as, and every event that it was sent or should have been."""

    def __init__(self, shard: int, shards: int, intents: discord.Intents) -> None:
        self.id = secrets.token_hex(8)
        self.shard = shard
        self.shards = shards
        self.intents = intents
        self.frames: list[Frame] = []
        self.connection: Connection | None = None

    def add(self, event: str, payload: Mapping[str, Any]) -> None:
        """Number an event and send it where somebody listens."""
        self.frames.append({"op": DISPATCH, "d": payload, "s": len(self.frames) + 1, "t": event})
        if self.connection is not None:
            self.connection.send(self.frames[-1])


class Connection:
    """One socket; frames leave in order, compressed as the client asked."""

    def __init__(self, socket: web.WebSocketResponse, compression: str) -> None:
        self.socket = socket
        self.muted = False
        """Nothing leaves or is answered any more, though the socket stays open."""
        self._frames: asyncio.Queue[Frame] = asyncio.Queue()
        self._compress = _COMPRESSIONS.get(compression, lambda: str)()

    def send(self, frame: Frame) -> None:
        if not self.muted:
            self._frames.put_nowait(frame)

    async def write(self) -> None:
        """Send what is queued until the socket is gone."""
        while True:
            data = self._compress(json.dumps(await self._frames.get()))
            if self.muted or self.socket.closed:
                continue
            if isinstance(data, bytes):
                await self.socket.send_bytes(data)
            else:
                await self.socket.send_str(data)


def _zlib() -> Callable[[str], bytes]:
    stream = zlib.compressobj()
    return lambda text: stream.compress(text.encode()) + stream.flush(zlib.Z_SYNC_FLUSH)


def _zstd() -> Callable[[str], bytes]:
    stream = zstandard.ZstdCompressor().compressobj()
    return lambda text: (
        stream.compress(text.encode()) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    )


_COMPRESSIONS: dict[str, Callable[[], Callable[[str], str | bytes]]] = {
    "zlib-stream": _zlib,
    "zstd-stream": _zstd,
}


class Gateway:
    """Brings the backend's events to whoever identified, as far as intents and approval go."""

    def __init__(
        self,
        backend: Backend,
        token: str,
        *,
        approved: discord.Intents,
        heartbeat_seconds: float,
        shape: Callable[[Any], Any],
        changed: Callable[[], None],
    ) -> None:
        """`approved` are the privileged intents that the portal has switched on; `shape` is done
        to every payload that leaves."""
        self.backend = backend
        self.approved = approved
        self.url = ""
        self.sessions: list[Session] = []
        self.identified: list[Session] = []
        self.resumed = 0
        self.heartbeats = 0
        self.dead = False
        """New connections are accepted and get no answer."""
        self._token = token
        self._heartbeat_seconds = heartbeat_seconds
        self._shape = shape
        self._changed = changed
        self._connections: set[Connection] = set()
        backend.subscribers.append(self._on_event)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Speak with one client until its socket closes."""
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        connection = Connection(socket, request.query.get("compress", ""))
        self._connections.add(connection)
        connection.muted = self.dead
        writer = asyncio.create_task(connection.write())
        connection.send(
            {
                "op": HELLO,
                "d": {"heartbeat_interval": int(self._heartbeat_seconds * 1000), "_trace": []},
                "s": None,
                "t": None,
            }
        )
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT and not connection.muted:
                    await self._receive(connection, message.json())
        finally:
            writer.cancel()
            self._connections.discard(connection)
            for session in self.sessions:
                if session.connection is connection:
                    session.connection = None
        return socket

    async def _receive(self, connection: Connection, frame: Frame) -> None:
        data = frame.get("d")
        match frame["op"]:
            case 1:
                self.heartbeats += 1
                self._changed()
                connection.send({"op": HEARTBEAT_ACK, "d": None, "s": None, "t": None})
            case 2:
                await self._identify(connection, data)
            case 6:
                self._resume(connection, data)
            case 8:
                self._members(connection, data)

    async def _identify(self, connection: Connection, data: Any) -> None:
        if data["token"] != self._token:
            await connection.socket.close(code=4004, message=b"Authentication failed.")
            return
        intents = discord.Intents._from_value(data["intents"])
        shard, shards = data.get("shard") or (0, 1)
        session = Session(shard, shards, intents)
        self.identified.append(session)
        if rules.missing_privileged_intents(intents, self.approved):
            await connection.socket.close(code=4014, message=b"Disallowed intent(s).")
            return
        self.sessions.append(session)
        session.connection = connection
        self._changed()
        guilds = [g for g in self.backend.guilds.values() if (g.id >> 22) % shards == shard]
        session.add(
            "READY",
            {
                "v": 10,
                "user": self._shape(serializers.user_payload(self.backend.bot_user)),
                "user_settings": {},
                "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
                "guild_join_requests": [],
                "private_channels": [],
                "presences": [],
                "relationships": [],
                "session_id": session.id,
                "session_type": "normal",
                "resume_gateway_url": self.url,
                "shard": [shard, shards],
                "application": {"id": str(self.backend.application_id), "flags": 0},
                "geo_ordered_rtc_regions": [],
                "_trace": [],
            },
        )
        for guild in guilds:
            self._tell(
                session, "GUILD_CREATE", serializers.guild_create_payload(self.backend, guild)
            )

    def _resume(self, connection: Connection, data: Any) -> None:
        session = next((s for s in self.sessions if s.id == data["session_id"]), None)
        if session is None or data["token"] != self._token:
            connection.send({"op": INVALID_SESSION, "d": False, "s": None, "t": None})
            return
        self.resumed += 1
        session.connection = connection
        self._changed()
        for frame in session.frames[data["seq"] :]:
            connection.send(frame)
        session.add("RESUMED", {"_trace": []})

    def _members(self, connection: Connection, data: Any) -> None:
        guild = self.backend.guilds[int(data["guild_id"])]
        wanted = {int(user) for user in data.get("user_ids") or ()}
        members = [m for m in guild.members.values() if not wanted or m.user_id in wanted]
        session = next(s for s in self.sessions if s.connection is connection)
        payload = {
            "guild_id": str(guild.id),
            "members": [serializers.member_payload(self.backend, guild, m) for m in members],
            "chunk_index": 0,
            "chunk_count": 1,
            "nonce": data.get("nonce"),
        }
        session.add("GUILD_MEMBERS_CHUNK", self._shape(payload))

    # What the backend tells

    def _on_event(self, event: str, payload: Mapping[str, Any]) -> None:
        guild = payload.get("guild_id") or (payload.get("id") if "GUILD_" in event[:6] else None)
        for session in self.sessions:
            if (int(guild) >> 22 if guild else 0) % session.shards == session.shard:
                self._tell(session, event, payload)

    def repeat(self, event: str, payload: Mapping[str, Any]) -> None:
        """Deliver an event to whom it concerns, whether or not it came before."""
        self._on_event(event, payload)

    def _tell(self, session: Session, event: str, payload: Mapping[str, Any]) -> None:
        gate = rules.required_intent(event, payload)
        if gate is not None and not getattr(session.intents, gate):
            return
        shown: Any = copy.deepcopy(dict(payload))
        bot = self.backend.bot_user.id
        if event.startswith("MESSAGE_") and "author" in shown:
            self._add_context(shown)
        if not session.intents.message_content:
            self._censor(event, shown, bot)
        if event == "GUILD_CREATE":
            rules.prune_guild_create(shown, session.intents, bot)
        session.add(event, self._shape(shown))

    def _add_context(self, message: dict[str, Any]) -> None:
        """Add what a message has on the gateway only: its channel's kind, mentioned members."""
        channel = self.backend.channels[int(message["channel_id"])]
        message["channel_type"] = int(channel.type)
        if channel.guild_id is None:
            return
        guild = self.backend.guilds[channel.guild_id]
        for person in message["mentions"]:
            if member := guild.members.get(int(person["id"])):
                person["member"] = serializers.member_payload(
                    self.backend, guild, member, with_user=False
                )

    def _censor(self, event: str, shown: dict[str, Any], bot: int) -> None:
        if event in ("MESSAGE_CREATE", "MESSAGE_UPDATE"):
            rules.censor_message(shown, bot, backend=self.backend)
        if event == "INTERACTION_CREATE":
            # What an interaction is about is shown to its bot: its message, a menu's target.
            data = shown.get("data") or {}
            if "message" in shown:
                rules.censor_message(shown["message"], bot, backend=self.backend, exempt_root=True)
            for id, message in ((data.get("resolved") or {}).get("messages") or {}).items():
                target = str(data.get("target_id")) == id
                rules.censor_message(message, bot, backend=self.backend, exempt_root=target)

    # What goes wrong

    async def drop(self) -> None:
        """Cut every socket, as a broken line does."""
        for connection in list(self._connections):
            await connection.socket.close(code=WSCloseCode.ABNORMAL_CLOSURE)

    def mute(self) -> None:
        """Say nothing on the open sockets any more, though they stay open."""
        for connection in self._connections:
            connection.muted = True

    def ask_to_reconnect(self) -> None:
        """Send op 7 to everybody."""
        for connection in self._connections:
            connection.send({"op": RECONNECT, "d": None, "s": None, "t": None})

    def invalidate(self, *, resumable: bool) -> None:
        """Send op 9 to everybody; the sessions end unless they may be resumed."""
        if not resumable:
            self.sessions.clear()
        for connection in self._connections:
            connection.send({"op": INVALID_SESSION, "d": resumable, "s": None, "t": None})

    async def close(self) -> None:
        """Close every socket for good."""
        for connection in list(self._connections):
            await connection.socket.close()
