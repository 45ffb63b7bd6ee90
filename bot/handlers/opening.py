"""Wait for the parts that a handler needs, and say so."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from bot.loading import Loading
from bot.messages import Language, Status
from bot.phrases import say


async def opening(parts: Sequence[Loading], language: Language) -> AsyncGenerator[Status, None]:
    """Yield what is being loaded until every part is open; raise why one can't be."""
    for part in parts:
        if not part.done:
            yield Status(say(language, "loading", what=say(language, part.what)))
            await part.ready()
