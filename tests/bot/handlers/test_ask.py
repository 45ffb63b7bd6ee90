from __future__ import annotations

import asyncio
import threading

import pytest

from bot.app import App
from bot.handlers.ask import exchanges
from bot.messages import ReplyChunk, Sources, Status, Turn
from bot.render import plain
from rag.errors import ModelFailed, ModelMissing
from rag.pipeline import Exchange
from tests.bot.fakes import FakeChat, FakeEmbeddings, request
from tests.bot.handlers.conftest import Ask, Send

LAPTOPS = "# Laptops\n\nA lost laptop is reported to security within one hour.\n"


async def learn(ask: Ask, send: Send, scope: str = "public") -> None:
    file = send("laptops.md", LAPTOPS)
    _, reply = await ask(request("", "upload", scope=scope, attachments=(file,)))
    assert reply.outcome == "answer"


async def test_an_answer_has_sources_first_then_sentences_that_make_its_text(
    ask: Ask, send: Send, chat: FakeChat
) -> None:
    chat.answer = "A lost laptop is reported within one hour. It is reported to security."
    await learn(ask, send)
    events, reply = await ask(request("How soon must I report a lost laptop?"))
    kinds = [type(event) for event in events if not isinstance(event, Status)]
    assert kinds[0] is Sources
    chunks = [event for event in events if isinstance(event, ReplyChunk)]
    assert reply.outcome == "answer"
    assert list(reply.chunks) == chunks
    assert len(chunks) == 2
    assert "".join(chunk.text for chunk in chunks) == reply.text == chat.answer
    assert reply.citations[0].document == "laptops.md"
    assert reply.model == "chat"
    assert reply.timings_ms.keys() == {"retrieve", "first_token", "first_text", "total"}


async def test_a_quote_keeps_its_number_from_sentence_to_sentence(
    ask: Ask, send: Send, chat: FakeChat
) -> None:
    chat.answer = "A lost laptop is reported within one hour. Report a lost laptop in one hour."
    await learn(ask, send)
    _, reply = await ask(request("How soon must I report a lost laptop?"))
    assert [c.number for chunk in reply.chunks for c in chunk.citations] == [1, 1]
    assert [citation.number for citation in reply.citations] == [1]


