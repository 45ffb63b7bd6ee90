"""One nursery for all rows that need the bot as a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.reliability.process import Nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Start bots at once; nothing is started before a test asks for one."""
    with Nursery() as nursery:
        yield nursery
