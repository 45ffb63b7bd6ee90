"""Who may see what in Slack: the scopes that whoever reads an answer may see now.

docs/permissions.md has these rules in words.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Team:
    """A workspace, and the Enterprise Grid organisation that it belongs to; "-" for none."""

    id: str
    enterprise: str = "-"

    @property
    def key(self) -> str:
        """Return what keeps this workspace apart from every other."""
        return f"{self.enterprise}:{self.id}"

    def scope(self, channel: str) -> str:
        """Return the scope of a channel or a direct message; a thread has its channel's."""
        return f"slack:{self.key}:{channel}"


@dataclass(frozen=True, slots=True)
class Person:
    """What Slack says of somebody now."""

    guest: bool = False
    """Invited to certain channels only."""
    stranger: bool = False
    """A member of another organisation, or of nobody knows which."""
    admin: bool = False


class Directory(Protocol):
    """What Slack knows of people and channels; in doubt an answer is the one that shows less."""

    async def is_external(self, channel: str) -> bool:
        """Tell whether another organisation shares a channel."""
        ...

    async def channels_of(self, user: str) -> frozenset[str]:
        """Return the channels that a person is in now, as far as the bot can see them."""
        ...

    async def person(self, user: str, team: Team) -> Person:
        """Return what Slack says of a person."""
        ...


class Access:
    """Builds audiences from live membership, remembered for `seconds` at the most.

    `left` and `changed` forget at once; what was being asked for meanwhile is asked for again.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        seconds: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._seconds = seconds
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[float, frozenset[str]]] = {}
        self._changes = 0

    async def audience(
        self, team: Team, channel: str, user: str, *, direct: bool, external: bool | None
    ) -> frozenset[str]:
        """Return what may be used where an answer goes: a channel, or one person's direct messages.

        `external` is what the event says of the channel; None if it says nothing.
        """
        own = team.scope(channel)
        if external is None:
            external = not direct and await self._directory.is_external(channel)
        if external:
            return frozenset({own})
        if not direct:
            return frozenset({PUBLIC, own})
        person = await self._directory.person(user, team)
        if person.stranger:
            return frozenset({own})
        everybody = frozenset() if person.guest else frozenset({PUBLIC})
        return everybody | {own} | {team.scope(each) for each in await self._channels(team, user)}

    def left(self, user: str) -> None:
        """Forget the channels of a person who has left one."""
        self._changes += 1
        self._known = {key: known for key, known in self._known.items() if key[1] != user}

    def changed(self) -> None:
        """Forget everybody's channels: one was shared, archived or deleted."""
        self._changes += 1
        self._known.clear()

    async def _channels(self, team: Team, user: str) -> frozenset[str]:
        known = self._known.get((team.key, user))
        if known is not None and known[0] > self._clock():
            return known[1]
        while True:
            changes, until = self._changes, self._clock() + self._seconds
            channels = await self._directory.channels_of(user)
            if changes == self._changes:
                break
        if len(self._known) > 1000:
            self._known.clear()
        self._known[team.key, user] = (until, channels)
        return channels
