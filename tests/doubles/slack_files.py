"""The files of a local Slack: those that people sent, and those that the bot uploads."""

from __future__ import annotations

import json
from abc import abstractmethod
from dataclasses import dataclass

from tests.doubles.slack_payloads import Json


@dataclass
class Upload:
    """A file of the bot's; it is in no channel until that is told."""

    name: str
    length: int
    content: bytes = b""
    channel: str = ""
    thread_ts: str | None = None


class Files:
    """The Web API's methods of files, over what the workspace keeps."""

    origin: str
    scopes: str
    files: dict[str, tuple[Json, bytes]]
    uploads: dict[str, Upload]

    @abstractmethod
    def _next(self) -> int: ...

    @abstractmethod
    def _room(self, channel: str) -> Json: ...

    @abstractmethod
    def _check(self, *problems: str | None) -> None: ...

    async def _files_info(self, args: Json) -> Json:
        if args["file"] not in self.files:
            return {"error": "file_not_found"}
        return {"file": self.files[args["file"]][0]}

    async def _files_getUploadURLExternal(self, args: Json) -> Json:
        if "files:write" not in self.scopes:
            return {"error": "missing_scope"}
        id = f"F1{self._next():06d}"
        self.uploads[id] = Upload(args["filename"], int(args["length"]))
        return {"upload_url": f"{self.origin}/upload/{id}", "file_id": id}

    async def _files_completeUploadExternal(self, args: Json) -> Json:
        room = self._room(args["channel_id"])
        if "error" in room:
            return room
        files = json.loads(args["files"]) if isinstance(args["files"], str) else args["files"]
        for each in files:
            upload = self.uploads[each["id"]]
            self._check(None if len(upload.content) == upload.length else "a file came cut off")
            upload.channel, upload.thread_ts = room["channel"], args.get("thread_ts")
        return {"files": [{"id": each["id"], "title": each.get("title")} for each in files]}

    async def _files_delete(self, args: Json) -> Json:
        return {} if self.uploads.pop(args["file"], None) else {"error": "file_not_found"}
