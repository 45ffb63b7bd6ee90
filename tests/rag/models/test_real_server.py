"""A chat model behind a real server on loopback: llama.cpp's own, with the embedded model."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, SystemMessage

from bot.doctor import examine
from rag.errors import ModelFailed, ModelMissing
from rag.models.server import ServerChat, server_chat
from tests.bot.fakes import MODELS, settings
from tests.rag.models.test_llamacpp import FILE, needs_model

pytestmark = needs_model
KEY = "made-up"
GREETING = [SystemMessage("You are brief."), HumanMessage("Say: hello")]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The server has one slot: an answer that nobody listens to would be in the way of the next."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(FILE)
    params.n_ctx, params.n_parallel = 512, 1
    params.n_batch = params.n_ubatch = 64
    params.warmup = params.fit_params = params.ui = False
    params.api_keys = [KEY]
    params.verbosity = -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


def chat(address: str, **more: Any) -> ServerChat:
    arguments = {"model": str(FILE), "api_key": KEY, "max_tokens": 4, "context_window": 512}
    return server_chat(base_url=address, **{**arguments, **more})


async def test_answers_in_pieces_and_the_same_each_time(address: str) -> None:
    pieces = [piece.text async for piece in chat(address).astream(GREETING)]
    assert len([piece for piece in pieces if piece]) > 1
    assert "hello" in "".join(pieces).lower()
    assert (await asyncio.to_thread(chat(address).invoke, GREETING)).text == "".join(pieces)


async def test_an_answer_that_nobody_listens_to_makes_room_for_the_next(address: str) -> None:
    count = [HumanMessage("Count from 1 to 900, separated by spaces.")]
    stream = chat(address).astream(count, max_tokens=400)
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    assert "hello" in (await chat(address).ainvoke(GREETING)).text.lower()


async def test_what_the_server_refuses_is_a_sentence(address: str) -> None:
    with pytest.raises(ModelFailed, match="OPENAI_API_KEY"):
        await chat(address, api_key="wrong").ainvoke(GREETING)
    with pytest.raises(ModelFailed, match=r"refused the request \(status 400\)"):
        await chat(address).ainvoke([HumanMessage("word " * 600)])
    with pytest.raises(ModelMissing, match=re.escape(Path(str(FILE)).name)):
        await asyncio.to_thread(chat(address, model="another").check)
    await asyncio.to_thread(chat(address).check)


async def test_doctor_has_the_server_write(address: str, tmp_path: Path) -> None:
    served = {"provider": "openai", "model": str(FILE), "base_url": address}
    chosen = settings(tmp_path, models={**MODELS, "chat": served}, secrets={"openai_api_key": KEY})
    line = next(c for c in (await examine(chosen))["checks"] if c["name"] == "chat model")
    assert line["ok"], line
    assert address in line["detail"]
