"""One real bot that most of these tests share; they need the embedded models in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.models.manifest import default_cache, load_manifest, locate
from tests.e2e.bot import PATIENCE, ROOT, Bot

MODELS = ("qwen2.5-coder-1.5b", "multilingual-e5-small")
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    manifest = load_manifest()
    missing = [name for name in MODELS if locate(manifest[name], default_cache()) is None]
    if missing:
        reason = f"no {' and no '.join(missing)} in the cache: python -m bot models pull"
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    """A running bot that knows the handbook, as shipped but for its places and a short queue."""
    bot = Bot(
        tmp_path_factory.mktemp("bot"),
        knowledge=ROOT / "knowledge",
        limits={"waiting_questions": 1},
        answers={"first_token_seconds": PATIENCE, "choose_skills": True},
    )
    bot.start()
    assert bot.process is not None
    bot.process.wait_for("folder watched: .*[1-9] added")
    yield bot
    bot.stop()
