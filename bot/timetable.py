"""When something falls due: once, or by a rule of RFC 5545, in the time of a place.

APScheduler's cron trigger fires twice in the night that has an hour twice, and an interval in UTC
drifts with the clocks. A rule of local times, one occurrence a date, does neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

_CLOCKS_CHANGE = timedelta(hours=3)
_MOST = 1000
_IN_UTC = ("FREQ=HOURLY", "FREQ=MINUTELY")
"""Rules of even steps: clocks that change don't concern them."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """The exact times of something; `start` is the first of them, `zone` an IANA name."""

    start: datetime
    zone: str
    rule: str = ""
    """Such as `FREQ=WEEKLY;BYDAY=MO`, counted from the start; empty for once."""

    def after(self, moment: datetime) -> datetime | None:
        """Return the first time after a moment; None where there is none."""
        return next(self._times(moment), None)

    def first(self, count: int, moment: datetime) -> list[datetime]:
        """Return up to so many times after a moment, oldest first."""
        return list(islice(self._times(moment), count))

    def _times(self, moment: datetime) -> Iterator[datetime]:
        place = ZoneInfo(self.zone)
        if not self.rule:
            if self.start > moment:
                yield self.start.astimezone(place)
            return
        counted_in = UTC if self.rule.startswith(_IN_UTC) else place
        rule = rrulestr(self.rule, dtstart=self.start.astimezone(counted_in).replace(tzinfo=None))
        since = moment.astimezone(counted_in).replace(tzinfo=None) - _CLOCKS_CHANGE
        for local in rule.xafter(since, count=_MOST, inc=True):
            # A time that the clocks skip is as much later; of one that comes twice, the first is
            # meant. By way of UTC, so that it is said as the clocks show it then.
            at = local.replace(tzinfo=counted_in).astimezone(UTC)
            if at > moment:
                yield at.astimezone(place)


def changes_clocks(local: datetime, zone: str) -> bool:
    """Tell whether the clocks of a place skip this local time, or show it twice."""
    place = ZoneInfo(zone)
    first, second = (local.replace(tzinfo=place, fold=fold) for fold in (0, 1))
    return first.utcoffset() != second.utcoffset()
