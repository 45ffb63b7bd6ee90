"""The bot as a process: every part that runs together, from its start to its end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Callable

from bot.adapters.console import copy_local
from bot.adapters.local import ADDRESS_FILE, LocalApi
from bot.adapters.web import WebError
from bot.app import App
from bot.messages import Download, PlatformError
from bot.platforms import platforms
from bot.settings import Settings
from rag.errors import TeamglmError

log = logging.getLogger(__name__)

_LAST_SECONDS = 15.0


async def serve(settings: Settings, *, say: Callable[[str], None]) -> None:
    """Run the bot until it is stopped or a platform refuses it; `say` tells the person at it."""
    serving = asyncio.current_task()
    if serving is not None:
        # Also where a shell's background job inherited that Ctrl-C is ignored.
        for stop in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(stop, _stop, serving)
    downloads: dict[str, Download] = {"cli": copy_local}
    app = App(settings, downloads)
    app.claim()
    try:
        app.library.begin()  # first, because the embeddings' process takes longest to start
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_load(app, say))
            tasks.create_task(LocalApi(app.dispatcher.handle, settings.data / ADDRESS_FILE).run())
            for adapter_run in platforms(app, downloads, say):
                tasks.create_task(adapter_run())
            tasks.create_task(app.read_folders())
            tasks.create_task(app.learn_to_route())
            tasks.create_task(app.forget_the_past())
            tasks.create_task(app.later.reminding.run())
    except* (PlatformError, TeamglmError, WebError) as group:
        # One sentence is what people need; the first says why everything ended.
        raise first_of(group) from None
    finally:
        await asyncio.to_thread(app.close)
        await app.knowledge.ended()
        await app.talking.ended()


def _stop(serving: asyncio.Task[None]) -> None:
    """End the bot; what hangs can't hold it up, because any moment is good enough to end at."""
    serving.cancel()

    def end() -> None:
        log.warning("something would not end: what is unfinished resumes at the next start")
        os._exit(0)

    last = threading.Timer(_LAST_SECONDS, end)
    last.daemon = True
    last.start()


async def _load(app: App, say: Callable[[str], None]) -> None:
    """Open the slow parts; what can't be opened is said, and answered with, until it can."""
    started = time.monotonic()
    parts = (app.knowledge.ready(), app.talking.ready())
    outcomes = await asyncio.gather(*parts, return_exceptions=True)
    gc.freeze()  # what is loaded stays
    gc.enable()
    for outcome in outcomes:
        if isinstance(outcome, TeamglmError):
            say(str(outcome))
        elif isinstance(outcome, BaseException):
            raise outcome
    if app.still_loading() is None:
        say(f"Ready after {time.monotonic() - started:.1f} seconds.")


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first single error of a group of groups."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first
