"""Makes the payloads of the state machine as complete as Discord's own, by its published fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CDN = "https://cdn.simcord.invalid"
_USER = {
    "avatar_decoration_data": None,
    "banner": None,
    "accent_color": None,
    "collectibles": None,
    "primary_guild": None,
}
_MEMBER = {"avatar_decoration_data": None, "banner": None, "collectibles": None}
_CHANNEL = {
    "flags": 0,
    "nsfw": False,
    "last_pin_timestamp": None,
    "default_auto_archive_duration": 1440,
    "default_thread_rate_limit_per_user": 0,
}
_DIRECT = {"flags": 0, "last_pin_timestamp": None}
_ONLY_THE_BOTS_OWN = ("verified", "mfa_enabled", "locale")


def completed(value: Any, signed: Callable[[str], str]) -> Any:
    """Return a payload with every field that Discord sends; `signed` renews addresses of files."""
    if isinstance(value, list):
        return [completed(each, signed) for each in value]
    if isinstance(value, str):
        return signed(value) if value.startswith(CDN) else value
    if not isinstance(value, dict):
        return value
    whole = {key: completed(each, signed) for key, each in value.items()}
    if "username" in whole and "discriminator" in whole:
        if not whole.get("bot"):
            for key in _ONLY_THE_BOTS_OWN:
                whole.pop(key, None)
        return _USER | whole
    if "joined_at" in whole and "roles" in whole and "owner_id" not in whole:
        return _MEMBER | whole
    if "permission_overwrites" in whole:
        return _CHANNEL | whole
    if "recipients" in whole:
        kept = ("id", "type", "recipients", "last_message_id")
        return _DIRECT | {key: whole[key] for key in kept}
    # What Discord leaves out where there is nothing.
    for key in ("nonce", "description") if "author" in whole or "proxy_url" in whole else ():
        if whole.get(key, "") is None:
            del whole[key]
    return whole
