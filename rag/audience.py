"""Who may see what: every document is granted to a scope, every question carries an audience."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

PUBLIC = "public"
_KINDS = {"folder": 2, "slack": 4, "discord": 3}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class InvalidScope(ValueError):
    """A scope string that names no kind of place."""


def check_scope(scope: str) -> str:
    """Return `scope` if it is `public`, `folder:NAME`, `slack:ENTERPRISE:TEAM:CHANNEL` or
    `discord:GUILD:CHANNEL`; raise `InvalidScope` otherwise."""
    parts = scope.split(":")
    well_formed = _KINDS.get(parts[0]) == len(parts) and all(parts) and not _CONTROL.search(scope)
    if scope != PUBLIC and not well_formed:
        raise InvalidScope(
            f"{scope!r} is not a scope: use public, folder:NAME, slack:ENTERPRISE:TEAM:CHANNEL "
            "or discord:GUILD:CHANNEL"
        )
    return scope


@dataclass(frozen=True, slots=True)
class Audience:
    """The scopes that whoever reads the answer may see; an empty one sees nothing."""

    scopes: frozenset[str]
    folders: frozenset[str] | None = None
    """The watched folders whose documents answer here, by name; None for all. It only takes away:
    a document has to be in one of the scopes too."""

    @classmethod
    def of(cls, scopes: Iterable[str], *, folders: Iterable[str] | None = None) -> Audience:
        """Return the audience of these scopes; raise `InvalidScope` for a malformed one."""
        checked = frozenset(check_scope(scope) for scope in scopes)
        return cls(checked, None if folders is None else frozenset(folders))

    def sees(self, scope: str) -> bool:
        """Tell whether a document granted to `scope` may be shown."""
        return scope in self.scopes
