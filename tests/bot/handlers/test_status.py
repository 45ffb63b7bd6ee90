from __future__ import annotations

from bot.app import App
from bot.phrases import PHRASES
from rag.errors import ModelMissing
from tests.bot.fakes import FakeEmbeddings, request
from tests.bot.handlers.conftest import Ask, Send

CHANNEL = "slack:-:T1:C1"


async def test_status_tells_what_is_known_to_this_audience(ask: Ask, send: Send) -> None:
    files = [("a.md", "public"), ("b.md", CHANNEL), ("c.md", CHANNEL)]
    for name, scope in files:
        file = send(name, f"Words of {name}.")
        await ask(request("", "upload", scope=scope, attachments=(file,)))
    for audience, count in (({"public"}, 1), ({"public", CHANNEL}, 3)):
        _, reply = await ask(request("", "status", audience=frozenset(audience)))
        assert reply.outcome == "answer"
        assert (reply.data["documents"], reply.data["passages"]) == (count, count)
        assert str(count) in reply.text
    assert "chat" in reply.text


async def test_status_opens_nothing_and_tells_what_is_broken(
    bot: App, ask: Ask, embeddings: FakeEmbeddings
) -> None:
    _, reply = await ask(request("", "status"))
    assert reply.data["parts"] == {"embedding model": "closed", "chat model": "closed"}
    embeddings.broken = ModelMissing("not there")
    await ask(request("Where?"))
    for language in ("en", "zh"):
        _, reply = await ask(request("", "status", language=language))
        assert reply.data["parts"]["embedding model"] == "broken"
        assert "doctor" in reply.text


async def test_help_lists_the_commands_that_work_here(bot: App, ask: Ask) -> None:
    for language in ("en", "zh"):
        _, reply = await ask(request("", "help", language=language))
        for command in ("ask", "search", "summarise", "sources", "forget", "status", "help"):
            assert f"`{command}`" in reply.text
        assert "`rate`" not in reply.text
    written = {"ask": "/ask QUESTION", "forget": "/glm forget NAME"}
    _, reply = await ask(request("", "help", options={"commands": written}))
    assert "`/ask QUESTION`" in reply.text
    assert "`/glm forget NAME`" in reply.text
    assert "summary" not in reply.text


def test_every_capability_is_explained_or_is_none_to_be_typed(bot: App) -> None:
    pressed, of_the_command_line = {"rate", "open", "case"}, {"backup", "restore"}
    for command in bot.dispatcher._handlers:
        is_typed = command not in pressed | of_the_command_line
        assert (f"help_{command}" in PHRASES) is is_typed
