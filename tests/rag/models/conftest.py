from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rag.models.engine import Engine


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small products gain nothing from more threads, and on a busy machine threads wait long."""
    import torch  # seconds, which not every test here needs

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def engine() -> Iterator[Callable[..., Engine]]:
    """Make engines that end with the test."""
    from rag.models.engine import Engine

    made: list[Engine] = []

    def make(runner: Any, **options: Any) -> Engine:
        made.append(Engine(runner, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
