"""Questions on the command line, answered by the running bot."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bot.adapters.local import ADDRESS_FILE, last_reply, running_bot
from bot.messages import Reply, Request
from tests.e2e.bot import Bot, documents

LAPTOP = "How soon must I report a lost laptop?"
TYPHOON = "台风橙色预警的时候怎么上班？"
UNKNOWN = "Who won the chess olympiad of 1998?"


def test_the_first_english_question_is_answered_with_its_source(bot: Bot) -> None:
    reply = bot.answer(LAPTOP)
    assert (reply["language"], reply["model"]) == ("en", "qwen2.5-coder-1.5b")
    assert "two hours" in reply["text"].lower()
    assert ("team-handbook.pdf", 4) in {
        (citation["document"], citation["page"]) for citation in reply["citations"]
    }
    assert {"retrieve", "first_token", "first_text", "total"} <= reply["timings_ms"].keys()


def test_the_first_chinese_question_is_answered_with_its_source(bot: Bot) -> None:
    reply = bot.answer(TYPHOON)
    assert reply["language"] == "zh"
    assert "员工手册.docx" in documents(reply)


def test_people_read_the_answer_and_where_it_stands(bot: Bot) -> None:
    shown = bot.command("ask", LAPTOP)
    assert shown.code == 0
    assert "[1]" in shown.out
    assert "team-handbook.pdf" in shown.out


@pytest.mark.parametrize(
    ("question", "language"), [(UNKNOWN, "en"), ("故宫博物院有多少件藏品？", "zh")]
)
def test_what_the_documents_dont_tell_is_refused(bot: Bot, question: str, language: str) -> None:
    reply = bot.json("ask", question)
    assert (reply["outcome"], reply["language"]) == ("refusal", language)
    assert reply["citations"] == []
    assert reply["text"]


def test_a_greeting_is_answered_from_the_truth(bot: Bot) -> None:
    reply = bot.answer("你好")
    assert reply["language"] == "zh"
    assert reply["citations"] == []


def test_a_known_document_is_summarised_with_citations(bot: Bot) -> None:
    bot.put("pier.md", "The old pier was built in 1921. Ferries leave from it every hour.\n")
    summary = bot.json("summarise", "pier.md")
    bot.take("pier.md")
    assert summary["text"]
    assert documents(summary) == {"pier.md"}


def test_a_channels_document_is_nobody_elses(bot: Bot) -> None:
    found = bot.json("sources", "--channel", "slack:-:T0TEAM:C0OTHER")
    assert {row["scope"] for row in found} == {"public"}
    refused = bot.command("search", "laptop", "--channel", "nowhere").sentence()
    assert "nowhere" in refused


def test_an_empty_question_asks_for_one(bot: Bot) -> None:
    assert bot.command("ask", "  ").sentence() == "Please write a question."


def test_a_question_of_100_000_characters_is_turned_away(bot: Bot) -> None:
    assert "100000" in bot.command("ask", "why? " * 20_000).sentence()
    assert "100000" in bot.command("search", "why? " * 20_000).sentence()


async def test_a_full_queue_says_busy_and_goes_on_when_the_others_leave(bot: Bot) -> None:
    remote = running_bot(bot.data / ADDRESS_FILE)
    assert remote is not None

    def asked(number: int) -> asyncio.Task[Reply]:
        request = Request(
            id=f"queue-{number}",
            platform="cli",
            command="ask",
            text=LAPTOP,
            user="cli",
            conversation=f"queue-{number}",
            scope="public",
            audience=frozenset({"public"}),
            history=(),
        )
        return asyncio.create_task(last_reply(remote.handle(request)))

    # One is answered, one may wait.
    waiting: set[asyncio.Task[Any]] = {asked(number) for number in range(3)}
    done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert {task.result().outcome for task in done} == {"busy"}
    for task in waiting:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    reply = await asyncio.to_thread(bot.answer, LAPTOP)
    assert "team-handbook.pdf" in documents(reply)


@pytest.fixture
def unreadable(bot: Bot, tmp_path: Path) -> dict[str, Path]:
    """Files that cannot be learned, by the code that says why."""
    files = {"empty": tmp_path / "nothing.md", "corrupt": tmp_path / "broken.pdf"}
    files["too_large"] = tmp_path / "huge.txt"
    files["unsupported"] = tmp_path / "program.exe"
    files["empty"].write_bytes(b"")
    files["corrupt"].write_bytes((bot.watched / "team-handbook.pdf").read_bytes()[:3000])
    with files["too_large"].open("wb") as file:
        file.truncate(60 << 20)
    files["unsupported"].write_bytes(b"MZ\x90\x00" + bytes(range(256)))
    return files


def test_files_that_cannot_be_read_say_why_and_the_bot_goes_on(
    bot: Bot, unreadable: dict[str, Path]
) -> None:
    folder = next(iter(unreadable.values())).parent
    report = bot.json("index", folder)
    assert {(each["code"], each["document"].rpartition("/")[2]) for each in report["failed"]} == {
        (code, file.name) for code, file in unreadable.items()
    }
    assert all(len(each["message"].splitlines()) == 1 for each in report["failed"])
    for file in unreadable.values():
        assert bot.command("summarise", file).sentence()
    assert "within two hours" in bot.found(LAPTOP)
