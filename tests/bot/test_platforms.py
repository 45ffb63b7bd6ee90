"""What the composition root gives to the platforms."""

from __future__ import annotations

from bot.adapters.web import Work
from bot.platforms import work
from rag.ingest.activity import Activity


def test_the_page_hears_of_long_work_and_of_its_pause() -> None:
    now = 0.0
    activity = Activity(clock=lambda: now)
    assert work(activity, "en") is None
    with activity.working("reading"):
        now = 60.0
        activity.advance(0.25)
        found = work(activity, "en")
        assert found == Work("Reading documents: 25 %, about 3 minutes left", 0.25)
        activity.pause()
        found = work(activity, "zh")
        assert found == Work("正在读取文档：25%，已暂停", 0.25, paused=True)
    assert work(activity, "en") == Work(paused=True)
    activity.resume()
    assert work(activity, "en") is None
