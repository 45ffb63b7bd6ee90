"""What the bot says of itself, in both languages."""

from __future__ import annotations

import pytest

from bot.commands import COMMANDS
from bot.handlers.about import topic_of
from rag.language import language_of
from tests.bot.fakes import FakeChat, request
from tests.bot.handlers.conftest import Ask, Send


@pytest.mark.parametrize(
    ("question", "topic"),
    [
        ("Hello!", "hello"),
        ("你是谁？", "hello"),
        ("What can you do?", "abilities"),
        ("你能做什么？", "abilities"),
        ("你会什么", "abilities"),
        ("你有哪些功能？", "abilities"),
        ("Which documents do you know?", "documents"),
        ("List the documents", "documents"),
        ("你知道哪些文档？", "documents"),
        ("这里有什么资料", "documents"),
        ("Which model are you?", "model"),
        ("What language model do you use?", "model"),
        ("你是什么模型？", "model"),
        ("你用的是哪个模型", "model"),
        ("Which documents do I need for a visa?", None),
        ("What model is the printer?", None),
        ("你知道哪些文档要签字吗？", None),
        ("What can you do about a lost laptop?", None),
    ],
)
def test_only_what_asks_about_the_bot_itself_is_its_topic(question: str, topic: str | None) -> None:
    assert topic_of(question) == topic


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_it_answers_from_what_is_so_and_not_from_the_model(
    ask: Ask, send: Send, chat: FakeChat, language: str
) -> None:
    scope = "slack:E:T:C"
    await ask(request("", "upload", attachments=(send("laptops.md", "# A\n\nLost.\n"),)))
    await ask(request("", "upload", scope=scope, attachments=(send("secret.md", "Hidden.\n"),)))
    zh = language == "zh"
    documents, model, abilities = (
        ("你知道哪些文档？", "你是什么模型？", "你能做什么？")
        if zh
        else ("Which documents do you know?", "Which model are you?", "What can you do?")
    )
    _, known = await ask(request(documents))
    assert "laptops.md" in known.text
    assert "secret.md" not in known.text
    _, here = await ask(request(documents, audience=frozenset({"public", scope})))
    assert "secret.md" in here.text
    _, named = await ask(request(model))
    assert "chat" in named.text
    _, able = await ask(request(abilities))
    assert all(command.about[zh] in able.text for command in COMMANDS)
    for reply in (known, named, able):
        assert (reply.outcome, reply.language, reply.citations) == ("answer", language, ())
    assert language_of(named.text.replace("chat", "")) == language
    assert chat.prompts == []
