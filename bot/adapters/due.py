"""What falls due as a request: what the platforms' adapters do alike about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bot.messages import Event, Reply, Request

DUE = "due"
"""The kind of the event."""
DUE_COMMANDS = frozenset({"due", "scheduled", "digested", "revoked"})
"""Its commands: only the whole reply is posted."""
DIRECT = {"direct": "yes"}
"""The address of what only its author sees."""


def needs_leave(event: Event) -> bool:
    """Tell whether its author has to be allowed to post in the event's channel now.

    Whoever runs the bot may post wherever it may, and everybody may remind themselves.
    """
    said = event.payload
    reminds_author = said["direct"] and said["command"] == DUE
    return not (said["owner"] or reminds_author)


def due_request(
    event: Event, audience: frozenset[str], address: Mapping[str, str], conversation: str
) -> Request:
    """Return what is due as a request, for what its destination may see now."""
    said = event.payload
    return Request(
        id=event.id,
        platform=event.platform,
        command=said["command"],
        text=said["text"],
        user=said["user"],
        conversation=conversation,
        scope=said["scope"],
        audience=audience,
        language=said["language"],
        history=(),
        options=said["options"],
        address={**address, **(DIRECT if said["direct"] else {})},
    )


def revoked(request: Request) -> Request:
    """Return the request that tells an author, alone, that something is not posted."""
    address = {**request.address, **DIRECT}
    return replace(request, command="revoked", audience=frozenset(), address=address)


def decided(request: Request, reply: Reply) -> list[tuple[str, int]] | None:
    """Return what may be decided about a reminder by a button: what to do, with its number.

    None where a reply isn't about one.
    """
    command = reply.taken_for or request.command
    if command not in ("remind", "digest", "due", "digested"):
        return None
    if reply.outcome != "answer":
        return []
    if command in ("remind", "digest"):
        if reply.data.get("state") != "asked":
            return []
        return [("confirm", reply.data["id"]), ("cancel", reply.data["id"])]
    return [("cancel" if request.options["again"] else "again", request.options["reminder"])]
