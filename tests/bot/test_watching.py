from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.watching import is_news, watch

SOON = 0.05


class Noticed:
    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.count = 0

    def __call__(self) -> None:
        self.count += 1
        self._event.set()

    async def once_more(self) -> None:
        """Return when something was noticed since the last time."""
        await asyncio.wait_for(self._event.wait(), 30)
        self._event.clear()


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[Noticed]:
    noticed = Noticed()
    task = asyncio.create_task(watch(folder, noticed, again=SOON))
    try:
        yield noticed
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until_noticed(noticed: Noticed, folder: Path) -> None:
    """Write files until one is noticed: watching may begin a moment later than we do."""

    async def write() -> None:
        for number in range(10_000):
            if folder.is_dir():
                (folder / f"{number}.txt").write_text("news")
            await asyncio.sleep(SOON)

    writing = asyncio.create_task(write())
    try:
        await noticed.once_more()
    finally:
        writing.cancel()
        await asyncio.wait([writing])


async def test_a_change_is_noticed_at_once_in_subfolders_too(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    async with watched(tmp_path) as noticed:
        await until_noticed(noticed, tmp_path / "sub")


async def test_a_folder_that_comes_later_or_comes_back_is_watched(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    async with watched(folder) as noticed:
        await asyncio.sleep(SOON)
        for _ in range(2):
            folder.mkdir()
            await until_noticed(noticed, folder)
            shutil.rmtree(folder)
            await noticed.once_more()


@pytest.mark.parametrize(
    ("path", "news"),
    [
        ("a.txt", True),
        ("sub/a.txt", True),
        (".git/index", False),
        ("sub/.cache/a.txt", False),
        ("a.part", False),
        ("~$open.docx", False),
    ],
)
def test_what_is_never_a_document_is_no_news(path: str, news: bool) -> None:
    folder = Path("/team/.hidden/documents")
    assert is_news(folder, str(folder / path)) is news
