"""The page of transcripts can be made, and every scene of it ends as it should."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.transcripts import discord, slack


@pytest.mark.parametrize("chapter", [slack.chapter, discord.chapter], ids=["slack", "discord"])
async def test_a_chapter_can_be_made(chapter: Callable[[], Awaitable[str]]) -> None:
    text = await chapter()
    assert text.count("\n### ") > 15
    assert "Something went wrong" not in text
