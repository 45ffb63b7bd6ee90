"""A local HTTP server beside the rest of the bot."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn


class Server(uvicorn.Server):
    """A server that leaves the process's signals to the bot."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def serve(app: Any, listener: socket.socket) -> None:
    """Serve an ASGI app on an open socket until cancelled, and close it."""
    server = Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    finally:
        # A socket that is closed while the loop still watches it breaks whoever gets its number.
        server.should_exit = True
        await asyncio.wait([serving])
        listener.close()
