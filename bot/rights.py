"""Who may do what."""

from __future__ import annotations

import re
from typing import Literal

from bot.messages import Request

Who = Literal["anyone", "admins"] | frozenset[str]
"""Who may do something: a set names people as `slack:U012`. Admins always may."""

_DIRECT = re.compile(r"slack:[^:]*:[^:]*:D[^:]*|discord:@me:[^:]*")


def may(who: Who, request: Request) -> bool:
    """Tell whether the person of a request is one of these."""
    named = f"{request.platform}:{request.user}"
    return who == "anyone" or request.is_admin or (who != "admins" and named in who)


def is_direct(request: Request) -> bool:
    """Tell whether a request stands in a direct message, which is the person's own place."""
    return _DIRECT.fullmatch(request.scope) is not None


def within(who: Who, limit: Who) -> bool:
    """Tell whether everybody of `who` is in `limit` too."""
    if limit == "anyone" or who == "admins":
        return True
    return isinstance(who, frozenset) and isinstance(limit, frozenset) and who <= limit
