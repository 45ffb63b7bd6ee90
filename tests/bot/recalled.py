"""What was answered, for scripted handles: brought back as the bot's own `recall` does."""

from __future__ import annotations

from dataclasses import replace

from bot.messages import Reply, ReplyEvent, Request


class Recalled:
    """Keeps replies until `forget`."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Request, Reply]] = {}

    def note(self, request: Request, event: ReplyEvent) -> None:
        """Keep an event that is a reply."""
        if isinstance(event, Reply):
            self._kept[request.id] = (request, event)

    def forget(self) -> None:
        """Lose everything, as time does."""
        self._kept.clear()

    def reply(self, request: Request) -> Reply:
        """Return the reply that `request` wants back, for who asked it."""
        asked, reply = self._kept.get(request.options["reply"], (None, None))
        if asked is None or reply is None or asked.user != request.user:
            return Reply("error", "That answer is no longer at hand.", "en")
        return replace(reply, data={"command": asked.command, "question": asked.text})
