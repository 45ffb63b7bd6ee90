"""What may be read for a request."""

from __future__ import annotations

from bot.messages import Request
from rag.audience import Audience


def audience_of(request: Request) -> Audience:
    """Return who reads the answer, less the folders that don't answer in this channel."""
    return Audience.of(request.audience, folders=request.channel.folders)
