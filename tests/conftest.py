"""In what order the tests run."""

from __future__ import annotations

from pathlib import Path

import pytest

E2E = Path(__file__).parent / "e2e"


@pytest.hookimpl(trylast=True)  # after the tests were shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with those that load the embedded models: they take longest."""
    items.sort(key=lambda item: E2E not in item.path.parents)
