"""A web server on loopback that says what a test wants it to say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

PAGE = b"<!doctype html><title>Handbook</title><p>Report it at once."


class Site:
    """A server on loopback; `asked` is what reached it."""

    def __init__(self) -> None:
        self.asked: list[web.BaseRequest] = []
        self.address = ""
        self.answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] = self.page

    async def page(self, request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=PAGE, content_type="text/html", headers={"ETag": '"1"'})

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request)
        return await self.answer(request)


async def serving(site: Site) -> AsyncIterator[Site]:
    runner = web.ServerRunner(web.Server(site.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield site
    await runner.cleanup()
