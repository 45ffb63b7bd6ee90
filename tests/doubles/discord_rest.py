"""Discord's REST interface on a loopback port, over the state machine, with faults on demand."""

from __future__ import annotations

import fnmatch
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from simcord.backend import Backend
from simcord.backend.access import channel_accessible
from simcord.backend.errors import BackendError
from simcord.backend.models import Guild
from simcord.enums import ChannelType
from simcord.http import router

from tests.doubles.discord_schema import fault_of_request

PREFIX = "/api/v10"
_CONTENT_INTENT = 1 << 19
_BY_TOKEN = ("/interactions/", "/webhooks/")


@dataclass
class Call:
    """One call of the bot's, with what it was answered."""

    method: str
    path: str
    body: Any
    status: int = 0
    answer: Any = None


@dataclass
class Fault:
    """What happens to some of the next calls instead of the ordinary."""

    method: str
    path: str
    status: int = 0
    retry_after: float = 0.0
    code: int = 0
    accepted: bool = False
    """Do what was asked all the same, and lose only the answer; with no status, the line breaks."""
    times: int = 1


@dataclass
class Upload:
    """A file of a multipart call, as the state machine takes it."""

    filename: str
    fp: io.BytesIO
    description: str | None = None


class Rest:
    """Answers calls; everything that no real bot would get away with is in `wrong`."""

    def __init__(
        self,
        backend: Backend,
        token: str,
        *,
        shape: Callable[[Any], Any],
        changed: Callable[[], None],
        reads_content: bool,
    ) -> None:
        self.backend = backend
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.wrong: list[str] = []
        self.gateway_url = ""
        self.shards = 1
        self.blocked: set[int] = set()
        """People who take no direct messages."""
        self._token = token
        self._shape = shape
        self._changed = changed
        self._reads_content = reads_content
        self._nonces: dict[tuple[int, str], dict[str, Any]] = {}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one call."""
        path = request.path.removeprefix(PREFIX)
        body, files = await _read(request)
        call = Call(request.method, path, body)
        self.calls.append(call)
        fault = self._fault(call)
        if fault is not None and not fault.accepted:
            return self._break(request, call, fault)
        try:
            call.status, call.answer = 200, self._answer(request, call, files)
        except BackendError as error:
            call.status, call.answer = error.status, error.to_json()
            if error.status == 501:
                self.wrong.append(f"{call.method} {path}: {error}")
        self._changed()
        if fault is not None:
            return self._break(request, call, fault)
        if call.answer is None:
            return web.Response(status=204)
        return _json(call.status, call.answer, _BUCKET)

    def _break(self, request: web.Request, call: Call, fault: Fault) -> web.StreamResponse:
        call.status = fault.status
        self._changed()
        if not fault.status:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if fault.status == 429:
            call.answer = {
                "message": "You are being rate limited.",
                "retry_after": fault.retry_after,
                "global": False,
            }
            headers = {
                "Via": "1.1 google",
                "Retry-After": str(max(1, round(fault.retry_after))),
                "X-RateLimit-Scope": "user",
            }
            return _json(429, call.answer, headers)
        call.answer = {"code": fault.code, "message": "as told to"}
        return _json(fault.status, call.answer, {})

    def _fault(self, call: Call) -> Fault | None:
        for fault in self.faults:
            if fault.method in (call.method, "*") and fnmatch.fnmatch(call.path, fault.path):
                fault.times -= 1
                if not fault.times:
                    self.faults.remove(fault)
                return fault
        return None

    def _answer(self, request: web.Request, call: Call, files: list[Upload]) -> Any:
        by_token = call.path.startswith(_BY_TOKEN)
        if not by_token and request.headers.get("Authorization") != f"Bot {self._token}":
            raise BackendError(401, 0, "401: Unauthorized")
        if call.path == "/gateway/bot":
            return {
                "url": self.gateway_url,
                "shards": self.shards,
                "session_start_limit": {
                    "total": 1000,
                    "remaining": 999,
                    "reset_after": 14400000,
                    "max_concurrency": 1,
                },
            }
        if call.path == "/users/@me/guilds":
            return [self._membership(guild) for guild in self.backend.guilds.values()]
        if call.body is not None and (fault := fault_of_request(call.method, call.path, call.body)):
            self.wrong.append(f"{call.method} {call.path}: {fault}")
            raise BackendError(400, 50035, f"Invalid Form Body: {fault}")
        nonce = self._nonce(call)
        if nonce is not None and nonce in self._nonces:
            return self._nonces[nonce]
        self._check(call)
        answer = router.dispatch(
            self.backend,
            call.method,
            call.path,
            json=call.body,
            params=dict(request.query),
            files=files,
            message_content_access=self._reads_content,
        )
        answer = self._shape(json.loads(json.dumps(answer)))
        if call.path == "/oauth2/applications/@me":
            answer["flags"] = _CONTENT_INTENT if self._reads_content else 0
        if nonce is not None:
            answer["nonce"] = nonce[1]
            self._nonces[nonce] = answer
        return answer

    def _membership(self, guild: Guild) -> dict[str, Any]:
        """Return what a bot's own list of servers says of one."""
        permissions = self.backend.compute_permissions(guild.id, self.backend.bot_user.id)
        return {
            "id": str(guild.id),
            "name": guild.name,
            "icon": None,
            "banner": None,
            "owner": False,
            "permissions": str(permissions),
            "features": [],
        }

    def _nonce(self, call: Call) -> tuple[int, str] | None:
        """Return what must not be sent twice, where the call says so."""
        parts = call.path.strip("/").split("/")
        if call.method != "POST" or parts[0] != "channels" or parts[2:] != ["messages"]:
            return None
        body = call.body or {}
        if not body.get("enforce_nonce") or body.get("nonce") is None:
            return None
        return int(parts[1]), str(body["nonce"])

    def forget_nonces(self) -> None:
        """Let some minutes pass: Discord remembers a nonce no longer."""
        self._nonces.clear()

    def _check(self, call: Call) -> None:
        """Refuse what Discord refuses and the state machine lets pass."""
        parts = call.path.strip("/").split("/")
        if parts[0] != "channels" or len(parts) < 2:
            return
        channel = self.backend.channels.get(int(parts[1]))
        if channel is None:
            return
        me = self.backend.bot_user.id
        if channel.guild_id is None:
            if call.method == "POST" and set(channel.recipient_ids) & self.blocked:
                raise BackendError(403, 50007, "Cannot send messages to this user")
            return
        if not channel_accessible(self.backend, channel.id, me):
            raise BackendError(403, 50001, "Missing Access")
        if parts[-1] == "threads" and parts[2:3] == ["messages"]:
            if channel.type not in (ChannelType.TEXT, ChannelType.NEWS):
                raise BackendError(400, 50024, "Cannot execute action on this channel type")
            if int(parts[3]) in self.backend.channels:
                raise BackendError(
                    400, 160004, "A thread has already been created for this message"
                )
            return
        if not channel.is_thread or call.method == "GET":
            return
        state = channel.thread_metadata
        assert state is not None
        may_manage = self.backend.compute_permissions(channel.guild_id, me, channel.id) >> 34 & 1
        if state.locked and not may_manage:
            raise BackendError(400, 160005, "Thread is locked")
        if state.archived and parts[2:] == ["messages"]:
            self.backend.edit_channel(channel.id, {}, thread_metadata={"archived": False})
        elif state.archived and len(parts) > 3:
            raise BackendError(400, 50083, "Thread is archived")


_BUCKET = {
    "X-RateLimit-Limit": "1000",
    "X-RateLimit-Remaining": "999",
    "X-RateLimit-Reset-After": "1.000",
}


def _json(status: int, answer: Any, headers: dict[str, str]) -> web.Response:
    # With a charset beside it, discord.py takes the answer for text.
    headers = {"Content-Type": "application/json", "Via": "1.1 google", **headers}
    return web.Response(status=status, body=json.dumps(answer).encode(), headers=headers)


async def _read(request: web.Request) -> tuple[Any, list[Upload]]:
    """Return a call's JSON and files, however it carries them."""
    if not request.content_type.startswith("multipart/"):
        text = await request.text()
        return (json.loads(text) if text else None), []
    form = await request.post()
    body = json.loads(str(form["payload_json"]))
    files = []
    for name, part in form.items():
        if name.startswith("files[") and isinstance(part, web.FileField):
            described = {str(each["id"]): each for each in body.get("attachments") or ()}
            about = described.get(name[6:-1], {}).get("description")
            files.append(Upload(part.filename, io.BytesIO(part.file.read()), about))
    return body, files
