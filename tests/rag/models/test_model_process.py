from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from rag.errors import ModelFailed, ModelMissing
from rag.models.embeddings import EmbeddingModel, SentenceTransformerEmbeddings
from rag.models.model_process import EmbeddingProcess


class Little(EmbeddingModel):
    """Says which process it is in."""

    key = "little-1"
    dimension = 2

    def load(self) -> None:
        pass

    def count_tokens(self, text: str) -> int:
        return len(text)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        if text == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "break":
            raise ValueError("broken")
        return [float(os.getpid()), float(len(text))]


@pytest.fixture(scope="module")
def opened() -> Iterator[EmbeddingProcess]:
    little = EmbeddingProcess("little", "little-1", Little)
    little.load()
    yield little
    little.close()


def child_of(little: EmbeddingProcess) -> int:
    return int(little.embed_query("who")[0])


def test_embeds_elsewhere(opened: EmbeddingProcess) -> None:
    assert opened.dimension == 2
    assert opened.count_tokens("three") == 5
    assert opened.embed_documents(["ab", "c"]) == [[child_of(opened), 2], [child_of(opened), 1]]
    assert child_of(opened) != os.getpid()


def test_answers_everyone_who_asks_at_once(opened: EmbeddingProcess) -> None:
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(opened.count_tokens, ["x" * n for n in range(50)])) == [*range(50)]


def test_an_error_is_the_caller_s_alone(opened: EmbeddingProcess) -> None:
    before = child_of(opened)
    with pytest.raises(ModelFailed, match="broken"):
        opened.embed_query("break")
    assert child_of(opened) == before


def test_a_process_that_died_is_said_and_followed_by_another(opened: EmbeddingProcess) -> None:
    before = child_of(opened)
    with pytest.raises(ModelFailed, match="try again"):
        opened.embed_query("die")
    assert child_of(opened) != before


def test_what_has_begun_is_what_is_loaded_then() -> None:
    little = EmbeddingProcess("little", "little-1", Little)
    little.begin()
    begun = {child.pid for child in multiprocessing.active_children()}
    with pytest.raises(ModelFailed, match="not loaded"):
        little.embed_query("who")
    little.load()
    assert child_of(little) in begun
    little.close()


def test_what_was_not_loaded_or_is_closed_answers_nothing() -> None:
    little = EmbeddingProcess("little", "little-1", Little)
    with pytest.raises(ModelFailed, match="not loaded"):
        little.embed_query("x")
    little.load()
    child = child_of(little)
    little.close()
    with pytest.raises(ModelFailed, match="not loaded"):
        little.embed_query("x")
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_what_is_missing_is_said_by_its_own_error(tmp_path: Path) -> None:
    make = partial(SentenceTransformerEmbeddings, "absent", tmp_path)
    with pytest.raises(ModelMissing, match="models pull absent"):
        EmbeddingProcess("absent", "absent", make).load()
