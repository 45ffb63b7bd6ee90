"""Asking for what is posted later: what is understood, what is asked back, and who may what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.app import App
from bot.messages import Event, Language, Reply, Request
from tests.bot.fakes import FakeChat, request
from tests.bot.handlers.conftest import Ask, Send
from tests.fakes import LineParser

SCOPE = "slack:E:T:C"
HERE = frozenset({"public", SCOPE})


@dataclass
class Slack:
    """A platform that knows who may post where, or, with None, can't tell."""

    may: dict[str, bool | None] = field(default_factory=dict)
    zone: str | None = "Asia/Shanghai"

    async def zone_of(self, user: str) -> str | None:
        return self.zone

    async def may_post(self, user: str, team: str, channel: str) -> bool | None:
        assert (team, channel) == ("E:T", "C")
        return self.may.get(user, True)

    async def post(self, event: Event) -> bool:
        return True


@pytest.fixture
def slack(bot: App) -> Slack:
    platform = Slack()
    bot.later.postings["slack"] = platform
    return platform


def of(user: str, text: str, command: str = "remind", **more: Any) -> Request:
    """Return a request of somebody in a channel of Slack."""
    values: dict[str, Any] = {"platform": "slack", "user": user, "scope": SCOPE, "audience": HERE}
    values["language"] = "en"
    return request(text, command, **values | {"is_admin": False} | more)


async def stands(ask: Ask, user: str, text: str, command: str = "remind", **more: Any) -> int:
    """Ask for something and confirm it; return its number."""
    _, asked = await ask(of(user, text, command, **more))
    assert asked.outcome == "answer", asked.text
    _, reply = await ask(of(user, f"confirm {asked.data['id']}", "reminders"))
    assert reply.data["state"] == "standing", reply.text
    return int(asked.data["id"])


async def told(ask: Ask, asked: Request) -> Reply:
    _, reply = await ask(asked)
    return reply


@pytest.mark.parametrize(
    ("text", "options", "kind", "what"),
    [
        ("every Monday at 9 post the open items", {}, "ask", "the open items"),
        ("every Monday at 9: who is on call?", {}, "ask", "who is on call?"),
        ("每周一上午9点在这里发布未完成事项", {}, "ask", "未完成事项"),
        ("remind us every Monday at 9 to post the report", {}, "say", "post the report"),
        ("every Monday at 9 stand-up", {}, "say", "stand-up"),
        ('every Monday at 9 post "the office is closed"', {}, "say", "the office is closed"),
        ("每周一上午9点提醒大家交周报", {}, "say", "交周报"),
        ("every Monday at 9 send the report", {}, "say", "send the report"),
        ("every Monday at 9 send us the open items", {}, "ask", "the open items"),
        ("every Monday at 9 stand-up", {"kind": "question"}, "ask", "stand-up"),
        ("every Monday at 9 who is it?", {"kind": "text"}, "say", "who is it?"),
        ("stand-up", {"when": "every Monday at 9"}, "say", "stand-up"),
    ],
)
async def test_words_are_said_and_questions_are_answered(
    ask: Ask, slack: Slack, text: str, options: dict[str, str], kind: str, what: str
) -> None:
    reply = await told(ask, of("ann", text, options=options))
    assert (reply.data["kind"], reply.data["text"]) == (kind, what)
    assert what in reply.text
    assert reply.data["rule"] == "FREQ=WEEKLY;BYDAY=MO"


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_all_that_would_stand_is_told_before_it_stands(
    ask: Ask, slack: Slack, language: Language
) -> None:
    line = "every Monday at 9 stand-up"
    reply = await told(ask, of("ann", line, language=language))
    assert reply.language == language
    assert reply.text.count("09:00") == len(reply.data["next"]) == 3
    assert "Asia/Shanghai" in reply.text
    listed = await told(ask, of("ann", "", "reminders"))
    assert listed.data == []


async def test_a_time_zone_is_the_one_said_the_persons_or_the_settings(
    ask: Ask, slack: Slack
) -> None:
    line = "every Monday at 9 stand-up"
    assert (await told(ask, of("ann", line))).data["zone"] == "Asia/Shanghai"
    chosen = of("ann", line, options={"zone": "Europe/Berlin"})
    assert (await told(ask, chosen)).data["zone"] == "Europe/Berlin"
    slack.zone = None
    assert (await told(ask, of("ann", line))).data["zone"]
    wrong = await told(ask, of("ann", line, options={"zone": "Mars/Olympus"}))
    assert wrong.outcome == "error"
    assert "Mars/Olympus" in wrong.text


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "every Monday at 9", "tomorrow at 3 call", "yesterday at 9 call"]
)
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_what_is_unclear_is_asked_back_and_nothing_is_kept(
    ask: Ask, bot: App, slack: Slack, text: str, language: Language
) -> None:
    reply = await told(ask, of("ann", text, language=language))
    assert reply.outcome == "error"
    assert await bot.later.reminders.get(1) is None


@pytest.mark.parametrize("may", [False, None])
async def test_who_may_not_post_there_gets_nothing_posted(
    ask: Ask, slack: Slack, may: bool | None
) -> None:
    slack.may["ann"] = may
    reply = await told(ask, of("ann", "every Monday at 9 stand-up"))
    assert reply.outcome == "error"
    mine = await told(ask, of("ann", "me every Monday at 9 to call"))
    assert mine.outcome == "answer"  # what one is told alone needs nobody's leave


