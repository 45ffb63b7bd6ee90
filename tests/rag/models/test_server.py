from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp import web
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_tests.unit_tests import ChatModelUnitTests

from rag.errors import ModelFailed, ModelMissing
from rag.models.server import ServerChat, server_chat

QUESTION = [HumanMessage("你好")]
Script = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


def piece(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    event = {"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
    return f"data: {json.dumps(event)}\n\n".encode()


DONE = b"data: [DONE]\n\n"


class Server:
    """A server on loopback that answers each request with the next of its scripts."""

    def __init__(self) -> None:
        self.scripts: list[Script | web.Response] = []
        self.asked: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.models = ["m"]
        self.came = asyncio.Event()
        self.left = asyncio.Event()
        """Set when a client hung up before its answer was complete."""
        self.url = ""

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.headers.append(request.headers)
        self.came.set()
        script = self.scripts.pop(0)
        if isinstance(script, web.Response):
            return script
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        try:
            await script(request, response)
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise
        return response

    async def list(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": name} for name in self.models]})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    double = Server()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", double.chat)
    app.router.add_get("/v1/models", double.list)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    double.url = f"http://{host}:{port}/v1"
    yield double
    await runner.cleanup()


def says(*pieces: bytes) -> Script:
    async def script(request: web.Request, response: web.StreamResponse) -> None:
        await response.prepare(request)
        for part in pieces:
            await response.write(part)

    return script


async def hangs(request: web.Request, response: web.StreamResponse) -> None:
    await asyncio.Event().wait()


async def says_one_word_and_hangs(request: web.Request, response: web.StreamResponse) -> None:
    await response.prepare(request)
    await response.write(piece("one "))
    await asyncio.Event().wait()


async def drips_comments(request: web.Request, response: web.StreamResponse) -> None:
    await response.prepare(request)
    await response.write(piece("one "))
    while True:
        await response.write(b": still here\n\n")
        await asyncio.sleep(0.05)


async def drops_the_connection(request: web.Request, response: web.StreamResponse) -> None:
    await response.prepare(request)
    await response.write(piece("one "))
    assert request.transport is not None
    request.transport.abort()


def status(code: int, body: str = "{}") -> web.Response:
    # The header keeps the client's back-off short.
    return web.Response(
        status=code,
        text=body,
        content_type="application/json",
        headers={"retry-after-ms": "1"},
    )


def chat(server: Server, **arguments: Any) -> ServerChat:
    defaults: dict[str, Any] = {"base_url": server.url, "model": "m", "max_retries": 0}
    return server_chat(**defaults | arguments)


GOOD = says(piece("one "), piece("two", "stop"), DONE)


async def test_answer_streams_in_pieces(server: Server) -> None:
    server.scripts = [GOOD, GOOD]
    chunks = [chunk.text async for chunk in chat(server).astream(QUESTION)]
    assert [text for text in chunks if text] == ["one ", "two"]
    assert (await chat(server).ainvoke(QUESTION)).text == "one two"


async def test_answer_without_async_is_the_same(server: Server) -> None:
    server.scripts = [GOOD, GOOD]
    model = chat(server)
    streamed = await asyncio.to_thread(lambda: [chunk.text for chunk in model.stream(QUESTION)])
    assert "".join(streamed) == "one two"
    assert (await asyncio.to_thread(model.invoke, QUESTION)).text == "one two"
    model.close()


async def test_request_has_what_every_server_understands(server: Server) -> None:
    server.scripts = [GOOD]
    model = chat(server, max_tokens=77)
    await model.ainvoke(
        [SystemMessage("Be short."), *QUESTION],
        stop=["\n\n"],
        slot=1,
        json_schema={"type": "object"},
    )
    asked = server.asked[0]
    assert (asked["model"], asked["max_tokens"], asked["temperature"]) == ("m", 77, 0)
    assert (asked["stream"], asked["stop"]) == (True, ["\n\n"])
    assert [m["role"] for m in asked["messages"]] == ["system", "user"]
    assert asked["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert "slot" not in asked


async def test_key_is_sent_as_given(server: Server) -> None:
    server.scripts = [GOOD]
    await chat(server, api_key="secret").ainvoke(QUESTION)
    assert server.headers[0]["Authorization"] == "Bearer secret"


async def test_key_of_another_service_is_not_taken_from_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of-another-service")
    server.scripts = [GOOD]
    await chat(server).ainvoke(QUESTION)
    assert "of-another-service" not in server.headers[0]["Authorization"]


def test_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    model = server_chat(base_url="http://127.0.0.1:1/v1", model="m", api_key="secret")
    assert "secret" not in repr(model)
    model.close()


async def test_hanging_up_ends_the_answer_at_the_server(server: Server) -> None:
    server.scripts = [says_one_word_and_hangs]
    stream = chat(server).astream(QUESTION)
    assert (await anext(stream)).text == "one "
    await stream.aclose()  # type: ignore[attr-defined]
    await asyncio.wait_for(server.left.wait(), 10)


async def test_cancelling_the_task_ends_the_answer_at_the_server(server: Server) -> None:
    server.scripts = [hangs]
    answer = asyncio.ensure_future(chat(server).ainvoke(QUESTION))
    await asyncio.wait_for(server.came.wait(), 10)
    answer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer
    await asyncio.wait_for(server.left.wait(), 10)


@pytest.mark.parametrize("script", [hangs, says_one_word_and_hangs, drips_comments])
async def test_silent_server_is_given_up(server: Server, script: Script) -> None:
    server.scripts = [script]
    with pytest.raises(ModelFailed, match="didn't answer within"):
        await chat(server, timeout=0.3).ainvoke(QUESTION)


@pytest.mark.parametrize("script", [drops_the_connection, says(piece("one ")), says(DONE)])
async def test_answer_that_breaks_off_is_not_taken_for_a_whole_one(
    server: Server, script: Script
) -> None:
    server.scripts = [script]
    with pytest.raises(ModelFailed, match="broke off"):
        await chat(server).ainvoke(QUESTION)


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        (status(401), ModelFailed, "OPENAI_API_KEY"),
        (status(403), ModelFailed, "OPENAI_API_KEY"),
        (status(404), ModelMissing, "no model 'm'"),
        (status(429), ModelFailed, "too busy"),
        (status(500), ModelFailed, "status 500"),
        (status(503, "<html>"), ModelFailed, "status 503"),
        (status(400, '{"error": {"message": "too many tokens"}}'), ModelFailed, "too many tokens"),
    ],
)
async def test_status_becomes_a_sentence(
    server: Server, answer: web.Response, error: type[Exception], sentence: str
) -> None:
    server.scripts = [answer]
    with pytest.raises(error, match=sentence):
        await chat(server).ainvoke(QUESTION)


@pytest.mark.parametrize(
    "script",
    [
        says(b"data: {not json\n\n"),
        says(b'data: "text"\n\n'),
        says(b'data: {"choices": 7}\n\n'),
        says(b"<html><body>Welcome</body></html>"),
        web.Response(text="<html>Welcome</html>", content_type="text/html"),
        says(b'data: {"error": {"message": "worker died"}}\n\n'),
    ],
)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # the SDK's, about garbage
async def test_garbage_becomes_a_sentence(server: Server, script: Script | web.Response) -> None:
    server.scripts = [script]
    with pytest.raises(ModelFailed, match=r"isn't what OpenAI's|broke off|worker died"):
        await chat(server).ainvoke(QUESTION)


async def test_busy_server_is_asked_again_before_the_first_token(server: Server) -> None:
    server.scripts = [status(429), status(503), GOOD]
    assert (await chat(server, max_retries=2).ainvoke(QUESTION)).text == "one two"


async def test_begun_answer_is_never_asked_for_again(server: Server) -> None:
    server.scripts = [drops_the_connection, GOOD]
    with pytest.raises(ModelFailed, match="broke off"):
        await chat(server, max_retries=2).ainvoke(QUESTION)
    assert len(server.asked) == 1


async def test_server_that_is_not_there_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    model = server_chat(base_url=url, model="m", max_retries=0)
    with pytest.raises(ModelFailed, match=f"{url} can't be reached"):
        await model.ainvoke(QUESTION)
    with pytest.raises(ModelFailed, match="can't be reached"):
        await asyncio.to_thread(model.check)


async def test_check_knows_whether_the_server_has_the_model(server: Server) -> None:
    await asyncio.to_thread(chat(server).check)
    server.models = ["other", "another"]
    with pytest.raises(ModelMissing, match="other, another"):
        await asyncio.to_thread(chat(server).check)


def test_tokens_are_counted_carefully_and_without_a_download() -> None:
    model = server_chat(base_url="http://127.0.0.1:1/v1", model="gpt-4o")
    assert model.get_num_tokens("") == 0
    assert model.get_num_tokens("你好") == 2
    assert model.get_num_tokens("a" * 35) == 10
    assert model.get_num_tokens("你好abc") == 3
    assert model.get_num_tokens_from_messages(QUESTION) > 2
    model.close()


class TestStandard(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ServerChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "m", "base_url": "http://127.0.0.1:1/v1", "api_key": "none"}
