"""The settings of what documents come from by themselves: watched folders and web pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from pydantic import field_validator, model_validator

from bot.model_settings import Section
from rag.audience import check_scope
from rag.fetch import FetchError, page_name

_INTERVAL = re.compile(r"every ([1-9]\d*) (second|minute|hour|day)s?")


class Scoped(Section):
    """What only some may see."""

    scope: str = "public"
    channels: tuple[str, ...] = ()
    """The channels that see a scope of its own, `folder:NAME`."""

    @field_validator("scope")
    @classmethod
    def _known_scope(cls, scope: str) -> str:
        return check_scope(scope)

    @field_validator("channels")
    @classmethod
    def _known_channels(cls, channels: tuple[str, ...]) -> tuple[str, ...]:
        for channel in channels:
            if check_scope(channel).partition(":")[0] not in ("slack", "discord"):
                raise ValueError(
                    f"{channel!r} is no channel: use slack:… or discord:…, as /sources shows it"
                )
        return channels

    @model_validator(mode="after")
    def _grantable(self) -> Self:
        if self.channels and not self.scope.startswith("folder:"):
            raise ValueError("`channels` needs a scope of its own: set `scope: folder:NAME` too")
        return self


class _Source(Scoped):
    """Where documents come from by themselves, and how often they are read again."""

    schedule: str

    @field_validator("schedule")
    @classmethod
    def _known_schedule(cls, schedule: str) -> str:
        trigger(schedule)
        return schedule


class FolderSettings(_Source):
    """A watched folder."""

    path: Path
    name: str = ""
    schedule: str = "every 1 minute"
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()


class WebPageSettings(_Source):
    """A web page that is fetched again on schedule; `private` if it is inside one's network."""

    url: str
    private: bool = False
    schedule: str = "every 1 day"

    @model_validator(mode="after")
    def _fetchable(self) -> Self:
        try:
            page_name(self.url, private=self.private)
        except FetchError as error:
            raise ValueError(f"{self.url!r} can't be fetched: {error}") from error
        return self


def trigger(schedule: str) -> BaseTrigger:
    """Return the trigger of `every N minutes` or of a cron line; raise `ValueError` otherwise."""
    try:
        if match := _INTERVAL.fullmatch(schedule):
            return IntervalTrigger(**{f"{match[2]}s": int(match[1])}, timezone="UTC")
        return CronTrigger.from_crontab(schedule)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{schedule!r} is no schedule: write `every 10 minutes` or a cron line like `0 3 * * *`"
        ) from error
