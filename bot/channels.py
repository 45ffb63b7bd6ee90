"""What each channel has chosen, and who changed what and when."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from bot.messages import ChannelSettings, Request
from bot.tables import setting_change
from bot.writer import Writer

Value = str | list[str] | None
"""A setting as it is stored; None is what the configuration says."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one setting; `who` is named as `slack:U012`, or empty once forgotten."""

    name: str
    old: Value
    new: Value
    who: str
    changed_at: float


class Channels:
    """Keeps the settings of every channel; `clock` is seconds since 1970.

    Every request asks for them, so they are in memory too: `load` reads them, once, at the start.
    """

    def __init__(self, writer: Writer, *, clock: Callable[[], float] = time.time) -> None:
        self._writer = writer
        self._clock = clock
        self._values: dict[str, dict[str, Value]] = {}

    def load(self, engine: Engine) -> None:
        """Read what was chosen; blocking."""
        self._values = _stored(engine)

    def of(self, request: Request) -> ChannelSettings:
        """Return the settings of the channel that a request stands in."""
        return _settings(self.values(request))

    def values(self, request: Request) -> Mapping[str, Value]:
        """Return what was chosen there, by the setting's name."""
        return self._values.get(place_of(request), {})

    async def change(self, request: Request, values: Mapping[str, Value]) -> list[Change]:
        """Change settings on behalf of the person of a request; return what is different now."""
        place, who = place_of(request), f"{request.platform}:{request.user}"
        now = self._clock()

        def work(connection: Connection) -> dict[str, Value]:
            known = dict(self._values.get(place, {}))
            for name, value in values.items():
                if known.get(name) == value:
                    continue
                row = {"place": place, "name": name, "old": known.get(name), "new": value}
                connection.execute(insert(setting_change).values(**row, who=who, changed_at=now))
            return known

        before = await self._writer.write(work)
        changed = [
            Change(name, before.get(name), value, who, now)
            for name, value in values.items()
            if before.get(name) != value
        ]
        self._values.setdefault(place, {}).update(values)
        return changed

    async def history(self, request: Request, most: int) -> list[Change]:
        """Return the newest changes in the channel of a request, newest first."""
        columns = (setting_change.c[name] for name in Change.__dataclass_fields__)
        newest = (
            select(*columns)
            .where(setting_change.c.place == place_of(request))
            .order_by(setting_change.c.number.desc())
            .limit(most)
        )
        return await self._writer.read(
            lambda connection: [Change(*row) for row in connection.execute(newest)]
        )

    async def forget_person(self, person: str) -> None:
        """Forget who it was that changed something; what was changed stays."""
        theirs = update(setting_change).where(setting_change.c.who == person).values(who="")
        await self._writer.write(lambda connection: connection.execute(theirs) and None)

    async def forget_document(self, name: str) -> None:
        """Do nothing: settings have no words of documents."""


def settings_of(engine: Engine, request: Request) -> ChannelSettings:
    """Return the settings of a request's channel from the database alone; blocking."""
    return _settings(_stored(engine).get(place_of(request), {}))


def place_of(request: Request) -> str:
    """Return what the settings of a request's channel are kept by; the page is one of its own."""
    return "web" if request.platform == "web" else request.scope


def _stored(engine: Engine) -> dict[str, dict[str, Value]]:
    values: dict[str, dict[str, Value]] = {}
    changes = select(setting_change).order_by(setting_change.c.number)
    with engine.connect() as connection:
        for row in connection.execute(changes).mappings():
            values.setdefault(row["place"], {})[row["name"]] = row["new"]
    return values


def _settings(values: Mapping[str, Any]) -> ChannelSettings:
    folders, teach = values.get("folders"), values.get("teach")
    return ChannelSettings(
        language=values.get("language"),
        tone=values.get("tone") or "plain",
        model=values.get("model"),
        folders=None if folders is None else frozenset(folders),
        teach=frozenset(teach) if isinstance(teach, list) else teach or "anyone",
    )