async def test_leave_is_asked_for_again_when_it_is_confirmed(ask: Ask, slack: Slack) -> None:
    asked = await told(ask, of("ann", "every Monday at 9 stand-up"))
    slack.may["ann"] = False
    reply = await told(ask, of("ann", f"confirm {asked.data['id']}", "reminders"))
    assert reply.outcome == "error"
    assert (await told(ask, of("ann", "", "reminders"))).data == []


async def test_only_its_author_confirms_and_only_they_or_an_admin_cancel(
    ask: Ask, slack: Slack
) -> None:
    asked = await told(ask, of("ann", "every Monday at 9 stand-up"))
    number = asked.data["id"]
    for user, admin in (("ben", False), ("eve", True)):
        change = of(user, f"confirm {number}", "reminders", is_admin=admin)
        assert (await told(ask, change)).outcome == "error"
    again = f"确认 {number}"
    assert (await told(ask, of("ann", again, "reminders"))).data["state"] == "standing"
    assert (await told(ask, of("ann", again, "reminders"))).data["state"] == "standing"
    cancel = f"取消 #{number}"
    refused = await told(ask, of("ben", cancel, "reminders"))
    unknown = await told(ask, of("ben", "cancel 999", "reminders"))
    assert refused.text == unknown.text.replace("999", str(number))
    elsewhere = of("eve", cancel, "reminders", is_admin=True, scope="slack:E:T:OTHER")
    assert (await told(ask, elsewhere)).outcome == "error"
    assert (await told(ask, of("eve", cancel, "reminders", is_admin=True))).outcome == "answer"
    assert (await told(ask, of("ann", "", "reminders"))).data == []


async def test_ones_own_and_the_channels_are_listed_and_nobody_elses_private_ones(
    ask: Ask, slack: Slack
) -> None:
    shared = await stands(ask, "ann", "every Monday at 9 stand-up")
    private = await stands(ask, "ann", "me every Tuesday at 9 to call Bob")
    for user, scope, seen in (
        ("ann", SCOPE, [shared, private]),
        ("ann", "slack:E:T:OTHER", [shared, private]),
        ("ben", SCOPE, [shared]),
        ("ben", "slack:E:T:OTHER", []),
    ):
        reply = await told(ask, of(user, "", "reminders", scope=scope))
        assert sorted(each["id"] for each in reply.data) == seen
        assert ("call Bob" in reply.text) == (private in seen)


async def test_whoever_runs_the_bot_sees_and_cancels_all(ask: Ask, slack: Slack) -> None:
    number = await stands(ask, "ann", "every Monday at 9 stand-up")
    for platform in ("web", "cli"):
        listed = await told(ask, request("", "reminders", platform=platform))
        assert [each["id"] for each in listed.data] == [number]
    assert (await told(ask, request(f"cancel {number}", "reminders"))).outcome == "answer"


async def test_the_command_line_asks_for_a_channel_that_it_names(ask: Ask) -> None:
    line = "every Monday at 9 stand-up"
    assert "on the page" in (await told(ask, request(line, "remind"))).text  # there is no channel
    asked = await told(ask, request(line, "remind", scope=SCOPE, audience=HERE))
    reply = await told(ask, request(f"confirm {asked.data['id']}", "reminders"))
    assert reply.data["scope"] == SCOPE


async def test_a_channel_has_one_digest_which_its_author_ends(ask: Ask, slack: Slack) -> None:
    assert (await told(ask, of("ann", "tomorrow at 9", "digest"))).outcome == "error"
    await stands(ask, "ann", "on", "digest")
    second = await told(ask, of("ben", "every Monday at 9", "digest"))
    assert second.outcome == "error"
    assert (await told(ask, of("ben", "off", "digest"))).outcome == "error"
    assert (await told(ask, of("ann", "关", "digest"))).outcome == "answer"
    assert (await told(ask, of("ann", "off", "digest"))).outcome == "error"


async def test_forgetting_a_person_forgets_what_they_asked_for(
    ask: Ask, bot: App, slack: Slack
) -> None:
    number = await stands(ask, "ann", "every Monday at 9 stand-up")
    await ask(request("", "forget", options={"user": "slack:ann"}))
    assert await bot.later.reminders.get(number) is None


class TestScheduledTable:
    @pytest.fixture
    def parser(self) -> LineParser | None:
        return None  # cells come out of the real sandbox

    async def test_a_question_about_a_sheet_is_computed_from_its_rows(
        self, ask: Ask, bot: App, send: Send, chat: FakeChat, slack: Slack
    ) -> None:
        file = send("plan.csv", "Item,State\nRoof,open\nDoor,done\n")
        await ask(request("", "upload", scope=SCOPE, attachments=(file,)))
        line = "every Monday at 9 post the open items of plan.csv here"
        number = await stands(ask, "ann", line)
        found = await bot.later.reminders.get(number)
        assert found is not None
        assert found.options == {"skill": "table", "document": "plan.csv"}
        chat.answer = "SELECT Item FROM plan WHERE State = 'open'"
        options = {**found.options, "reminder": number, "at": found.due_at, "zone": "UTC"}
        due = of("ann", found.text, "scheduled", options=options)
        _, reply = await ask(due)
        assert reply.outcome == "answer", reply.text
        assert "Roof" in reply.text
        assert "Door" not in reply.text
        assert found.text in reply.text
