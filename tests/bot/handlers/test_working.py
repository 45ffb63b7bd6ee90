from __future__ import annotations

import pytest

from bot.handlers.working import time_left, working
from bot.messages import Language
from rag.ingest.activity import Activity


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (None, "", ""),
        (0.2, "1 second", "1 秒"),
        (89.0, "89 seconds", "89 秒"),
        (90.0, "2 minutes", "2 分钟"),
        (3000.0, "50 minutes", "50 分钟"),
        (7300.0, "2 hours", "2 小时"),
    ],
)
def test_time_left_is_told_in_round_numbers(
    seconds: float | None, english: str, chinese: str
) -> None:
    assert english in time_left("en", seconds)
    assert chinese in time_left("zh", seconds)
    assert bool(time_left("en", seconds)) is (seconds is not None)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_long_work_is_told_with_its_share_and_whether_it_is_paused(language: Language) -> None:
    activity = Activity()
    assert working(activity, language) is None
    told = []
    for what in ("reading", "rebuilding", "embedding"):
        with activity.working(what):
            activity.advance(0.456)
            told.append(working(activity, language) or "")
    assert all("45" in text for text in told)
    assert len({text.partition(":")[0] for text in told}) == 3
    activity.pause()
    with activity.working("reading"):
        assert (working(activity, language) or "") != told[0]
    assert working(activity, language)