async def test_a_refusal_tells_what_is_still_being_read(
    ask: Ask, send: Send, embeddings: FakeEmbeddings
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold(texts: list[str]) -> None:
        begun.set()
        assert go_on.wait(30)

    embeddings.before = hold
    learning = asyncio.create_task(learn(ask, send))
    try:
        assert await asyncio.to_thread(begun.wait, 30)
        for question, told in (("How soon?", "1 document still"), ("多久？", "1 份文档正在读取")):
            _, reply = await ask(request(question))
            assert reply.outcome == "refusal"
            assert told in reply.text
    finally:
        go_on.set()
        await learning
    _, reply = await ask(request("Who sings?"))
    assert "still" not in reply.text


async def test_what_the_model_does_not_know_is_refused_with_the_nearest_documents(
    ask: Ask, send: Send, chat: FakeChat
) -> None:
    chat.answer = ""
    await learn(ask, send)
    for text, language in (("How soon?", "en"), ("多久要报告？", "zh")):
        _, reply = await ask(request(text))
        assert (reply.outcome, reply.language) == ("refusal", language)
        assert [each.document for each in reply.nearest] == ["laptops.md"]
        assert "laptops.md" in plain(reply)
        assert not reply.chunks
        assert not reply.citations


@pytest.mark.parametrize("text", ["How soon?", "多久要报告？"])
async def test_a_refusal_counts_and_names_what_may_be_seen_and_nothing_else(
    ask: Ask, send: Send, chat: FakeChat, text: str
) -> None:
    chat.answer = ""
    await learn(ask, send)
    for name, scope in (("here.md", "slack:E:T:C"), ("there.md", "slack:E:T:D")):
        file = send(name, "A lost phone is reported too.\n")
        await ask(request("", "upload", scope=scope, attachments=(file,)))
    _, public = await ask(request(text))
    _, here = await ask(request(text, audience=frozenset({"public", "slack:E:T:C"})))
    assert ("1" in public.text, "2" in public.text) == (True, False)
    assert "2" in here.text
    assert {each.document for each in public.nearest} == {"laptops.md"}
    assert {each.document for each in here.nearest} == {"laptops.md", "here.md"}


async def test_what_a_refusal_showed_is_kept_for_its_rating(
    bot: App, ask: Ask, send: Send, chat: FakeChat
) -> None:
    chat.answer = ""
    await learn(ask, send)
    asked = request("How soon?")
    await ask(asked)
    said = await bot.conversations.said(asked.platform, asked.id)
    assert said is not None
    assert said.documents == {"laptops.md"}


@pytest.mark.parametrize(
    "bot", [{"ask_whom": {"en": "the IT desk", "zh": "IT 服务台"}}], indirect=True
)
async def test_a_refusal_says_whom_to_ask(ask: Ask, send: Send, chat: FakeChat) -> None:
    chat.answer = ""
    _, nothing_known = await ask(request("How soon?"))
    await learn(ask, send)
    _, english = await ask(request("How soon?"))
    _, chinese = await ask(request("多久要报告？"))
    assert "the IT desk" in nothing_known.text
    assert "the IT desk" in english.text
    assert "IT 服务台" in chinese.text


async def test_without_documents_here_a_question_is_refused(
    ask: Ask, send: Send, chat: FakeChat
) -> None:
    await learn(ask, send, "slack:E:T:C")
    _, reply = await ask(request("How soon must I report a lost laptop?"))
    assert reply.outcome == "refusal"
    assert "laptops" not in reply.text
    assert not chat.prompts
    here = frozenset({"public", "slack:E:T:C"})
    _, reply = await ask(request("How soon must I report a lost laptop?", audience=here))
    assert reply.outcome == "answer"


@pytest.mark.parametrize("text", ["hello", "  Hello! ", "你好", "What can you do?", "谢谢。"])
async def test_a_greeting_is_answered_from_the_truth_without_opening_a_model(
    bot: App, ask: Ask, text: str
) -> None:
    _, reply = await ask(request(text))
    assert reply.outcome == "answer"
    assert "chat" in reply.text
    assert not reply.citations
    assert not bot.knowledge.done
    assert not bot.talking.done


@pytest.mark.parametrize(
    ("text", "waits"),
    [("hello", False), ("  ", False), ("你是谁？", False), ("hello, where is the office?", True)],
)
def test_only_questions_wait_for_the_model(bot: App, text: str, waits: bool) -> None:
    handler = bot.dispatcher._handlers["ask"]
    assert handler.uses_chat_model(request(text)) is waits


@pytest.mark.parametrize("text", ["", " \n\t "])
async def test_an_empty_question_is_told(ask: Ask, text: str) -> None:
    _, reply = await ask(request(text))
    assert reply.outcome == "error"
    assert reply.text


@pytest.mark.parametrize(
    ("error", "text", "command"),
    [
        (ModelMissing("run `teamglm models pull`"), "Where?", "teamglm models pull"),
        (ModelMissing("run `teamglm models pull`"), "在哪里？", "teamglm models pull"),
        (ModelFailed("bits are wrong at /models/x"), "在哪里？", "/models/x"),
    ],
)
async def test_a_model_that_does_not_open_is_told_in_the_questions_language(
    ask: Ask, embeddings: FakeEmbeddings, error: Exception, text: str, command: str
) -> None:
    embeddings.broken = error
    events, reply = await ask(request(text))
    assert isinstance(events[0], Status)
    assert reply.outcome == "error"
    assert command in reply.text
    assert any(character >= "\u4e00" for character in reply.text) == (reply.language == "zh")


async def test_a_model_that_breaks_in_the_middle_ends_in_an_error(
    ask: Ask, send: Send, chat: FakeChat
) -> None:
    chat.answer, chat.broken = "It is reported within one hour. And", ModelFailed("out of memory")
    await learn(ask, send)
    events, reply = await ask(request("How soon must I report a lost laptop?"))
    assert any(isinstance(event, ReplyChunk) for event in events)
    assert reply.outcome == "error"
    assert "out of memory" in reply.text


def asked(chat: FakeChat) -> str:
    return "\n".join(str(message.content) for message in chat.prompts[-1])


async def test_it_remembers_a_conversation_and_no_other(
    ask: Ask, send: Send, chat: FakeChat
) -> None:
    await learn(ask, send)
    for text in ("lost laptop one?", "lost laptop two?", "lost laptop three?", "and now?"):
        await ask(request(text, conversation="a"))
    assert "laptop one?" not in asked(chat)
    assert "laptop two?" in asked(chat)
    assert "laptop three?" in asked(chat)
    await ask(request("and here?", conversation="b"))
    assert "laptop" not in asked(chat).replace("A lost laptop is", "").replace("Laptops", "")


async def test_what_an_answer_drew_on_and_is_forbidden_now_is_not_remembered(
    ask: Ask, send: Send, chat: FakeChat
) -> None:
    channel = "slack:-:T1:C1"
    attached = (send("secret.md", "The canary sings at noon."),)
    await ask(request("", "upload", scope=channel, attachments=attached))
    chat.answer = "The canary sings at noon."
    inside = frozenset({"public", channel})
    await ask(request("When does the canary sing?", audience=inside))
    await learn(ask, send)
    await ask(request("And the laptop?", audience=inside))
    assert "When does the canary sing?" in asked(chat)
    await ask(request("And the laptop now?"))
    assert "canary" not in asked(chat)


async def test_what_was_forgotten_is_not_remembered_either(
    ask: Ask, send: Send, chat: FakeChat
) -> None:
    await ask(request("", "upload", attachments=(send("secret.md", "The canary sings at noon."),)))
    chat.answer = "The canary sings at noon."
    await ask(request("When does the canary sing?"))
    await learn(ask, send)
    await ask(request("secret.md", "forget"))
    await ask(request("And the laptop now?"))
    assert "canary" not in asked(chat)


async def test_earlier_turns_that_the_platform_keeps_are_used_instead(
    ask: Ask, send: Send, chat: FakeChat
) -> None:
    await learn(ask, send)
    await ask(request("remembered laptop?"))
    history = (Turn("user", "told laptop?"), Turn("assistant", "Yes."))
    await ask(request("and now?", history=history))
    assert "told laptop?" in asked(chat)
    assert "remembered laptop?" not in asked(chat)


def test_questions_and_answers_are_paired_and_the_rest_left_out() -> None:
    turns = [
        Turn("assistant", "welcome"),
        Turn("user", "unanswered"),
        Turn("user", "a"),
        Turn("assistant", "b"),
        Turn("assistant", "more"),
        Turn("user", "open"),
    ]
    assert exchanges(turns) == [Exchange("a", "b")]
