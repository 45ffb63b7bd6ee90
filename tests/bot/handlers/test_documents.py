"""Listing, searching, forgetting and indexing: what is known, through the handlers."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from bot.app import App, known_sources, opened
from bot.messages import Attachment, Status
from tests.bot.fakes import FakeChat, FakeEmbeddings, collect, request, settings, use
from tests.bot.handlers.conftest import Ask, Send
from tests.fakes import LineParser

CHANNEL = "slack:E:T:C"
HERE = frozenset({"public", CHANNEL})


async def upload(ask: Ask, send: Send, name: str, text: str, scope: str = "public") -> str:
    attached = (send(name, text),)
    _, reply = await ask(request("", "upload", scope=scope, attachments=attached))
    return str(reply.data[0]["document"])


async def test_sources_lists_what_the_audience_may_see(ask: Ask, send: Send) -> None:
    await upload(ask, send, "a.md", "Alpha.")
    await upload(ask, send, "b.md", "Beta.", CHANNEL)
    _, public = await ask(request("", "sources"))
    _, here = await ask(request("", "sources", audience=HERE))
    assert [row["document"] for row in public.data] == ["a.md"]
    assert [(row["document"], row["scope"]) for row in here.data] == [
        ("a.md", "public"),
        ("b.md", CHANNEL),
    ]
    assert here.text.count("\n") == 1


async def test_sources_has_every_promised_key(ask: Ask, send: Send) -> None:
    await upload(ask, send, "a.md", "Alpha.")
    _, reply = await ask(request("", "sources"))
    (row,) = reply.data
    promised = {"document", "scope", "version", "chunks", "bytes", "indexed_at", "state"}
    assert row.keys() - promised == {
        "id",
        "pages",
        "message",
        "done",
        "total",
        "taught_by",
        "taught_at",
    }
    assert promised <= row.keys()
    assert (row["version"], row["chunks"], row["bytes"], row["state"]) == (1, 1, 6, "ready")


async def test_a_document_that_failed_is_listed_with_the_reason(ask: Ask, send: Send) -> None:
    await upload(ask, send, "empty.txt", "")
    _, reply = await ask(request("", "sources", language="zh"))
    assert (reply.data[0]["state"], reply.data[0]["message"]) == ("failed", "文件是空的")
    assert "文件是空的" in reply.text


async def test_sources_answers_while_the_model_is_busy_and_nothing_is_open(
    bot: App, ask: Ask, chat: FakeChat
) -> None:
    bot.dispatcher._answering.join("somebody else")
    _, reply = await ask(request("", "sources"))
    assert reply.data == []
    assert reply.text
    assert not bot.knowledge.done


async def test_search_gives_the_best_passages_first(ask: Ask, send: Send) -> None:
    await upload(ask, send, "a.md", "# Food\n\nApples are red.")
    await upload(ask, send, "b.md", "# Travel\n\nTrains leave at noon.")
    await upload(ask, send, "c.md", "Trains to the secret base.", CHANNEL)
    _, reply = await ask(request("When do trains leave?", "search"))
    assert [row["document"] for row in reply.data] == ["b.md", "a.md"]
    first = reply.data[0]
    assert first.keys() == {"document", "page", "section", "text", "start", "end", "score"}
    assert first["end"] - first["start"] == len(first["text"])
    assert first["score"] >= reply.data[1]["score"]
    _, one = await ask(request("When do trains leave?", "search", options={"k": 1}))
    assert len(one.data) == 1


@pytest.mark.parametrize("k", [0, -5, 10**9])
async def test_search_takes_any_number(ask: Ask, send: Send, k: int) -> None:
    await upload(ask, send, "a.md", "Apples are red.")
    _, reply = await ask(request("apples", "search", options={"k": k}))
    assert len(reply.data) == 1


async def test_an_empty_search_is_told(ask: Ask) -> None:
    _, reply = await ask(request("  ", "search"))
    assert reply.outcome == "error"
    _, nothing = await ask(request("apples", "search"))
    assert (nothing.outcome, nothing.data) == ("answer", [])
    assert nothing.text


async def test_forgetting_gives_a_receipt_and_leaves_nothing(ask: Ask, send: Send) -> None:
    await upload(ask, send, "a.md", "Apples are red.")
    await upload(ask, send, "a.md", "Apples are green.")
    _, reply = await ask(request("a.md", "forget"))
    promised = {"document", "versions", "chunks", "rows", "files", "verified", "erased"}
    assert reply.data.keys() == promised
    assert (reply.data["rows"], reply.data["files"], reply.data["erased"]) == (1, 1, True)
    assert (reply.data["document"], reply.data["verified"]) == ("a.md", True)
    assert "a.md" in reply.text
    _, left = await ask(request("", "sources"))
    _, found = await ask(request("apples", "search"))
    assert (left.data, found.data) == ([], [])


@pytest.mark.parametrize("reference", ["b.md", "no-such.md"])
async def test_what_the_audience_may_not_see_is_as_unknown_as_what_is_not_there(
    ask: Ask, send: Send, reference: str
) -> None:
    secret = await upload(ask, send, "b.md", "Beta.", CHANNEL)
    for name in (reference, secret):
        _, reply = await ask(request(name, "forget"))
        assert reply.outcome == "error"
        assert reply.text.replace(name, "") == "I know no document called “” here."
    _, here = await ask(request("", "sources", audience=HERE))
    assert len(here.data) == 1


async def test_a_name_of_two_documents_needs_an_id(ask: Ask, send: Send) -> None:
    await upload(ask, send, "a.md", "Alpha.")
    identity = await upload(ask, send, "a.md", "Beta.", CHANNEL)
    _, reply = await ask(request("a.md", "forget", audience=HERE))
    assert reply.outcome == "error"
    _, reply = await ask(request(identity, "forget", audience=HERE))
    assert reply.data["document"] == "a.md"
    _, left = await ask(request("", "sources", audience=HERE))
    assert [row["scope"] for row in left.data] == ["public"]


async def test_forget_without_a_name_asks_for_one(ask: Ask) -> None:
    _, reply = await ask(request(" ", "forget"))
    assert reply.outcome == "error"


async def test_all_that_a_person_taught_is_forgotten(ask: Ask, send: Send) -> None:
    await upload(ask, send, "a.md", "Alpha.")
    await upload(ask, send, "b.md", "Beta.", CHANNEL)
    attached = (send("c.md", "Gamma."),)
    await ask(request("", "upload", user="another", attachments=attached))
    _, reply = await ask(request("", "forget", options={"user": "cli:someone"}))
    assert sorted(row["document"] for row in reply.data) == ["a.md", "b.md"]
    _, left = await ask(request("", "sources", audience=HERE))
    assert [row["document"] for row in left.data] == ["c.md"]


async def test_a_forgotten_watched_file_is_said_to_be_there_still(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "watched/a.md").write_text("Alpha.")
    await ask(request("", "index"))
    _, reply = await ask(request("a.md", "forget"))
    assert "folder" in reply.text
    _, again = await ask(request("", "index"))
    assert (again.data["added"], again.data["failed"]) == (0, [])
    (tmp_path / "watched/a.md").write_text("Alpha and more.")
    _, changed = await ask(request("", "index"))
    assert changed.data["added"] + changed.data["updated"] == 1


INDEX = {"added", "updated", "unchanged", "removed", "failed", "chunks", "seconds"}


async def test_index_reports_what_it_did(ask: Ask, tmp_path: Path) -> None:
    watched = tmp_path / "watched"
    for name in ("a", "b", "c"):
        (watched / f"{name}.md").write_text(f"About {name}.")
    (watched / "empty.md").touch()
    events, first = await ask(request("", "index"))
    assert first.data.keys() == INDEX
    assert (first.data["added"], first.data["chunks"]) == (3, 3)
    (failed,) = first.data["failed"]
    assert (failed["document"], failed["code"]) == ("empty.md", "empty")
    assert failed["message"]
    assert any(isinstance(event, Status) and event.total == 4 for event in events)
    (watched / "a.md").write_text("Another a.")
    (watched / "b.md").unlink()
    (watched / "c.md").rename(watched / "d.md")
    _, second = await ask(request("", "index"))
    counts = {key: second.data[key] for key in ("added", "updated", "unchanged", "removed")}
    assert counts == {"added": 0, "updated": 2, "unchanged": 0, "removed": 1}


async def test_a_rebuild_needs_no_embedder(
    ask: Ask, tmp_path: Path, embeddings: FakeEmbeddings
) -> None:
    (tmp_path / "watched/a.md").write_text("Apples are red.")
    await ask(request("", "index"))
    embeddings.embedded.clear()
    _, reply = await ask(request("", "index", options={"rebuild": True}))
    assert reply.data["unchanged"] == 1
    assert not embeddings.embedded
    _, found = await ask(request("apples", "search"))
    assert [row["document"] for row in found.data] == ["a.md"]


async def test_a_path_outside_is_learned_once_for_everyone(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "notes.md"
    file.write_text("Notes.")
    _, reply = await ask(request("", "index", options={"path": str(file)}))
    assert reply.data["added"] == 1
    file.unlink()
    await ask(request("", "index"))
    _, left = await ask(request("", "sources"))
    assert [row["document"] for row in left.data] == ["notes.md"]


async def test_indexing_that_is_given_up_stops_and_goes_on_next_time(
    bot: App, ask: Ask, tmp_path: Path, embeddings: FakeEmbeddings
) -> None:
    for number in range(100):
        (tmp_path / f"watched/{number}.md").write_text(f"Number {number}.")
    begun, go_on = threading.Event(), threading.Event()

    def hold(texts: list[str]) -> None:
        begun.set()
        assert go_on.wait(60)

    embeddings.before = hold
    events = bot.dispatcher.handle(request("", "index"))
    assert isinstance(await anext(events), Status)
    reading = asyncio.ensure_future(anext(events))
    await asyncio.to_thread(begun.wait)
    reading.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait([reading])
    await events.aclose()
    learned = len(embeddings.embedded)
    assert 0 < learned < 100
    _, reply = await ask(request("", "index"))
    assert reply.data["added"] + reply.data["unchanged"] == 100
    assert len(embeddings.embedded) == 100


async def test_only_the_command_line_forgets_for_somebody_else(ask: Ask, send: Send) -> None:
    await upload(ask, send, "a.md", "Alpha.")
    options = {"user": "cli:someone"}
    _, refused = await ask(request("", "forget", platform="slack", user="mallory", options=options))
    assert refused.outcome == "error"
    _, forgotten = await ask(request("", "forget", options=options))
    assert [row["document"] for row in forgotten.data] == ["a.md"]


async def test_only_the_command_line_indexes(ask: Ask) -> None:
    for options in ({}, {"path": "/etc"}):
        _, reply = await ask(request("", "index", platform="slack", options=options))
        assert reply.outcome == "error"


async def test_every_folder_has_patterns_and_a_scope_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, chat=FakeChat(), embeddings=FakeEmbeddings())
    monkeypatch.setattr("bot.app.Sandbox", lambda **limits: LineParser())
    for name in ("a/yes.md", "a/no.txt", "b/yes.txt", "b/drafts/no.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"About {name}.")
    folders = [
        {"path": tmp_path / "a", "name": "a", "include": ["*.md"]},
        {
            "path": tmp_path / "b",
            "name": "b",
            "scope": "folder:b",
            "exclude": ["drafts/*"],
            "channels": ["discord:1:2"],
        },
    ]
    chosen = settings(tmp_path, folders=folders)
    async with opened(chosen) as bot:
        _, read = await collect(bot.dispatcher.handle(request("", "index")))
        assert (read.data["added"], read.data["failed"]) == (2, [])
        for audience, names in ((set(), ["yes.md"]), ({"folder:b"}, ["yes.md", "yes.txt"])):
            asked = request("", "sources", audience=frozenset({"public"} | audience))
            _, listed = await collect(bot.dispatcher.handle(asked))
            assert [row["document"] for row in listed.data] == names
    for channel, names in (("discord:1:2", ["yes.md", "yes.txt"]), ("discord:1:3", ["yes.md"])):
        asked = request("", "sources", audience=frozenset({"public", channel}))
        listed = await known_sources(chosen, asked)
        assert [row["document"] for row in listed.data] == names


async def test_an_admin_of_a_platform_may_pause_and_nobody_else(ask: Ask) -> None:
    for admin, outcome in ((False, "error"), (True, "answer")):
        for option in ("pause", "resume"):
            asked = request("", "index", platform="web", is_admin=admin, options={option: True})
            _, reply = await ask(asked)
            assert reply.outcome == outcome
    asked = request("", "index", platform="web", is_admin=True, options={"path": "/etc"})
    _, reply = await ask(asked)
    assert reply.outcome == "error"


async def test_what_is_known_already_shows_no_progress(ask: Ask, send: Send) -> None:
    for name, steps in (("a.md", True), ("b.md", False)):
        attached = (send(name, "Alpha."),)
        events, reply = await ask(request("", "upload", attachments=attached))
        assert steps == any(isinstance(event, Status) and event.total for event in events)
        assert reply.data[0]["state"] == "ready"


async def test_reading_can_be_paused_and_goes_on(bot: App, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "watched/a.md").write_text("Alpha.")
    _, reply = await ask(request("", "index", options={"pause": True}))
    assert reply.data == {"paused": True}
    _, listed = await ask(request("", "sources"))
    assert reply.text in listed.text
    reading = asyncio.ensure_future(ask(request("", "index")))
    attached = (Attachment("b.md", None, str(tmp_path / "b.md")),)
    (tmp_path / "b.md").write_text("Beta.")
    _, uploaded = await ask(request("", "upload", attachments=attached))
    assert uploaded.data[0]["state"] == "ready"
    assert not reading.done()
    _, reply = await ask(request("", "index", options={"resume": True}))
    assert reply.data == {"paused": False}
    _, read = await reading
    assert read.data["added"] == 1


async def test_how_far_reading_is_only_those_hear_who_run_the_bot(bot: App, ask: Ask) -> None:
    with bot.indexer.activity.working("reading"):
        for platform, told in (("cli", True), ("web", True), ("slack", False), ("discord", False)):
            _, reply = await ask(request("", "sources", platform=platform))
            assert ("%" in reply.text) is told


async def test_sources_say_who_taught_which_version_and_when(ask: Ask, send: Send) -> None:
    await upload(ask, send, "a.md", "Alpha.")
    await upload(ask, send, "a.md", "Beta.")
    _, reply = await ask(request("", "sources"))
    (row,) = reply.data
    assert (row["version"], row["taught_by"]) == (2, "cli:someone")
    assert row["taught_at"] <= row["indexed_at"]
    for told in ("a.md", "cli:someone", row["indexed_at"][:10], "2"):
        assert told in reply.text


async def test_what_a_backup_holds_is_brought_back_while_the_bot_runs(
    ask: Ask, send: Send, tmp_path: Path
) -> None:
    await upload(ask, send, "a.md", "Apples are red.")
    await upload(ask, send, "b.md", "Bananas are yellow.", CHANNEL)
    file = tmp_path / "backup"
    _, made = await ask(request(str(file), "backup"))
    assert made.data, made.text
    assert (made.data["documents"], made.data["passages"], made.data["files"]) == (2, 2, 2)
    assert made.data["bytes"] == file.stat().st_size
    await upload(ask, send, "a.md", "Apples are green.")
    await ask(request("b.md", "forget", audience=HERE))
    _, restored = await ask(request(str(file), "restore"))
    assert restored.outcome == "answer"
    _, found = await ask(request("apples", "search"))
    assert [row["text"] for row in found.data] == ["Apples are red."]
    _, listed = await ask(request("", "sources", audience=HERE))
    assert [row["document"] for row in listed.data] == ["a.md"]


@pytest.mark.parametrize("command", ["backup", "restore"])
async def test_only_whoever_runs_the_bot_backs_up_and_restores(
    ask: Ask, tmp_path: Path, command: str
) -> None:
    _, reply = await ask(request(str(tmp_path / "backup"), command, platform="slack"))
    assert reply.outcome == "error"
    assert not (tmp_path / "backup").exists()
