"""How `make test` shares the tests out between processes: `pytest -n 2 --dist loadgroup`."""

from __future__ import annotations

from pathlib import Path

import pytest

E2E = Path(__file__).parent / "e2e"


@pytest.hookimpl(trylast=True)  # after the tests were shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests together, for what they share, and all that load the embedded models.

    Those take longest, so they are begun with.
    """
    items.sort(key=lambda item: E2E not in item.path.parents)
    for item in items:
        group = "e2e" if E2E in item.path.parents else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
