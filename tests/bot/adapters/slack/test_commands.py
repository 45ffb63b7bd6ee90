"""Commands, shortcuts, forms and the app's home."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.adapters.slack.work import Habits
from bot.messages import Reply, ReplyEvent, Request
from tests.bot.adapters.slack.bot import ANSWER, GENERAL, Held, Start, finished, says
from tests.doubles.slack import SlackDouble


async def test_summarise_is_acknowledged_before_the_work(slack: SlackDouble, start: Start) -> None:
    held = Held()
    bot = await start(held)
    ack = await slack.command("/summarise", "handbook.pdf")
    assert ack is not None
    assert ack["response_type"] == "in_channel"
    held.go.set()
    reply = await slack.reply(says("Sources:"), None)
    assert reply.channel == "C0GENERAL"
    assert (bot.requests[0].command, bot.requests[0].text) == ("summarise", "handbook.pdf")


@pytest.mark.parametrize(
    ("command", "text", "asked"),
    [
        ("/ask", "Why?", ("ask", "Why?")),
        ("/glm", "summarise a b.pdf", ("summarise", "a b.pdf")),
        ("/glm", "sources", ("sources", "")),
        ("/glm", "SEARCH leave", ("search", "leave")),
    ],
)
async def test_commands_name_their_handler(
    slack: SlackDouble, start: Start, command: str, text: str, asked: tuple[str, str]
) -> None:
    bot = await start()
    await slack.command(command, text)
    await slack.until(lambda: bot.requests)
    assert (bot.requests[0].command, bot.requests[0].text) == asked


async def test_an_unknown_verb_is_told_what_there_is(slack: SlackDouble, start: Start) -> None:
    bot = await start()
    ack = await slack.command("/glm", "dance")
    assert ack is not None
    assert "/summarise" in ack["text"]
    assert bot.requests == []


async def test_ask_is_answered_to_the_person_alone(slack: SlackDouble, start: Start) -> None:
    bot = await start()
    ack = await slack.command("/ask", "How many days?")
    assert ack is not None
    assert ack["response_type"] == "ephemeral"
    assert ack["text"]
    await slack.until(lambda: slack.responses)
    [response] = slack.responses
    assert response["response_type"] == "ephemeral"
    assert "ten days" in response["text"]
    assert slack.messages == []
    assert bot.requests[0].audience == {"public", GENERAL}


async def test_a_private_answer_can_be_shared(slack: SlackDouble, start: Start) -> None:
    slack.people["U0ANN"] = {"real_name": "Ann <@U0BEN>"}
    await start()
    await slack.command("/ask", "How many days?")
    await slack.until(lambda: slack.responses)
    await slack.click(slack.responses[0], "share")
    shared = await finished(slack, None)
    assert shared.channel == "C0GENERAL"
    assert "How many days?" in shared.markdown
    assert "You get ten days. [1]" in shared.markdown
    assert "Shared by Ann &lt;" in shared.markdown


async def test_a_private_answer_is_regenerated_in_its_place(
    slack: SlackDouble, start: Start
) -> None:
    bot = await start()
    await slack.command("/ask", "How many days?")
    await slack.until(lambda: slack.responses)
    await slack.click(slack.responses[0], "again")
    await slack.until(lambda: len(slack.responses) == 3)
    _, looking, again = slack.responses
    assert looking["replace_original"] is again["replace_original"] is True
    assert again["response_type"] == "ephemeral"
    assert "ten days" in again["text"]
    assert slack.messages == []
    first, second = bot.asked()
    assert (first.text, first.conversation) == (second.text, second.conversation)
    await slack.click(again, "share")
    await finished(slack, None)


async def test_a_long_private_answer_can_be_shared_and_regenerated(
    slack: SlackDouble, start: Start
) -> None:
    async def long(request: Request) -> AsyncIterator[ReplyEvent]:
        yield Reply("answer", "It takes ten days. " * 1000, "en")

    await start(long)
    await slack.command("/ask", "How many days?")
    await slack.until(lambda: len(slack.responses) == 3)
    assert "again" in str(slack.responses[-1]["blocks"])
    await slack.click(slack.responses[-1], "share")
    await slack.until(lambda: len(slack.messages) == 3)


async def test_a_web_page_is_learned_for_everybody_to_see(slack: SlackDouble, start: Start) -> None:
    page = "https://wiki.example/faq"

    async def learn(request: Request) -> AsyncIterator[ReplyEvent]:
        row = {"document": "d1", "name": page, "state": "ready"}
        yield Reply("answer", f"{page}: 3 passages, ready", "en", data=[row])

    bot = await start(learn)
    ack = await slack.command("/glm", f"learn <{page}>")
    assert ack is not None
    assert ack["response_type"] == "in_channel"
    receipt = await slack.reply(says("3 passages"), None)
    assert (bot.requests[0].command, bot.requests[0].text) == ("learn", page)
    assert bot.requests[0].scope == GENERAL
    assert "forget:0" in {element["action_id"] for _, element in receipt.elements()}


async def test_an_old_answer_can_no_longer_be_shared(slack: SlackDouble, start: Start) -> None:
    bot = await start()
    await slack.command("/ask", "How many days?")
    await slack.until(lambda: slack.responses)
    bot.recalled.forget()
    await slack.click(slack.responses[0], "share")
    await slack.until(lambda: len(slack.responses) == 2)
    assert "no longer" in slack.responses[1]["text"]
    assert slack.messages == []


async def test_in_a_direct_message_there_is_nobody_to_share_with(
    slack: SlackDouble, start: Start
) -> None:
    await start()
    await slack.command("/ask", "How many days?", channel="D0ANN")
    await slack.until(lambda: slack.responses)
    assert "share" not in str(slack.responses[0]["blocks"])


async def test_ask_without_a_question_opens_a_form(slack: SlackDouble, start: Start) -> None:
    bot = await start()
    await slack.command("/ask")
    await slack.until(lambda: slack.views)
    question = {"type": "plain_text_input", "value": "How many days?"}
    where = {"type": "radio_buttons", "selected_option": {"value": "me"}}
    await slack.submit({"question": {"question": question}, "where": {"where": where}})
    await slack.until(lambda: slack.responses)
    assert "ten days" in slack.responses[0]["text"]
    assert slack.messages == []
    await slack.command("/ask")
    await slack.until(lambda: len(slack.views) == 2)
    where = {"type": "radio_buttons", "selected_option": {"value": "all"}}
    await slack.submit({"question": {"question": question}, "where": {"where": where}})
    await finished(slack, None)
    assert [request.text for request in bot.asked()] == ["How many days?"] * 2


async def test_summarise_without_a_name_opens_a_form_with_the_documents(
    slack: SlackDouble, start: Start
) -> None:
    async def script(request: Request) -> AsyncIterator[ReplyEvent]:
        if request.command == "sources":
            rows = [{"id": "d1", "document": "travel.md"}, {"id": "d2", "document": "请假.docx"}]
            yield Reply("answer", "two", "en", data=rows)
        else:
            yield ANSWER

    bot = await start(script)
    await slack.command("/summarise")
    await slack.until(lambda: slack.views)
    options = await slack.suggest("document", "请")
    assert options is not None
    assert [each["value"] for each in options["options"]] == ["d2"]
    errors = await slack.submit({"document": {"document": {"type": "external_select"}}})
    assert errors is not None
    assert errors["response_action"] == "errors"
    chosen = {"type": "external_select", "selected_option": options["options"][0]}
    await slack.submit({"document": {"document": chosen}})
    await finished(slack, None)
    assert [request.text for request in bot.asked("summarise")] == ["d2"]


@pytest.mark.parametrize("command", ["forget", "reindex", "sources", "status"])
async def test_an_administrator_is_known_as_one(
    slack: SlackDouble, start: Start, command: str
) -> None:
    bot = await start()
    slack.people["U0ANN"] = {"is_admin": True}
    await slack.command("/glm", f"{command} notes.md")
    await slack.until(lambda: slack.responses)
    assert bot.requests[0].is_admin
    slack.people["U0ANN"] = {}
    await slack.command("/glm", f"{command} notes.md")
    await slack.until(lambda: len(slack.responses) == 2)
    assert not bot.requests[1].is_admin


async def test_help_says_what_works_in_slack(slack: SlackDouble, start: Start) -> None:
    await start()
    for language, locale in (("shortcuts", "en-US"), ("快捷操作", "zh-CN")):
        slack.locales[f"U0{locale[:2]}"] = locale
        ack = await slack.command("/glm", "help", user=f"U0{locale[:2]}")
        assert ack is not None
        assert language in ack["text"]
        assert "reindex" in ack["text"]


async def test_a_command_where_the_bot_is_not_is_answered_to_the_person(
    slack: SlackDouble, start: Start
) -> None:
    await start()
    slack.channels["C0SECOND"] = {"is_member": False}
    await slack.command("/ask", "Why?", channel="C0SECOND")
    await slack.until(lambda: slack.responses)
    [response] = slack.responses
    assert "ten days" in response["text"]
    assert response["response_type"] == "ephemeral"
    assert slack.messages == []


# Shortcuts


async def test_a_message_can_be_summarised(slack: SlackDouble, start: Start) -> None:
    bot = await start()
    file = slack.add_file("rules.txt", b"ten days", "text/plain")
    with_file = await slack.say("Our rules", files=[file], channel="C0SECOND")
    await slack.until(lambda: bot.asked("upload"))
    await slack.shortcut("summarise", with_file, channel="C0SECOND")
    await slack.until(lambda: len(bot.asked("summarise")) == 1)
    root = await slack.say("We have to decide about the pier")
    await slack.shortcut("summarise", root)
    await finished(slack, root)
    of_file, of_thread = bot.asked("summarise")
    assert of_file.attachments[0].name == "rules.txt"
    assert of_thread.attachments[0].reference == f"thread:C0GENERAL/{root}"
    assert of_thread.audience == {"public", GENERAL}


async def test_a_thread_can_be_remembered(slack: SlackDouble, start: Start, tmp_path: Path) -> None:
    bot = await start()
    slack.people["U0ANN"] = {"real_name": "Ann"}
    root = await slack.say("We have to decide about the <#C1|pier>")
    await slack.say("Let us keep it", thread_ts=root, user="U0BEN")
    await slack.shortcut("remember", root)
    await slack.until(lambda: bot.asked("remember"))
    [attachment] = bot.asked("remember")[0].attachments
    await bot.adapter.download(attachment, tmp_path / "thread", 1000)
    written = await asyncio.to_thread((tmp_path / "thread").read_text, encoding="utf-8")
    assert "Ann, " in written
    assert "We have to decide about the #pier" in written
    assert "Let us keep it" in written
    assert f"https://team.slack.com/archives/C0GENERAL/p{root.replace('.', '')}" in written


async def test_a_message_can_be_asked_about(slack: SlackDouble, start: Start) -> None:
    bot = await start()
    root = await slack.say("The limit is 120 a night")
    await slack.shortcut("ask_about", root)
    await slack.until(lambda: slack.views)
    question = {"type": "plain_text_input", "value": "Is that right?"}
    await slack.submit({"question": {"question": question}})
    await finished(slack, root)
    [asked] = bot.asked()
    assert asked.text.startswith("Is that right?")
    assert "The limit is 120 a night" in asked.text


# The app's home and the agent's pane


async def test_the_home_shows_what_the_bot_is_and_knows(slack: SlackDouble, start: Start) -> None:
    async def script(request: Request) -> AsyncIterator[ReplyEvent]:
        text = {"status": "All is well.", "sources": "handbook.pdf · 34 passages"}
        yield Reply("answer", text.get(request.command, "?"), "en")

    bot = await start(script)
    slack.members["U0ANN"] = ["C0SECOND"]
    await slack.open_home("home")
    await slack.until(lambda: "U0ANN" in slack.homes)
    shown = str(slack.homes["U0ANN"])
    assert "All is well." in shown
    assert "handbook.pdf · 34 passages" in shown
    [listed] = bot.asked("sources")
    assert listed.audience == {"public", "slack:-:T0TEAM:D0ANN", "slack:-:T0TEAM:C0SECOND"}


async def test_the_agents_pane_suggests_questions(slack: SlackDouble, start: Start) -> None:
    await start(habits=Habits(prompts=("How many days?", "谁批准休假？")))
    await slack.open_home("messages")
    await slack.until(lambda: "D0ANN" in slack.prompts)
    messages = [each["message"] for each in slack.prompts["D0ANN"]["prompts"]]
    assert messages[:2] == ["How many days?", "谁批准休假？"]
    assert "thread_ts" not in slack.prompts["D0ANN"]
