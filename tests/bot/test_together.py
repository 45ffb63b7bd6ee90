"""A bot with a model in process: many questions at once, fair to everybody, and a reranker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.app import App, opened
from bot.messages import Attachment, Reply, Sources
from tests.bot.fakes import MODELS, FakeEmbeddings, collect, request, settings, use
from tests.fakes import LineParser
from tests.rag.models import small_glm
from tests.rag.models.small_encoders import write_cross_encoder

NOTES = {
    "laptops.md": "A lost laptop is reported to security within one hour.\n",
    "leave.md": "Annual leave is asked for two weeks ahead.\n",
    "keys.md": "Keys to the lab are kept at the front desk.\n",
}


async def teach(app: App, folder: Path) -> None:
    """Have the bot learn three notes."""
    for name, text in NOTES.items():
        (folder / name).write_text(text)
        file = Attachment(name, None, str(folder / name))
        _, reply = await collect(app.dispatcher.handle(request("", "upload", attachments=(file,))))
        assert reply.outcome == "answer"


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read here, and embedded by their words."""
    monkeypatch.setattr("bot.app.Sandbox", lambda **limits: LineParser())
    monkeypatch.setattr("bot.app.embedding_model", lambda settings: FakeEmbeddings())


@pytest.mark.usefixtures("scripted")
async def test_as_many_questions_as_the_model_has_slots_are_answered_together_in_turn_by_person(
    tmp_path: Path,
) -> None:
    folder = small_glm.write(tmp_path / "chatglm2-6b", seq_length=8192)
    glm = {"provider": "chatglm", "path": folder, "device": "cpu", "slots": 2}
    chosen = settings(
        tmp_path,
        models={**MODELS, "chat": glm},
        limits={"waiting_questions_each": 10},
        answers={"refuse_below": 0, "max_tokens": 24, "context_tokens": 64},
    )
    began: list[str] = []
    all_asked = asyncio.Event()

    async def ask(app: App, user: str, heard: asyncio.Event) -> Reply:
        async for event in app.dispatcher.handle(
            request("How soon must I report a lost laptop?", user=user, platform="web")
        ):
            heard.set()
            if isinstance(event, Sources):
                began.append(user)
                await all_asked.wait()
            if isinstance(event, Reply):
                return event
        raise AssertionError("no reply")

    async with opened(chosen) as app:
        await teach(app, tmp_path)
        await app.talking.ready()
        together = steps_of(app.chat)
        asked = []
        for user in [*["greedy"] * 6, "patient"]:
            heard = asyncio.Event()
            asked.append(asyncio.create_task(ask(app, user, heard)))
            await heard.wait()  # that it is answered, or has a place in the line
        all_asked.set()
        replies = await asyncio.gather(*asked)
    assert {reply.outcome for reply in replies} <= {"answer", "refusal"}
    assert max(together) == 2
    # Of the two turns after those that had begun one is theirs, though four waited before.
    assert "patient" in began[:4]


def steps_of(chat: Any) -> list[int]:
    """Return a list that gets how many requests each step of the chat model's engine has."""
    counts: list[int] = []
    runner = chat._engine._runner
    step = runner.step

    def counted(slots: Sequence[int], *more: Any) -> Any:
        counts.append(len(slots))
        return step(slots, *more)

    runner.step = counted
    return counts


async def test_a_reranker_sorts_what_a_running_bot_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)
    monkeypatch.setattr("bot.app.Sandbox", lambda **limits: LineParser())
    (tmp_path / "ce").mkdir()
    path = write_cross_encoder(tmp_path / "ce")
    models = {**MODELS, "sorter": {"provider": "cross-encoder", "path": path, "device": "cpu"}}
    found: dict[str | None, list[tuple[str, float]]] = {}
    for name in (None, "sorter"):
        chosen = settings(tmp_path, models=models, reranker=name)
        async with opened(chosen) as app:
            if name is None:
                await teach(app, tmp_path)
            _, reply = await collect(app.dispatcher.handle(request("a lost laptop", "search")))
            found[name] = [(row["document"], row["score"]) for row in reply.data]
    assert {name for name, _ in found["sorter"]} == set(NOTES)
    assert all(0 <= score <= 1 for _, score in found["sorter"])
    assert found["sorter"] != found[None]
