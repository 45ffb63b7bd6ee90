"""How `make test` shares the tests out between processes: `pytest -n 2 --dist loadgroup`."""

from __future__ import annotations

from pathlib import Path

import pytest

E2E = Path(__file__).parent / "e2e"


def pytest_itemcollected(item: pytest.Item) -> None:
    """Keep a file's tests together, for what they share, and all that load the embedded models."""
    group = "e2e" if E2E in item.path.parents else str(item.path)
    item.add_marker(pytest.mark.xdist_group(group))


@pytest.hookimpl(trylast=True)  # after the tests were shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with those that load the embedded models: they take longest."""
    items.sort(key=lambda item: E2E not in item.path.parents)
