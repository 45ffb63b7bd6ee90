from __future__ import annotations

from bot.app import App
from bot.commands import COMMANDS
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


async def test_help_lists_the_commands_as_they_are_written_here(bot: App, ask: Ask) -> None:
    for language in ("en", "zh"):
        _, reply = await ask(request("", "help", language=language))
        for command in COMMANDS:
            assert f"`{command.name}" in reply.text
            assert command.about[language == "zh"] in reply.text
    _, reply = await ask(request("", "help", options={"prefix": "/glm "}))
    assert "`/glm forget DOCUMENT`" in reply.text


def test_every_command_has_its_handler_and_what_has_none_is_pressed_or_typed_elsewhere(
    bot: App,
) -> None:
    pressed = {"rate", "open", "picture", "case", "recall"}
    of_the_command_line = {"backup", "restore"}
    of_files = {"upload", "remember"}
    of_the_clock = {"due", "scheduled", "digested", "revoked"}
    routed = {"small_talk"}
    declared = {command.handler for command in COMMANDS}
    elsewhere = pressed | of_the_command_line | of_files | of_the_clock | routed
    assert set(bot.dispatcher._handlers) == declared | elsewhere
