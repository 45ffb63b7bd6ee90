from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bot.adapters.slack.events import MEMBERSHIP
from bot.adapters.slack.requests import to_text
from bot.adapters.slack.scopes import NEEDED, missing
from tests.doubles import slack_payloads as payloads


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<@U0BOT> hi <@U0BOT|bot>", "hi"),
        ("<#C1|general> <#C2> <!here> <!subteam^S1|@team>", "#general #C2 @here @team"),
        (
            "<https://a.example/x?a=1&amp;b=2|a.example> <mailto:a@b.example|a@b.example>",
            "https://a.example/x?a=1&b=2 a@b.example",
        ),
        ("1 &lt; 2 &amp;lt;", "1 < 2 &lt;"),
    ],
)
def test_slacks_markup_becomes_what_people_see(markup: str, text: str) -> None:
    assert to_text(markup, "U0BOT") == text


def test_the_manifest_is_one_that_slack_accepts() -> None:
    manifest = yaml.safe_load((Path(__file__).parents[4] / "manifest.yaml").read_text())
    assert payloads.violation("manifest", manifest) is None
    scopes = manifest["oauth_config"]["scopes"]["bot"]
    assert set(scopes) == set(NEEDED)
    assert manifest["settings"]["socket_mode_enabled"] is True
    commands = {each["command"] for each in manifest["features"]["slash_commands"]}
    assert commands == {"/ask", "/summarise", "/glm"}
    shortcuts = {each["callback_id"] for each in manifest["features"]["shortcuts"]}
    assert shortcuts == {"summarise", "ask_about", "remember"}
    heard = set(manifest["settings"]["event_subscriptions"]["bot_events"])
    assert set(MEMBERSHIP) <= heard
    assert {"app_mention", "app_home_opened", "agent_session_stopped"} <= heard
    assert "agent_view" in manifest["features"]


def test_every_missing_permission_is_named_in_words() -> None:
    assert missing(NEEDED) == []
    [said] = missing(set(NEEDED) - {"files:read"})
    assert said == "without files:read it can't learn the files that people send"
    assert len(missing([])) == len(NEEDED)
