"""A channel's settings: who may change them, what they change, and that nothing is widened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from bot.app import App, known_sources, opened
from bot.handlers.configure import Configure
from bot.messages import Attachment, Reply, Request
from bot.tables import setting_change
from rag.language import language_of
from tests.bot.fakes import MODELS, FakeChat, FakeEmbeddings, collect, request, settings, use
from tests.fakes import LineParser

HERE = "slack:E:T:C"
WATCHED = {
    "handbook": ("public", "A lost laptop is reported within one hour."),
    "minutes": ("public", "A lost laptop was discussed at length on Monday."),
    "hr": ("folder:hr", "A lost laptop is taken off nobody's salary."),
}


@pytest.fixture
def chat() -> FakeChat:
    return FakeChat()


@pytest.fixture
def second() -> FakeChat:
    return FakeChat(answer="A lost laptop is reported within one hour.")


@pytest.fixture
async def bot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chat: FakeChat, second: FakeChat
) -> AsyncIterator[App]:
    """A bot with three folders, one of which no channel sees, and a second chat model."""
    use(monkeypatch, chat=chat, embeddings=FakeEmbeddings())
    monkeypatch.setattr(
        "bot.app.chat_model", lambda chosen: second if chosen.chat_model == "second" else chat
    )
    monkeypatch.setattr("bot.app.Sandbox", lambda **limits: LineParser())
    folders = []
    for name, (scope, text) in WATCHED.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.md").write_text(f"{text}\n", encoding="utf-8")
        folders.append({"path": tmp_path / name, "name": name, "scope": scope})
    models = {**MODELS, "second": MODELS["chat"], "third": MODELS["chat"]}
    chosen = settings(tmp_path, folders=folders, models=models, channel_models=["second"])
    async with opened(chosen) as app:
        _, reply = await collect(app.dispatcher.handle(request("", "index")))
        assert reply.outcome == "answer"
        yield app


def said(text: str = "", command: str = "ask", **more: Any) -> Request:
    """Return a request of a member of the channel, who administers nothing."""
    values = {"platform": "slack", "user": "U1", "scope": HERE, "is_admin": False}
    return request(text, command, audience=frozenset({"public", HERE}), **{**values, **more})


async def told(bot: App, asked: Request) -> Reply:
    return (await collect(bot.dispatcher.handle(asked)))[1]


async def chosen(bot: App, text: str = "", *, platform: str = "slack", **options: Any) -> Reply:
    """Have an admin of the channel change a setting."""
    who = {"is_admin": True, "user": "UADMIN", "platform": platform}
    return await told(bot, said(text, "settings", options=options, **who))


async def documents(bot: App, **more: Any) -> set[str]:
    """Return what is listed in the channel."""
    return {row["document"] for row in (await told(bot, said("", "sources", **more))).data}


async def test_anybody_sees_them_and_only_admins_change_them(bot: App) -> None:
    shown = await told(bot, said("", "settings"))
    assert shown.outcome == "answer"
    assert "tone: plain" in shown.text
    refused = await told(bot, said("tone formal", "settings"))
    assert refused.outcome == "error"
    assert (await told(bot, said("", "settings"))).text == shown.text
    assert (await chosen(bot, "tone formal")).outcome == "answer"
    assert "tone: formal" in (await told(bot, said("", "settings"))).text


@pytest.mark.parametrize("scope", ["slack:E:T:D012", "discord:@me:77"])
async def test_a_person_changes_their_own_direct_message(bot: App, scope: str) -> None:
    reply = await told(bot, said("tone formal", "settings", scope=scope))
    assert reply.outcome == "answer"


async def test_each_channel_has_its_own_and_they_survive(bot: App) -> None:
    await chosen(bot, "tone formal")
    elsewhere = said("", "settings", scope="slack:E:T:OTHER")
    assert "tone: plain" in (await told(bot, elsewhere)).text
    assert "tone: plain" in (await told(bot, request("", "settings"))).text
    again = type(bot.channels)(bot.writer)
    again.load(bot.engine)
    assert again.of(said()).tone == "formal"


@pytest.mark.parametrize(
    ("text", "name"),
    [("language 中文", "language"), ("语言 zh", "language"), ("语言：中文", "language")],
)
async def test_the_language_is_the_answers_and_what_the_model_is_told(
    bot: App, chat: FakeChat, text: str, name: str
) -> None:
    assert (await chosen(bot, text)).language == "zh"
    await told(bot, said("How soon is a lost laptop reported?"))
    system, *_, asked = (str(message.content) for message in chat.prompts[-1])
    assert "in Chinese" in system
    assert "用中文回答" in asked
    chat.answer = ""
    reply = await told(bot, said("How soon is a lost laptop reported?"))
    assert reply.language == language_of(reply.text) == "zh"
    summary = await told(bot, said("handbook.md", "summarise"))
    assert summary.language == "zh"


async def test_without_a_choice_the_question_decides(bot: App, chat: FakeChat) -> None:
    await chosen(bot, language="zh")
    await chosen(bot, language="auto")
    await told(bot, said("How soon is a lost laptop reported?"))
    assert "in the language of the question" in str(chat.prompts[-1][0].content)


@pytest.mark.parametrize("command", ["ask", "summarise", "write"])
async def test_the_tone_is_what_the_model_is_told(bot: App, chat: FakeChat, command: str) -> None:
    texts = {"ask": "How soon is a lost laptop reported?", "summarise": "handbook.md"}
    asked = texts.get(command, "A note")
    await told(bot, said(asked, command))
    assert "tone" not in str(chat.prompts[-1][0].content)
    await chosen(bot, tone="formal")
    await told(bot, said(asked, command))
    assert "formal" in str(chat.prompts[-1][0].content)


async def test_a_channel_is_answered_by_the_model_it_chose(
    bot: App, chat: FakeChat, second: FakeChat
) -> None:
    await chosen(bot, "model second")
    assert not bot.others["second"].opening.done
    reply = await told(bot, said("How soon is a lost laptop reported?"))
    assert reply.model == "second"
    assert reply.outcome == "answer", reply.text
    assert second.prompts
    assert not chat.prompts
    assert "second" in (await told(bot, said("", "status"))).text
    elsewhere = said("How soon is a lost laptop reported?", scope="slack:E:T:OTHER")
    assert (await told(bot, elsewhere)).model == "chat"


@pytest.mark.parametrize("name", ["third", "no-such-model", "embedder"])
async def test_a_model_that_is_not_offered_is_refused_with_what_is(bot: App, name: str) -> None:
    reply = await chosen(bot, f"model {name}")
    assert reply.outcome == "error"
    assert name in reply.text
    assert "second" in reply.text
    assert bot.channels.of(said()).model is None


async def test_folders_narrow_what_answers(bot: App, chat: FakeChat) -> None:
    assert await documents(bot) == {"handbook.md", "minutes.md"}
    await chosen(bot, "folders minutes")
    assert await documents(bot) == {"minutes.md"}
    reply = await told(bot, said("lost laptop", "search"))
    assert {row["document"] for row in reply.data} == {"minutes.md"}
    await told(bot, said("How soon is a lost laptop reported?"))
    assert "one hour" not in str(chat.prompts)
    unknown = await told(bot, said("handbook.md", "summarise"))
    assert unknown.outcome == "error"
    assert await documents(bot, scope="slack:E:T:OTHER") == {"handbook.md", "minutes.md"}
    await chosen(bot, folders="all")
    assert await documents(bot) == {"handbook.md", "minutes.md"}


@pytest.mark.parametrize("platform", ["slack", "web"])
async def test_all_that_lists_documents_agrees_on_the_folders(bot: App, platform: str) -> None:
    await chosen(bot, "folders minutes", platform=platform)
    place = {"platform": platform}
    alone = await known_sources(bot.settings, said("", "sources", **place))
    assert [row["document"] for row in alone.data] == ["minutes.md"]
    assert await documents(bot, **place) == {"minutes.md"}
    assert (await told(bot, said("", "status", **place))).data["documents"] == 1
    found = await told(bot, said("lost laptop", "search", **place))
    assert {row["document"] for row in found.data} == {"minutes.md"}


async def test_what_was_sent_to_the_channel_answers_whatever_folders_do(
    bot: App, tmp_path: Path
) -> None:
    file = tmp_path / "sent.md"
    file.write_text("The bikes are behind the house.\n", encoding="utf-8")
    sent = (Attachment(file.name, None, str(file)),)
    await told(bot, request("", "upload", scope=HERE, attachments=sent))
    await chosen(bot, "folders minutes")
    assert await documents(bot) == {"minutes.md", "sent.md"}


async def test_folders_never_widen_what_may_be_seen(bot: App) -> None:
    refused = await chosen(bot, "folders hr")
    assert refused.outcome == "error"
    assert refused.text == (await chosen(bot, "folders xx")).text.replace("xx", "hr")
    # Even where it was chosen when the folder had another scope.
    await bot.channels.change(said(), {"folders": ["hr", "minutes"]})
    assert await documents(bot) == {"minutes.md"}
    await bot.channels.change(said(), {"folders": ["hr"]})
    assert await documents(bot) == set()


@pytest.mark.parametrize("command", ["upload", "remember", "learn"])
async def test_teaching_is_for_whom_the_channel_lets(bot: App, command: str) -> None:
    async def may(user: str) -> bool:
        asked = said("", command, user=user)
        refusal = bot.dispatcher.forbids(asked)
        text = (await told(bot, asked)).text
        assert refusal is None or refusal.text == text
        return refusal is None

    assert await may("U1")
    await chosen(bot, "teach admins")
    assert not await may("U1")
    await chosen(bot, "teach slack:U1, slack:U2")
    assert await may("U1")
    assert not await may("U3")
    await chosen(bot, "teach anyone")
    assert await may("U3")


async def test_a_channel_lets_nobody_teach_whom_the_configuration_does_not(bot: App) -> None:
    handler = Configure(
        bot.channels, folders={}, models=["chat"], may_change="admins", may_teach="admins"
    )
    asked = said("teach slack:U1", "settings", is_admin=True)
    _, reply = await collect(handler.handle(asked, "en"))
    assert reply.outcome == "error"
    asked = said("teach 任何人", "settings", is_admin=True)
    _, reply = await collect(handler.handle(asked, "zh"))
    assert reply.outcome == "answer"
    assert bot.channels.of(asked).teach == "anyone"


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("language fr", ""),
        ("tone loud", ""),
        ("folders nowhere", "minutes"),
        ("teach everybody-else", "slack:U012"),
        ("volume 11", ""),
        ("tone", ""),
    ],
)
async def test_what_cannot_be_meant_is_told_with_what_can(
    bot: App, language: Any, text: str, allowed: str
) -> None:
    reply = await told(bot, said(text, "settings", is_admin=True, language=language))
    assert reply.outcome == "error"
    assert allowed in reply.text
    assert reply.language == language
    assert (max(reply.text) >= "\u4e00") == (language == "zh")
    assert not await bot.channels.history(said(), 5)


async def test_the_history_says_who_changed_what_and_when(bot: App) -> None:
    await chosen(bot, "tone formal")
    await chosen(bot, "tone formal")
    await chosen(bot, tone="friendly", language="zh")
    english = await told(bot, said("history", "settings", options={}))
    assert english.language == "zh"  # as the channel chose
    rows = english.data["history"]
    assert [(row["setting"], row["old"], row["new"]) for row in rows] == [
        ("tone", "formal", "friendly"),
        ("language", None, "zh"),
        ("tone", None, "formal"),
    ]
    assert {row["who"] for row in rows} == {"slack:UADMIN"}
    assert all(row["when"].endswith("+00:00") for row in rows)
    assert "slack:UADMIN" in english.text
    assert "正式 → 亲切" in english.text


async def test_a_person_who_is_forgotten_is_not_named_any_more(bot: App) -> None:
    await chosen(bot, "tone formal")
    reply = await told(bot, request("", "forget", options={"user": "slack:UADMIN"}))
    assert reply.outcome == "answer"
    (change,) = await bot.channels.history(said(), 5)
    assert change.who == ""
    assert bot.channels.of(said()).tone == "formal"


async def test_a_backup_brings_back_settings_but_undoes_no_later_change(
    bot: App, tmp_path: Path
) -> None:
    await chosen(bot, "tone formal")
    await chosen(bot, "language zh")
    await chosen(bot, "teach admins")
    file = str(tmp_path / "backup")
    assert (await told(bot, request(file, "backup"))).outcome == "answer"
    await chosen(bot, "语气 亲切")
    with bot.engine.begin() as connection:  # as on another machine, or after a loss
        connection.execute(delete(setting_change).where(setting_change.c.name == "language"))
    bot.channels.load(bot.engine)
    assert bot.channels.of(said()).language is None
    assert (await told(bot, request(file, "restore"))).outcome == "answer"
    now = bot.channels.of(said())
    assert (now.tone, now.language, now.teach) == ("friendly", "zh", "admins")
    assert [change.name for change in await bot.channels.history(said(), 9)].count("teach") == 1
