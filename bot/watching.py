"""Changes in watched folders, noticed at once where the platform can tell."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from watchfiles import awatch

from rag.ingest.walking import is_passing

log = logging.getLogger(__name__)

_AGAIN_SECONDS = 60.0
# Somebody who saves or copies files does so for a moment: one scan sees them all.
_SETTLED_MS = 400
_GATHERED_MS = 1600


async def watch(
    folder: Path, changed: Callable[[], None], *, again: float = _AGAIN_SECONDS
) -> None:
    """Call `changed` soon after something below a folder changed, until cancelled.

    A folder that is absent, or that the platform cannot watch, is tried again after `again`
    seconds; its schedule sees to it meanwhile.
    """
    told = False
    while True:
        try:
            there = folder.stat().st_ino
            async for _ in awatch(
                folder,
                watch_filter=lambda _, path: is_news(folder, path),
                step=_SETTLED_MS,
                debounce=_GATHERED_MS,
                ignore_permission_denied=True,
            ):
                changed()
                told = False
                if folder.stat().st_ino != there:
                    break  # another folder in its place has to be watched anew
        except (OSError, RuntimeError) as error:
            if not told:
                log.info("%s is read on schedule only: %s", folder, error)
                told = True
            await asyncio.sleep(again)


def is_news(folder: Path, path: str) -> bool:
    """Tell whether a change of this path may be one of a document."""
    return not any(map(is_passing, Path(path).parts[len(folder.parts) :]))
