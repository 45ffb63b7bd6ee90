"""When something shall be done, as people write it: exact times, or a question back."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bot.phrases import PHRASES
from bot.timetable import Timetable
from bot.when import Unclear, is_zone, read, timetable

HERE = "Europe/Amsterdam"
NOW = datetime(2026, 11, 25, 15, 30, tzinfo=ZoneInfo(HERE))  # a Wednesday


def times(text: str, now: datetime = NOW, zone: str = HERE, count: int = 2) -> list[str]:
    """Return the first times that a text means, as the clocks show them there."""
    found = timetable(read(text).pieces, now, zone).first(count, now)
    return [f"{each:%a %Y-%m-%d %H:%M}" for each in found]


@pytest.mark.parametrize(
    ("text", "what", "first"),
    [
        ("in 10 minutes tea", "tea", "Wed 2026-11-25 15:40"),
        ("remind me in half an hour to call Ann", "call Ann", "Wed 2026-11-25 16:00"),
        ("me in an hour: call Ann", "call Ann", "Wed 2026-11-25 16:30"),
        ("in 1 hour 20 minutes tea", "tea", "Wed 2026-11-25 16:50"),
        ("me tomorrow at 9 to send the report", "send the report", "Thu 2026-11-26 09:00"),
        ("call Ann tomorrow at 9", "call Ann", "Thu 2026-11-26 09:00"),
        ("tomorrow morning at nine stand-up", "stand-up", "Thu 2026-11-26 09:00"),
        ("the day after tomorrow at 3 pm demo", "demo", "Fri 2026-11-27 15:00"),
        ("tonight at 8 the film", "the film", "Wed 2026-11-25 20:00"),
        ("at 4 call Bob", "call Bob", "Wed 2026-11-25 16:00"),
        ("at 09:30 stand-up", "stand-up", "Thu 2026-11-26 09:30"),
        ("friday at 10 demo", "demo", "Fri 2026-11-27 10:00"),
        ("on 3 March at 14:00 the fire drill", "the fire drill", "Wed 2027-03-03 14:00"),
        ("December 3rd at noon lunch", "lunch", "Thu 2026-12-03 12:00"),
        ("2026-12-01 09:00 release", "release", "Tue 2026-12-01 09:00"),
        ("on the 5th at 14:00 rent", "rent", "Sat 2026-12-05 14:00"),
        ("on 29 February at 12:00 leap", "leap", "Tue 2028-02-29 12:00"),
        ("10分钟后 喝水", "喝水", "Wed 2026-11-25 15:40"),
        ("半小时后提醒我看烤箱", "看烤箱", "Wed 2026-11-25 16:00"),
        ("两个半小时后提醒我看烤箱", "看烤箱", "Wed 2026-11-25 18:00"),
        ("明天下午三点提醒我交周报", "交周报", "Thu 2026-11-26 15:00"),
        ("提醒我明天下午三点交周报", "交周报", "Thu 2026-11-26 15:00"),
        ("明早9点 开会", "开会", "Thu 2026-11-26 09:00"),
        ("今晚八点半看电影", "看电影", "Wed 2026-11-25 20:30"),
        ("下周五晚上8点聚餐", "聚餐", "Fri 2026-12-04 20:00"),
        ("3月3日14:00演习", "演习", "Wed 2027-03-03 14:00"),
        ("2027年1月5日上午十点一刻体检", "体检", "Tue 2027-01-05 10:15"),
    ],
)
def test_once(text: str, what: str, first: str) -> None:
    assert (read(text).what, times(text)) == (what, [first])


@pytest.mark.parametrize(
    ("text", "what", "rule", "first"),
    [
        (
            "every Monday at 9 post the open items of plan.xlsx here",
            "post the open items of plan.xlsx",
            "FREQ=WEEKLY;BYDAY=MO",
            ["Mon 2026-11-30 09:00", "Mon 2026-12-07 09:00"],
        ),
        (
            "post the open items of plan.xlsx here every Monday at 9",
            "post the open items of plan.xlsx",
            "FREQ=WEEKLY;BYDAY=MO",
            ["Mon 2026-11-30 09:00", "Mon 2026-12-07 09:00"],
        ),
        (
            "每周一上午9点在这里发布 plan.xlsx 的未完成事项",
            "发布 plan.xlsx 的未完成事项",
            "FREQ=WEEKLY;BYDAY=MO",
            ["Mon 2026-11-30 09:00", "Mon 2026-12-07 09:00"],
        ),
        (
            "every weekday at 9:30: stand-up",
            "stand-up",
            "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
            ["Thu 2026-11-26 09:30", "Fri 2026-11-27 09:30"],
        ),
        (
            "remind us to read the report of 3 March every Friday at 16:00",
            "read the report of 3 March",
            "FREQ=WEEKLY;BYDAY=FR",
            ["Fri 2026-11-27 16:00", "Fri 2026-12-04 16:00"],
        ),
        (
            "every other Tuesday at 10 retro",
            "retro",
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU",
            ["Tue 2026-12-01 10:00", "Tue 2026-12-15 10:00"],
        ),
        (
            "water the plants on Mondays and Thursdays at 8",
            "water the plants",
            "FREQ=WEEKLY;BYDAY=MO,TH",
            ["Thu 2026-11-26 08:00", "Mon 2026-11-30 08:00"],
        ),
        (
            "every month on the 15th at 12:00 payroll",
            "payroll",
            "FREQ=MONTHLY;BYMONTHDAY=15",
            ["Tue 2026-12-15 12:00", "Fri 2027-01-15 12:00"],
        ),
        (
            "the last day of every month at 5pm expenses",
            "expenses",
            "FREQ=MONTHLY;BYMONTHDAY=-1",
            ["Mon 2026-11-30 17:00", "Thu 2026-12-31 17:00"],
        ),
        (
            "every first Monday of the month at 9 all-hands",
            "all-hands",
            "FREQ=MONTHLY;BYDAY=1MO",
            ["Mon 2026-12-07 09:00", "Mon 2027-01-04 09:00"],
        ),
        (
            "every year on 3 March at 9 the birthday",
            "the birthday",
            "FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=3",
            ["Wed 2027-03-03 09:00", "Fri 2028-03-03 09:00"],
        ),
        (
            "every 2 hours drink",
            "drink",
            "FREQ=HOURLY;INTERVAL=2",
            ["Wed 2026-11-25 17:30", "Wed 2026-11-25 19:30"],
        ),
        (
            "每天9点 站会",
            "站会",
            "FREQ=DAILY",
            ["Thu 2026-11-26 09:00", "Fri 2026-11-27 09:00"],
        ),
        (
            "每周一、三、五 9:30 健身",
            "健身",
            "FREQ=WEEKLY;BYDAY=MO,WE,FR",
            ["Fri 2026-11-27 09:30", "Mon 2026-11-30 09:30"],
        ),
        (
            "每周一到周五早上8点半打卡",
            "打卡",
            "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
            ["Thu 2026-11-26 08:30", "Fri 2026-11-27 08:30"],
        ),
        (
            "每两周周二上午10点回顾",
            "回顾",
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU",
            ["Tue 2026-12-01 10:00", "Tue 2026-12-15 10:00"],
        ),
        (
            "每月1号上午十点交房租",
            "交房租",
            "FREQ=MONTHLY;BYMONTHDAY=1",
            ["Tue 2026-12-01 10:00", "Fri 2027-01-01 10:00"],
        ),
        (
            "每月最后一天下午5点 报销",
            "报销",
            "FREQ=MONTHLY;BYMONTHDAY=-1",
            ["Mon 2026-11-30 17:00", "Thu 2026-12-31 17:00"],
        ),
        (
            "提醒大家每个工作日下午4点填日报",
            "填日报",
            "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
            ["Wed 2026-11-25 16:00", "Thu 2026-11-26 16:00"],
        ),
    ],
)
def test_again_and_again(text: str, what: str, rule: str, first: list[str]) -> None:
    said = read(text)
    assert (said.what, times(text)) == (what, first)
    assert timetable(said.pieces, NOW, HERE).rule == rule


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("hello there", "when_missing"),
        ("tomorrow buy milk", "when_what_time"),
        ("every Monday the report", "when_what_time"),
        ("每天早上提醒我吃药", "when_what_time"),
        ("tomorrow at 3 call Bob", "when_which_half"),
        ("at 9 call Bob", "when_which_half"),
        ("明天三点开会", "when_which_half"),
        ("next Friday at 10 demo", "when_which_week"),
        ("Wednesday at 10 demo", "when_which_week"),
        ("on 3/4 at 9 demo", "when_slashes"),
        ("every day at midnight backup", "when_midnight"),
        ("每天晚上12点备份", "when_no_time"),
        ("every day at 25:00 backup", "when_no_time"),
        ("at 9:75 backup", "when_missing"),
        ("十二点75分备份", "when_no_time"),
        ("0001-01-01 00:00 backup", "when_which_day"),
        ("on 30 February at 9 demo", "when_no_date"),
        ("每月32号9点 x", "when_no_date"),
        ("weekly at 9 the report", "when_which_day"),
        ("every 5 minutes drink", "when_too_often"),
        ("in 2 months renew", "when_month"),
        ("今天上午9点开会", "when_past"),
        ("这周一上午9点开会", "when_past"),
        ("2026-11-25 15:30 now", "when_past"),
        ("at 9 prepare the meeting tomorrow", "when_apart"),
        ("每周五到周一9点 x", "when_unclear"),
        ("tomorrow at 10 Mars/Olympus the launch", "when_no_zone"),
        ("x" * 1001, "when_long"),
    ],
)
def test_what_means_no_time_or_two_is_asked_back(text: str, asks: str) -> None:
    with pytest.raises(Unclear) as caught:
        times(text)
    assert caught.value.key == asks
    for phrase in PHRASES[asks]:
        phrase.format(**caught.value.values)


@pytest.mark.parametrize(
    ("text", "to_me", "reminds"),
    [
        ("remind me tomorrow at 9 to call", True, True),
        ("me tomorrow at 9 to call", True, True),
        ("remind me tomorrow at 9 to call here", False, True),
        ("tomorrow at 9 remind us: call", False, True),
        ("every Monday at 9 post the plan", False, False),
        ("我明天9点交周报", True, False),
        ("明天9点提醒我们交周报", False, True),
    ],
)
def test_whom_it_is_for(text: str, to_me: bool, reminds: bool) -> None:
    said = read(text)
    assert (said.to_me, said.reminds) == (to_me, reminds)


# Time zones, and nights in which the clocks change


def test_a_time_is_that_of_the_place_unless_another_is_named() -> None:
    assert times("tomorrow at 9 call", zone="Asia/Shanghai") == ["Thu 2026-11-26 09:00"]
    at = timetable(read("tomorrow at 9 UTC call").pieces, NOW, HERE).start
    assert at.astimezone(UTC).hour == 9
    daily = timetable(read("每天北京时间9点 站会").pieces, NOW, HERE)
    assert (daily.zone, daily.start.astimezone(UTC).hour) == ("Asia/Shanghai", 1)
    assert is_zone("Asia/Shanghai")
    assert not is_zone("../etc/passwd")


@pytest.mark.parametrize(
    ("now", "times_in_utc"),
    [
        # The night to 29 March has no 2:30, the night to 25 October has it twice.
        (datetime(2026, 3, 27, 12, tzinfo=UTC), ["28T01:30", "29T01:30", "30T00:30"]),
        (datetime(2026, 10, 23, 12, tzinfo=UTC), ["24T00:30", "25T00:30", "26T01:30"]),
    ],
)
def test_a_daily_time_falls_due_once_a_day_whatever_the_clocks_do(
    now: datetime, times_in_utc: list[str]
) -> None:
    daily = timetable(read("every day at 02:30 backup").pieces, now, HERE)
    found = daily.first(3, now)
    assert [f"{each.astimezone(UTC):%dT%H:%M}" for each in found] == times_in_utc
    for each in found:  # and whoever asks after the last gets the next
        later = daily.after(each)
        assert later is not None
        assert later.date() > each.date()


def test_a_single_time_that_the_clocks_skip_or_repeat_is_asked_back() -> None:
    for day, month in ((28, 3), (24, 10)):
        with pytest.raises(Unclear, match="when_clocks"):
            times("tomorrow at 02:30 backup", now=datetime(2026, month, day, 12, tzinfo=UTC))


def test_even_steps_go_on_evenly_when_the_clocks_change() -> None:
    now = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)
    found = timetable(read("every hour drink").pieces, now, HERE).first(3, now)
    assert [f"{each.astimezone(UTC):%H:%M}" for each in found] == ["00:30", "01:30", "02:30"]


def test_every_second_week_is_counted_from_the_first() -> None:
    table = timetable(read("every other Tuesday at 10 retro").pieces, NOW, HERE)
    kept = Timetable(datetime.fromisoformat(table.start.isoformat()), table.zone, table.rule)
    later = datetime(2026, 12, 30, tzinfo=UTC)
    assert kept.after(later) == table.after(later)
    assert f"{kept.after(later):%Y-%m-%d}" == "2027-01-12"
