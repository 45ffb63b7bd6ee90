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
def _validator(name: str, part: str | None) -> Any:
    file = SCHEMAS / f"slack_{name}.schema.json"
    if not file.exists() or find_spec("jsonschema") is None:
        return None
    import jsonschema

    schema = json.loads(file.read_text())
    if part is not None:
        schema["$ref"] = f"#/definitions/{part}"
    return jsonschema.Draft7Validator(schema)


def violation(name: str, value: Any, part: str | None = None) -> str | None:
    """Return how `value` breaks Slack's own schema; None if it doesn't or there is none.

    `part` names one of the schema's definitions, such as a modal.
    """
    validator = _validator(name, part)
    if validator is None or validator.is_valid(value):
        return None
    return f"{part or name}: {next(validator.iter_errors(value)).message[:2000]}"


def _rich_text(text: str) -> list[Json]:
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    return [{"type": "rich_text", "block_id": "b1", "elements": [section]}]


def message(
    text: str,
    *,
    user: str,
    channel: str,
    ts: str,
    thread_ts: str | None,
    files: list[Json],
    parent: str | None = None,
) -> Json:
    """Return a `message` event as a person's post causes it; `parent` began the thread."""
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
        event |= {"thread_ts": thread_ts, "parent_user_id": parent or user}
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


def message_changed(before: Json, text: str, *, ts: str) -> Json:
    """Return the event of a person's edit of a message, whose own event was `before`."""
    about = ("channel", "channel_type", "event_ts")
    inner = {key: value for key, value in before.items() if key not in about}
    edited = inner | {"text": text, "edited": {"user": before["user"], "ts": ts}}
    edited |= {"blocks": _rich_text(text)} if "blocks" in inner else {}
    return {
        "type": "message",
        "subtype": "message_changed",
        "message": edited | _of_channel(before),
        "previous_message": inner | _of_channel(before),
        "channel": before["channel"],
        "hidden": True,
        "ts": ts,
        "event_ts": ts,
        "channel_type": before["channel_type"],
    }


def message_deleted(before: Json, *, ts: str) -> Json:
    """Return the event of a message's deletion."""
    return {
        "type": "message",
        "subtype": "message_deleted",
        "previous_message": before,
        "channel": before["channel"],
        "hidden": True,
        "deleted_ts": before["ts"],
        "ts": ts,
        "event_ts": ts,
        "channel_type": before["channel_type"],
    }


