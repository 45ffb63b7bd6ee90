"""What Slack tells the bot, as events to be stored: pure functions of its payloads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bot.adapters.slack.access import Team
from bot.messages import Event

Body = Mapping[str, Any]

MEMBERSHIP: Final = (
    "member_left_channel",
    "channel_left",
    "group_left",
    "channel_shared",
    "channel_unshared",
    "channel_archive",
    "group_archive",
    "channel_deleted",
    "group_deleted",
)
"""Events after which somebody may see less than before."""


def team_of(key: str) -> Team:
    """Return the workspace of an event's `team`."""
    enterprise, _, id = key.partition(":")
    return Team(id, enterprise)


def installed_team(body: Body, me: Team) -> Team:
    """Return the workspace that an event reached the bot through, not that of its author."""
    for installed in body.get("authorizations") or ():
        team = installed.get("team_id") or body.get("team_id") or me.id
        return Team(team, installed.get("enterprise_id") or "-")
    return me


def place_of(body: Body, me: Team) -> tuple[Team, bool | None]:
    """Return the workspace that a command or a click belongs to, and whether its author is from
    another organisation; None where that isn't said."""
    team = (body.get("team") or {}).get("id") or body.get("team_id")
    enterprise = (body.get("enterprise") or {}).get("id") or body.get("enterprise_id") or "-"
    if me.enterprise != "-" and enterprise == me.enterprise and team:
        return Team(team, enterprise), None
    return me, None if team in (None, me.id) else True


def said(body: Body, me: Team, *, follows: bool) -> Event:
    """Return what somebody newly says."""
    event = body["event"]
    # A mention comes as a message too, and either may come again under its own event id.
    return _event(
        body,
        me,
        "message",
        {"event": event, "external": body.get("is_ext_shared_channel"), "follows": follows},
        event["channel"],
        event["ts"],
    )


def edited(body: Body, me: Team) -> Event | None:
    """Return a person's edit of a message; None where what it says is the same."""
    event = body["event"]
    now, before = event["message"], event.get("previous_message") or {}
    if now.get("subtype") == "tombstone":  # deleted, with replies below it
        return _event(body, me, "deleted", {}, event["channel"], now["ts"], "deleted")
    if not now.get("edited") or now.get("text") == before.get("text"):
        return None  # Slack has only put a preview or replies to it
    about = {"channel": event["channel"], "channel_type": event.get("channel_type")}
    payload = {"event": {**now, **about}, "external": body.get("is_ext_shared_channel")}
    return _event(body, me, "edited", payload, event["channel"], now["ts"], now["edited"]["ts"])


def deleted(body: Body, me: Team) -> Event:
    """Return the deletion of a message."""
    event = body["event"]
    return _event(body, me, "deleted", {}, event["channel"], event["deleted_ts"], "deleted")


def stopped(body: Body, me: Team) -> Event:
    """Return that somebody pressed Slack's own stop button."""
    event = body["event"]
    payload = {
        "channel": event["channel"],
        "thread": event["thread_ts"],
        "user": event["user"],
        "streams": list(event.get("streaming_message_ts") or ()),
    }
    return _event(body, me, "stopped", payload, event["channel"], None)


def opened(body: Body, me: Team) -> Event:
    """Return that somebody looks at the app's home or at its messages."""
    event = body["event"]
    payload = {"user": event["user"], "tab": event.get("tab"), "channel": event["channel"]}
    return _event(body, me, "opened", payload, event["channel"], None)


def _event(
    body: Body,
    me: Team,
    kind: str,
    payload: dict[str, Any],
    channel: str,
    message: str | None,
    edition: str = "",
) -> Event:
    team = installed_team(body, me)
    known = f"{team.key}:{channel}:{message}:{edition}"
    return Event(
        id=body.get("event_id") or known,
        platform="slack",
        team=team.key,
        channel=channel,
        kind=kind,
        payload=payload,
        message=message,
        edition=edition,
    )


def command(body: Body, me: Team) -> Event:
    """Return a slash command."""
    team, external = place_of(body, me)
    payload = {"command": dict(body), "external": external}
    return _asked(body["trigger_id"], team, "command", body["channel_id"], payload)


def click(body: Body, me: Team) -> Event:
    """Return a click on a button of a message."""
    team, external = place_of(body, me)
    action, container = body["actions"][0], body.get("container") or {}
    channel = container.get("channel_id") or body["channel"]["id"]
    payload = {
        "action": action["action_id"],
        "value": action.get("value"),
        "user": body["user"]["id"],
        "channel": channel,
        "thread": container.get("thread_ts") or container.get("message_ts"),
        "response_url": body.get("response_url"),
        "private": bool(container.get("is_ephemeral")),
        "external": external,
    }
    return _asked(body["trigger_id"], team, "click", channel, payload)


def shortcut(body: Body, me: Team) -> Event:
    """Return the use of a shortcut on a message."""
    team, external = place_of(body, me)
    channel = body["channel"]["id"]
    payload = {
        "callback": body["callback_id"],
        "user": body["user"]["id"],
        "channel": channel,
        "message": dict(body["message"]),
        "external": external,
    }
    return _asked(body["trigger_id"], team, "shortcut", channel, payload)


def form(body: Body, me: Team, about: Mapping[str, Any]) -> Event:
    """Return a modal that somebody sent; `about` is what it was opened for, and its fields."""
    team, external = place_of(body, me)
    payload = {
        "callback": body["view"]["callback_id"],
        "user": body["user"]["id"],
        "external": external,
        **about,
    }
    return _asked(body["trigger_id"], team, "form", str(about["channel"]), payload)


def _asked(id: str, team: Team, kind: str, channel: str, payload: dict[str, Any]) -> Event:
    return Event(
        id=id, platform="slack", team=team.key, channel=channel, kind=kind, payload=payload
    )
