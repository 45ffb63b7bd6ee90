"""A web server on loopback that says what a test wants it to say."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

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

    def says(self, text: str, content_type: str = "application/json") -> None:
        """Answer with a text from now on, whatever is asked."""

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(text=text, content_type=content_type)

        self.answer = answer

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request)
        return await self.answer(request)


def tools(site: Site, **more: object) -> dict[str, object]:
    """Return the settings of a tool that asks a site how things are; `more` is of the tool."""
    tool = {
        "about": "How a service of ours is doing",
        "url": f"{site.address}/services/{{service}}",
        "parameters": {"service": {"about": "Which service"}},
        "private": True,
    }
    host = site.address.partition("://")[2]
    return {"hosts": [host], "declared": {"health": {**tool, **more}}}


async def serving(site: Site, port: int = 0) -> AsyncGenerator[Site, None]:
    runner = web.ServerRunner(web.Server(site.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    site.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield site
    await runner.cleanup()
