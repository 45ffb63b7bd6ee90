"""Table questions: the answer is computed, shows its query and rows, and keeps to the audience."""

from __future__ import annotations

import pytest

from bot.app import App
from bot.messages import Status
from bot.render import plain
from tests.bot.fakes import FakeChat, request
from tests.bot.handlers.conftest import Ask, Send
from tests.fakes import LineParser

ROOMS = """Room 会议室,Office,Seats
Egret 白鹭,Xiamen 厦门,16
Curlew 杓鹬,Xiamen 厦门,6
Stork 白鹳,Rotterdam 鹿特丹,10
Tern | 燕鸥,Rotterdam 鹿特丹,2
Total,,34
"""
HERE = frozenset({"public", "slack:E:T:C"})


@pytest.fixture
def parser() -> LineParser | None:
    return None


@pytest.fixture
async def taught(bot: App, ask: Ask, send: Send) -> App:
    file = send("rooms.csv", ROOMS)
    _, reply = await ask(request("", "upload", scope="slack:E:T:C", attachments=(file,)))
    assert reply.outcome == "answer", reply.text
    return bot


async def test_an_answer_is_computed_and_shows_its_query_and_its_rows(
    taught: App, ask: Ask, chat: FakeChat
) -> None:
    chat.answer = "```sql\nSELECT sum(Seats) FROM rooms WHERE Office = 'Xiamen'\n```"
    events, reply = await ask(request("How many seats in Xiamen?", "table", audience=HERE))
    assert reply.outcome == "answer", reply.text
    assert reply.data["rows"] == [[22]]
    assert reply.data["sql"] == "SELECT sum(Seats) FROM rooms WHERE Office = 'Xiamen 厦门'"
    assert reply.data["rests_on"]["count"] == 2
    shown = plain(reply)
    assert "22" in shown
    assert reply.data["sql"] in shown
    assert "Egret 白鹭" in shown
    assert "Stork" not in reply.text
    assert [citation.document for citation in reply.citations] == ["rooms.csv"]
    assert any(isinstance(event, Status) for event in events)


async def test_rows_that_are_compared_come_with_a_picture(
    taught: App, ask: Ask, chat: FakeChat
) -> None:
    chat.answer = "SELECT Room, Seats FROM rooms ORDER BY Seats"
    _, reply = await ask(request("Compare the seats of each room", "table", audience=HERE))
    assert reply.data["rows"][0] == ["Tern | 燕鸥", 2]
    assert "Tern \\| 燕鸥" in reply.text  # one cell of the table, not two
    (picture,) = reply.files or (None,)
    if picture is not None:  # without a font for Han characters there is none
        assert picture.content.startswith(b"\x89PNG")
        assert picture.about


async def test_a_query_that_fails_is_written_once_more_with_the_reason(
    taught: App, ask: Ask, chat: FakeChat
) -> None:
    chat.answer = "SELECT Chairs FROM rooms"
    _, reply = await ask(request("每个会议室有多少椅子？", "table", audience=HERE))
    assert reply.outcome == "refusal"
    assert reply.language == "zh"
    assert reply.data["sql"] == "SELECT Chairs FROM rooms"
    first, second = chat.prompts[-2:]
    assert len(second) == len(first) + 2
    assert "Chairs" in str(second[-1].content)


@pytest.mark.parametrize(
    "answer",
    [
        "I don't know.",
        "SELECT NULL AS not_in_the_table",
        "DROP TABLE rooms",
        "SELECT content FROM read_text('/etc/passwd')",
        "SELECT Room FROM rooms WHERE Seats > 1000",
        "SELECT max(Seats) FROM rooms WHERE Office = 'Oslo'",
    ],
)
async def test_what_gives_no_rows_is_refused(
    taught: App, ask: Ask, chat: FakeChat, answer: str
) -> None:
    chat.answer = answer
    _, reply = await ask(request("Which rooms seat a thousand?", "table", audience=HERE))
    assert reply.outcome == "refusal"
    assert "root:" not in reply.text


async def test_a_sheet_that_may_not_be_seen_is_as_if_it_were_not_there(
    taught: App, ask: Ask, chat: FakeChat
) -> None:
    chat.prompts.clear()
    asked = request("How many seats in Xiamen?", "table")
    _, reply = await ask(asked)
    _, named = await ask(request("How many seats?", "table", options={"document": "rooms.csv"}))
    assert (reply.outcome, named.outcome) == ("refusal", "error")
    assert not chat.prompts
    assert "Egret" not in reply.text + named.text


async def test_a_document_can_be_named_and_must_have_tables(
    taught: App, ask: Ask, send: Send, chat: FakeChat
) -> None:
    await ask(request("", "upload", attachments=(send("notes.md", "# Seats\n\nNone.\n"),)))
    chat.answer = "SELECT count(*) FROM rooms"
    options = {"document": "rooms.csv"}
    _, reply = await ask(request("How many?", "table", audience=HERE, options=options))
    assert reply.data["rows"] == [[4]]
    options = {"document": "notes.md"}
    _, reply = await ask(request("How many?", "table", audience=HERE, options=options))
    assert (reply.outcome, reply.data["reason"]) == ("refusal", "no_document")
    _, reply = await ask(request(" ", "table"))
    assert reply.outcome == "error"


async def test_a_watched_sheet_is_read_where_it_lies_unless_it_has_changed(
    bot: App, ask: Ask, chat: FakeChat
) -> None:
    file = bot.folders[0].path / "rooms.csv"
    file.write_text(ROOMS, encoding="utf-8")
    await ask(request("", "index"))
    chat.answer = "SELECT count(*) FROM rooms"
    _, reply = await ask(request("How many rooms?", "table"))
    assert reply.data["rows"] == [[4]]
    file.write_text(ROOMS.replace("Egret", "Eagle"), encoding="utf-8")
    _, reply = await ask(request("How many rooms?", "table"))
    assert (reply.outcome, reply.data["reason"]) == ("refusal", "unreadable")
