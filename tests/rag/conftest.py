from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.store import PassageIndex
from tests.rag.library import CHANNEL, HANDBOOK, SECRET, Library, opened


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PassageIndex]:
    yield from opened(tmp_path_factory.mktemp("index"))


@pytest.fixture(scope="module")
def handbook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A library that nobody changes: learning takes longer than asking."""
    folder = tmp_path_factory.mktemp("handbook")
    for index in opened(folder):
        library = Library(folder, index)
        library.learn("handbook.txt", [*HANDBOOK, "# Sabbatical", "After seven years."])
        library.learn("secret.txt", [SECRET], scope=CHANNEL)
        yield library
        library.engine.dispose()


@pytest.fixture
def library(tmp_path: Path, index: PassageIndex) -> Iterator[Library]:
    library = Library(tmp_path, index)
    yield library
    library.engine.dispose()
