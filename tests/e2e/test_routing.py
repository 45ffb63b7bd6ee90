"""What plain messages want, told with the real embedding model from a part of the examples."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.models import embedding_model
from bot.router import Intent, Router, examples
from bot.settings import load_settings
from rag.models.embeddings import EmbeddingModel
from tests.e2e.bot import ROOT

MESSAGES = ROOT / "bench" / "data" / "router.jsonl"
LEARNED, ASKED = 6, 3
"""Embedding all would take a while: of the examples and of the messages one in so many."""
LEAST = 0.8


@pytest.fixture
def model() -> Iterator[EmbeddingModel]:
    found = embedding_model(load_settings(ROOT / "config.yaml", environment={}))
    found.load()
    yield found
    found.close()


def messages() -> dict[str, str]:
    """Return the intents of the tuning half of the messages, by their texts."""
    rows = map(json.loads, MESSAGES.read_text(encoding="utf-8").splitlines())
    return {row["text"]: row["intent"] for row in rows if row["half"] == "tuning"}


async def test_messages_that_it_has_not_seen_get_their_intent(
    model: EmbeddingModel, tmp_path: Path
) -> None:
    wanted = messages()
    known: dict[Intent, list[str]] = {
        intent: [text for text in texts if text not in wanted][::LEARNED]
        for intent, texts in examples().items()
    }
    router = Router(model.embed_queries, known)
    await asyncio.to_thread(router.learn, tmp_path / "router.npz", model.key)
    asked = list(wanted.items())[::ASKED]
    right = [next(iter(router.tell(text))) == intent for text, intent in asked]
    assert sum(right) >= LEAST * len(asked)
