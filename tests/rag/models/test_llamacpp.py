import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage, BaseMessageChunk, HumanMessage, SystemMessage

from rag.errors import ModelFailed, ModelMissing
from rag.models.llamacpp import LlamaCppChat
from rag.models.manifest import default_cache, load_manifest, locate

EMBEDDED = next(entry for entry in load_manifest().values() if entry.role == "chat")
FILE = locate(EMBEDDED, default_cache())
needs_model = pytest.mark.skipif(FILE is None, reason="the embedded chat model is not pulled")

WINDOW = 1024
GREETING: list[BaseMessage] = [SystemMessage("You are brief."), HumanMessage("Say: hello")]


@pytest.fixture(scope="module")
def chat() -> Iterator[LlamaCppChat]:
    assert FILE is not None
    model = LlamaCppChat(
        model_path=FILE, name_shown="embedded", context_window=WINDOW, max_tokens=4, threads=2
    )
    model.load()
    yield model
    model.close()


def listen(chat: LlamaCppChat, messages: list[BaseMessage], **options: Any) -> Any:
    stream: AsyncIterator[BaseMessageChunk] = chat.astream(messages, **options)
    return aclosing(stream)


async def answer(chat: LlamaCppChat, messages: list[BaseMessage], **options: Any) -> str:
    async with listen(chat, messages, **options) as pieces:
        return "".join([str(piece.content) async for piece in pieces])


def unloaded(path: Path = Path("nowhere.gguf")) -> LlamaCppChat:
    return LlamaCppChat(model_path=path, name_shown="little")


class TestWithoutAModel:
    def test_a_missing_file_is_told_with_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(ModelMissing, match=r"little.*models pull little"):
            unloaded(tmp_path / "nowhere.gguf").load()

    def test_a_file_of_something_else_is_told_by_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "bad.gguf").write_bytes(b"GGUF nonsense")
        with pytest.raises(ModelFailed, match=r"little.*bad\.gguf"):
            unloaded(tmp_path / "bad.gguf").load()

    async def test_what_is_not_loaded_says_so(self) -> None:
        with pytest.raises(ModelFailed, match="not loaded"):
            await answer(unloaded(), GREETING)
        with pytest.raises(ModelFailed, match="not loaded"):
            unloaded().invoke(GREETING)
        with pytest.raises(ModelFailed, match="not loaded"):
            unloaded().get_num_tokens("x")

    def test_closing_what_is_not_loaded_is_fine(self) -> None:
        unloaded().close()


@needs_model
class TestTheEmbeddedModel:
    async def test_streams_an_answer_that_is_the_same_every_time(self, chat: LlamaCppChat) -> None:
        async with listen(chat, GREETING) as stream:
            pieces = [str(piece.content) async for piece in stream]
        assert len([piece for piece in pieces if piece]) > 1
        assert "hello" in "".join(pieces).lower()
        assert await answer(chat, GREETING) == "".join(pieces)
        assert (await asyncio.to_thread(chat.invoke, GREETING)).content == "".join(pieces)

    async def test_writes_no_more_tokens_than_it_may(self, chat: LlamaCppChat) -> None:
        count: list[BaseMessage] = [HumanMessage("Count from 1 to 50, separated by spaces.")]
        text = await answer(chat, count, max_tokens=3)
        assert 0 < chat.get_num_tokens(text) <= 3

    async def test_counts_tokens_as_it_reads_them(self, chat: LlamaCppChat) -> None:
        assert chat.get_num_tokens("") == 0
        words = [chat.get_num_tokens("hello " * n) for n in (1, 10, 20)]
        assert words[2] - words[1] == 10
        assert chat.get_num_tokens("年假二十五天") >= 3

    async def test_leaves_the_loop_free_while_it_answers(self, chat: LlamaCppChat) -> None:
        ticks = 0

        async def heart() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        beating = asyncio.create_task(heart())
        await answer(chat, GREETING)
        beating.cancel()
        assert ticks > 0

    async def test_may_say_nothing(self, chat: LlamaCppChat) -> None:
        first = (await answer(chat, GREETING, max_tokens=1)).strip()
        assert await answer(chat, GREETING, stop=[first]) == ""

    async def test_obeys_a_schema(self, chat: LlamaCppChat) -> None:
        schema = {
            "type": "object",
            "properties": {"ok": {"type": "boolean"}},
            "required": ["ok"],
            "additionalProperties": False,
        }
        question: list[BaseMessage] = [HumanMessage("Is water wet? Tell me a story about it.")]
        text = await answer(chat, question, json_schema=schema, max_tokens=24)
        assert isinstance(json.loads(text)["ok"], bool)

    async def test_says_that_a_prompt_is_too_long(self, chat: LlamaCppChat) -> None:
        with pytest.raises(ModelFailed, match=r"embedded failed: .+"):
            await answer(chat, [HumanMessage("word " * (WINDOW + 100))])
        assert await answer(chat, GREETING)

    async def test_that_nobody_listens_to_stops_while_it_reads_and_frees_its_slot(
        self, chat: LlamaCppChat
    ) -> None:
        long: list[BaseMessage] = [HumanMessage("word " * (WINDOW - 200) + "Say: hello")]
        reading = asyncio.create_task(answer(chat, long, max_tokens=1))
        await asyncio.sleep(0.05)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert "hello" in (await answer(chat, GREETING)).lower()

    async def test_that_nobody_listens_to_stops_while_it_writes(self, chat: LlamaCppChat) -> None:
        count: list[BaseMessage] = [HumanMessage("Count from 1 to 900, separated by spaces.")]
        async with listen(chat, count, max_tokens=700) as pieces:
            await anext(pieces)
        assert "hello" in (await answer(chat, GREETING)).lower()

    async def test_has_two_slots_that_do_not_disturb_each_other(self, chat: LlamaCppChat) -> None:
        other: list[BaseMessage] = [HumanMessage("Say: goodbye")]
        alone = await answer(chat, GREETING, slot=0), await answer(chat, other, slot=1)
        together = await asyncio.gather(answer(chat, GREETING, slot=0), answer(chat, other, slot=1))
        assert [re.sub(r"\W", "", text) for text in together] == [
            re.sub(r"\W", "", text) for text in alone
        ]

    async def test_answers_all_who_ask_at_once(self, chat: LlamaCppChat) -> None:
        texts = await asyncio.gather(*(answer(chat, GREETING, max_tokens=2) for _ in range(3)))
        assert all(texts)

    async def test_that_is_loaded_again_stays_as_it_is(self, chat: LlamaCppChat) -> None:
        chat.load()
        assert await answer(chat, GREETING, max_tokens=1)

    async def test_tells_how_its_weights_are_kept(self, chat: LlamaCppChat) -> None:
        assert re.fullmatch(r"on llama\.cpp in Q4_K.*, 1\.11 GB of weights", chat.describe())
