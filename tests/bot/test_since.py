"""Times as people write them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from bot.since import moment

NOW = datetime(2026, 11, 25, 15, 30, tzinfo=timezone(timedelta(hours=8)))  # a Wednesday


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2h", "2026-11-25T13:30"),
        ("90 min", "2026-11-25T14:00"),
        ("3 days", "2026-11-22T15:30"),
        ("2 days ago", "2026-11-23T15:30"),
        ("1w", "2026-11-18T15:30"),
        ("since yesterday", "2026-11-24T00:00"),
        ("today", "2026-11-25T00:00"),
        ("Monday", "2026-11-23T00:00"),
        ("wed", "2026-11-18T00:00"),
        ("2026-11-20", "2026-11-20T00:00"),
        ("2026-11-20 08:15", "2026-11-20T08:15"),
        ("2小时", "2026-11-25T13:30"),
        ("3天前", "2026-11-22T15:30"),
        ("最近两天", "2026-11-23T15:30"),
        ("十分钟", "2026-11-25T15:20"),
        ("过去2天", "2026-11-23T15:30"),
        ("昨天", "2026-11-24T00:00"),
        ("周一", "2026-11-23T00:00"),
        ("星期天", "2026-11-22T00:00"),
        ("", None),
        ("tomorrow", None),
        ("2027-01-01", None),
        ("the good old days", None),
    ],
)
def test_a_time_in_the_past_is_meant(text: str, meant: str | None) -> None:
    found = moment(text, NOW)
    assert (found and found.strftime("%Y-%m-%dT%H:%M")) == meant
    assert found is None or found.tzinfo == NOW.tzinfo
