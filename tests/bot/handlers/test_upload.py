from __future__ import annotations

from pathlib import Path

import pytest

from bot.app import App
from bot.handlers.naming import document_name
from bot.messages import Attachment, Status
from rag.audience import Audience
from tests.bot.fakes import request
from tests.bot.handlers.conftest import Ask, Send

KEYS = {"document", "name", "state", "pages", "passages", "version", "code", "message"}


@pytest.mark.parametrize("parser", [None])
async def test_every_file_has_a_receipt_and_one_that_fails_stops_no_other(
    ask: Ask, send: Send, parser: None
) -> None:
    files = (
        send("a.md", "Alpha."),
        send("broken.pdf", b"%PDF-1.7 no more"),
        send("empty.txt", ""),
        send("big.txt", b"x" * 1_100_000),
        send("program.exe", b"MZ\0\0\x90\0\3\0\0\0"),
        Attachment("gone.txt", 3, "/no/such/file"),
        send("b.md", "Beta."),
    )
    events, reply = await ask(request("", "upload", attachments=files))
    assert reply.outcome == "answer"
    rows = {row["name"]: row for row in reply.data}
    assert list(rows) == [file.name for file in files]
    assert {name: row["state"] for name, row in rows.items() if row["state"] != "failed"} == {
        "a.md": "ready",
        "b.md": "ready",
    }
    assert {name: row["code"] for name, row in rows.items() if row["state"] == "failed"} == {
        "broken.pdf": "corrupt",
        "empty.txt": "empty",
        "big.txt": "too_large",
        "program.exe": "unsupported",
        "gone.txt": "unreadable",
    }
    assert all(row.keys() == KEYS for row in rows.values())
    lines = reply.text.splitlines()
    assert len(lines) == len(files)
    assert all(file.name in line for file, line in zip(files, lines, strict=True))
    assert any(isinstance(event, Status) and event.total for event in events)


async def test_the_same_file_again_is_known(ask: Ask, send: Send) -> None:
    file = send("a.md", "Alpha.")
    _, first = await ask(request("", "upload", attachments=(file,)))
    _, second = await ask(request("", "upload", attachments=(file,)))
    assert [first.data[0]["state"], second.data[0]["state"]] == ["ready", "known"]
    assert first.data[0]["document"] == second.data[0]["document"]


async def test_when_no_file_is_learned_the_reply_is_an_error(ask: Ask, send: Send) -> None:
    _, reply = await ask(request("", "upload", attachments=(send("empty.txt", ""),)))
    assert reply.outcome == "error"
    assert reply.data[0]["code"] == "empty"


async def test_reasons_are_in_the_language_of_the_interface(ask: Ask, send: Send) -> None:
    file = send("empty.txt", "")
    _, reply = await ask(request("", "upload", language="zh", attachments=(file,)))
    assert "文件是空的" in reply.text
    assert reply.data[0]["message"] in reply.text


async def test_without_a_file_one_is_asked_for(ask: Ask) -> None:
    _, reply = await ask(request("", "upload"))
    assert reply.outcome == "error"


async def test_a_file_belongs_to_the_scope_of_its_message(bot: App, ask: Ask, send: Send) -> None:
    scope = "slack:E:T:C"
    await ask(request("", "upload", scope=scope, attachments=(send("a.md", "Alpha."),)))
    (record,) = bot.records.sources(Audience.of({scope}))
    assert record.scope == scope
    assert not bot.records.knows_any(Audience.of({"public"}))
    assert bot.records.knows_any(Audience.of({scope}))


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a.md", "a.md"),
        ("../../etc/a.md", "a.md"),
        ("C:\\docs\\a.md", "a.md"),
        ("a\n\0b\x7f.md", "ab.md"),
        ("invoice\u202efdp.md", "invoicefdp.md"),
        ("..", "file"),
        ("docs/", "file"),
        ("", "file"),
        ("员工手册.docx", "员工手册.docx"),
        ("x" * 300 + ".md", "x" * 252 + ".md"),
    ],
)
def test_a_document_is_called_by_the_plain_last_part_of_its_name(sent: str, kept: str) -> None:
    assert document_name(sent) == kept


async def test_a_name_with_a_path_names_no_place(ask: Ask, send: Send, tmp_path: Path) -> None:
    before = {path for path in tmp_path.iterdir() if path.name != "sent"}
    file = send("sent", "Alpha.", shown="../../../evil\0\n.md")
    _, reply = await ask(request("", "upload", attachments=(file,)))
    assert [row["name"] for row in reply.data] == ["evil.md"]
    assert "\n" not in reply.text
    assert {path for path in tmp_path.iterdir() if path.name != "sent"} == before


async def test_an_upload_that_is_given_up_is_finished(bot: App, ask: Ask, send: Send) -> None:
    events = bot.dispatcher.handle(request("", "upload", attachments=(send("a.md", "Alpha."),)))
    async for event in events:
        if isinstance(event, Status) and event.total:
            break
    await events.aclose()
    _, reply = await ask(request("", "sources"))
    assert [row["state"] for row in reply.data] == ["ready"]
