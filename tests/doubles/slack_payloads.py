"""What Slack sends, with the field sets of its published payloads."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).parents[3] / "shared" / "schemas"
APP = "A0APP"
TEAM = "T0TEAM"
BOT_USER = "U0BOT"
BOT = "B0BOT"

Json = dict[str, Any]


@cache
def _validator(name: str) -> Any:
    schema = SCHEMAS / f"slack_{name}.schema.json"
    if not schema.exists() or find_spec("jsonschema") is None:
        return None
    import jsonschema

    return jsonschema.Draft7Validator(json.loads(schema.read_text()))


def violation(name: str, value: Any) -> str | None:
    """Return how `value` breaks Slack's own schema; None if it doesn't or there is none."""
    validator = _validator(name)
    if validator is None or validator.is_valid(value):
        return None
    return f"{name}: {next(validator.iter_errors(value)).message[:2000]}"


def _rich_text(text: str) -> list[Json]:
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    return [{"type": "rich_text", "block_id": "b1", "elements": [section]}]


def message(
    text: str, *, user: str, channel: str, ts: str, thread_ts: str | None, files: list[Json]
) -> Json:
    """Return a `message` event as a person's post causes it."""
    kinds = {"C": "channel", "G": "group", "D": "im"}
    event: Json = {
        "user": user,
        "type": "message",
        "ts": ts,
        "text": text,
        "channel": channel,
        "event_ts": ts,
        "channel_type": kinds[channel[0]],
    }
    if thread_ts:
        event |= {"thread_ts": thread_ts, "parent_user_id": user}
    if files:
        return event | {
            "subtype": "file_share",
            "files": [_shared(file, channel) for file in files],
            "upload": False,
            "display_as_bot": False,
        }
    return event | {"client_msg_id": f"c{ts}", "team": TEAM, "blocks": _rich_text(text)}


def _shared(file: Json, channel: str) -> Json:
    """Return a file with the fields that Slack's types give it in a `message`."""
    only_in_mentions = ("file_access", "media_display_type", "timestamp", "user_team")
    kept = {key: value for key, value in file.items() if key not in only_in_mentions}
    return kept | {"channels": [channel], "groups": []}


def app_mention(
    text: str, *, user: str, channel: str, ts: str, thread_ts: str | None, files: list[Json]
) -> Json:
    """Return an `app_mention` event, the twin of a `message` that mentions the bot."""
    event: Json = {
        "user": user,
        "type": "app_mention",
        "ts": ts,
        "client_msg_id": f"c{ts}",
        "text": text,
        "team": TEAM,
        "blocks": _rich_text(text),
        "channel": channel,
        "event_ts": ts,
    }
    if thread_ts:
        event |= {"thread_ts": thread_ts}
    return event | ({"files": files, "upload": False, "display_as_bot": False} if files else {})


def event_callback(event: Json, *, event_id: str, enterprise: str | None, external: bool) -> Json:
    """Return the outer event of the Events API."""
    return {
        "token": "verification-token",
        "team_id": TEAM,
        "context_team_id": TEAM,
        "context_enterprise_id": enterprise,
        "api_app_id": APP,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": int(float(event["event_ts"])),
        "authorizations": [
            {
                "enterprise_id": enterprise,
                "team_id": TEAM,
                "user_id": BOT_USER,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": external,
        "event_context": "4-eyJldCI6Im1lc3NhZ2UifQ",
    }


def slash_command(
    command: str, text: str, *, user: str, channel: str, trigger_id: str, response_url: str
) -> Json:
    """Return the payload of a slash command."""
    return {
        "token": "verification-token",
        "team_id": TEAM,
        "team_domain": "team",
        "channel_id": channel,
        "channel_name": "directmessage" if channel[0] == "D" else "general",
        "user_id": user,
        "user_name": "ann",
        "command": command,
        "text": text,
        "api_app_id": APP,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": trigger_id,
    }


def file(
    name: str, content: bytes, mimetype: str, *, id: str, user: str, origin: str, mode: str
) -> Json:
    """Return a file as messages carry it."""
    kind = name.rpartition(".")[2]
    where = f"{origin}/files-pri/{TEAM}-{id}"
    external = mode == "external"
    url = f"https://elsewhere.example/{name}" if external else f"{where}/{name}"
    return {
        "id": id,
        "created": 1700000000,
        "timestamp": 1700000000,
        "name": name,
        "title": name,
        "mimetype": mimetype,
        "filetype": kind,
        "pretty_type": kind.upper(),
        "user": user,
        "user_team": TEAM,
        "editable": False,
        "size": 0 if external else len(content),
        "mode": mode,
        "is_external": external,
        "external_type": "gdrive" if external else "",
        "is_public": True,
        "public_url_shared": False,
        "display_as_bot": False,
        "username": "",
        "url_private": url,
        "url_private_download": url if external else f"{where}/download/{name}",
        "media_display_type": "unknown",
        "permalink": f"https://team.slack.com/files/{user}/{id}/{name}",
        "permalink_public": f"https://slack-files.com/{TEAM}-{id}-abc",
        "is_starred": False,
        "has_rich_preview": False,
        "file_access": "visible",
    }