def _of_channel(before: Json) -> Json:
    # Slack's types want these in the inner messages too, though its samples leave them out.
    return {key: before[key] for key in ("channel", "channel_type", "event_ts")}


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
    command: str,
    text: str,
    *,
    user: str,
    channel: str,
    trigger_id: str,
    response_url: str,
    enterprise: str | None = None,
) -> Json:
    """Return the payload of a slash command."""
    organisation = {"enterprise_id": enterprise, "enterprise_name": "Org"} if enterprise else {}
    return organisation | {
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


def home_opened(tab: str, *, user: str, channel: str, ts: str) -> Json:
    """Return the event of a person who opens the app's home or its messages."""
    return {
        "type": "app_home_opened",
        "user": user,
        "channel": channel,
        "tab": tab,
        "event_ts": ts,
    }


def session_stopped(
    *, user: str, channel: str, thread_ts: str, streams: list[str], ts: str
) -> Json:
    """Return the event of a person who presses Slack's own stop button."""
    return {
        "type": "agent_session_stopped",
        "channel": channel,
        "user": user,
        "thread_ts": thread_ts,
        "streaming_message_ts": streams,
        "event_ts": ts,
    }


def member_left(*, user: str, channel: str, ts: str) -> Json:
    """Return the event of a person who leaves a channel, or is removed."""
    return {
        "type": "member_left_channel",
        "user": user,
        "channel": channel,
        "channel_type": channel[0],
        "team": TEAM,
        "event_ts": ts,
    }


def _interaction(kind: str, *, user: str, enterprise: str | None, trigger_id: str) -> Json:
    organisation = {"id": enterprise, "name": "Org"} if enterprise else None
    return {
        "type": kind,
        "token": "verification-token",
        "api_app_id": APP,
        "team": {"id": TEAM, "domain": "team"}
        | ({"enterprise_id": enterprise, "enterprise_name": "Org"} if enterprise else {}),
        "enterprise": organisation,
        "is_enterprise_install": False,
        "user": {"id": user, "username": "ann", "name": "ann", "team_id": TEAM},
        "trigger_id": trigger_id,
    }


def block_actions(
    action: Json,
    *,
    user: str,
    channel: str,
    message: Json | None,
    response_url: str,
    enterprise: str | None,
    trigger_id: str,
) -> Json:
    """Return the payload of a click; without a `message` the clicked one is ephemeral."""
    ts = message["ts"] if message else "1700000000.000000"
    container = {
        "type": "message",
        "message_ts": ts,
        "channel_id": channel,
        "is_ephemeral": message is None,
    }
    if message and message.get("thread_ts"):
        container["thread_ts"] = message["thread_ts"]
    known = _interaction("block_actions", user=user, enterprise=enterprise, trigger_id=trigger_id)
    names = {"id": channel, "name": "directmessage" if channel[0] == "D" else "general"}
    return (
        known
        | {"container": container, "channel": names, "state": {"values": {}}}
        | {"response_url": response_url, "actions": [action]}
        | ({"message": message} if message else {})
    )


def click(element: Json, *, block_id: str, ts: str, value: str | None = None) -> Json:
    """Return the action of a click on an element; `value` says which of two feedback buttons."""
    action = {
        "action_id": element.get("action_id", "made-up"),
        "block_id": block_id,
        "type": element["type"],
        "action_ts": ts,
    }
    if element["type"] == "button":
        action["text"] = {"emoji": True, **element["text"]}
        if "value" in element:
            action["value"] = element["value"]
    if value is not None:
        action["value"] = value
    return action


def home_action(action: Json, view: Json, *, user: str, trigger_id: str) -> Json:
    """Return the payload of a click in the app's home."""
    known = _interaction("block_actions", user=user, enterprise=None, trigger_id=trigger_id)
    container = {"type": "view", "view_id": "V0HOME"}
    shown = {"id": "V0HOME", "team_id": TEAM, "app_id": APP, "hash": "1.a", **view}
    return known | {
        "container": container,
        "view": shown,
        "actions": [action],
        "state": {"values": {}},
    }


def message_action(
    callback_id: str,
    message: Json,
    *,
    user: str,
    channel: str,
    response_url: str,
    enterprise: str | None,
    trigger_id: str,
) -> Json:
    """Return the payload of a message shortcut."""
    known = _interaction("message_action", user=user, enterprise=enterprise, trigger_id=trigger_id)
    return known | {
        "callback_id": callback_id,
        "action_ts": message["ts"],
        "message_ts": message["ts"],
        "message": message,
        "channel": {"id": channel, "name": "directmessage" if channel[0] == "D" else "general"},
        "response_url": response_url,
    }


def view_submission(
    view: Json, values: Json, *, user: str, enterprise: str | None, trigger_id: str
) -> Json:
    """Return the payload of a modal that somebody sends; `values` is the state of its inputs."""
    known = _interaction("view_submission", user=user, enterprise=enterprise, trigger_id=trigger_id)
    shown = view | {
        "id": "V0MODAL",
        "team_id": TEAM,
        "app_id": APP,
        "app_installed_team_id": TEAM,
        "bot_id": BOT,
        "hash": "1.a",
        "root_view_id": "V0MODAL",
        "previous_view_id": None,
        "state": {"values": values},
    }
    return known | {"view": shown, "response_urls": []}


def block_suggestion(
    element: Json, typed: str, view: Json, *, block_id: str, user: str, trigger_id: str
) -> Json:
    """Return the payload that asks for the options of a select menu."""
    known = _interaction("block_suggestion", user=user, enterprise=None, trigger_id=trigger_id)
    del known["trigger_id"]
    return known | {
        "container": {"type": "view", "view_id": "V0MODAL"},
        "action_id": element["action_id"],
        "block_id": block_id,
        "value": typed,
        "view": view | {"id": "V0MODAL", "team_id": TEAM, "state": {"values": {}}},
    }
