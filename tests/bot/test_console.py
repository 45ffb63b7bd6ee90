from __future__ import annotations

import io
from pathlib import Path

import pytest

from bot.adapters.console import ConsoleAdapter, Screen, copy_local
from bot.messages import (
    Attachment,
    AttachmentError,
    Citation,
    Reply,
    ReplyChunk,
    ReplyEvent,
    Status,
)
from tests.bot.fakes import ScriptedHandle, request

CITATION = Citation(1, "手册.pdf", 2, None, "每年 25 天。", 10, 18)
CHUNK = ReplyChunk("25 天。", (CITATION,))
ANSWER = Reply("answer", "25 天。", "zh", (CHUNK,), (CITATION,))
ERROR = Reply("error", "It took too long.", "en")


async def shown(
    handle: ScriptedHandle, *, quiet: bool = False, stream: bool = True
) -> tuple[Reply, bool, str, str]:
    """Show a script; return its reply, whether it was streamed, and what was written where."""
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(quiet=quiet, stream=stream, out=out, err=err)
    reply = await screen.show(handle.handle(request("hello")))
    return reply, screen.streamed, out.getvalue(), err.getvalue()


async def test_an_answer_is_written_as_it_comes_with_its_sources_once() -> None:
    handle = ScriptedHandle([Status("searching"), CHUNK, ANSWER])
    reply, streamed, out, err = await shown(handle)
    assert (reply, streamed) == (ANSWER, True)
    assert out.count("25 天。[1]") == 1
    assert out.count("手册.pdf") == 1
    assert "searching" in err
    assert "searching" not in out


async def test_sentences_keep_their_distance_and_lose_what_a_terminal_would_obey() -> None:
    chunks = (ReplyChunk("One.", (CITATION,)), ReplyChunk(" T\x1b[2Jwo.\n"))
    answer = Reply("answer", "One. Two.", "en", chunks, (CITATION,))
    _, _, out, _ = await shown(ScriptedHandle([*chunks, answer]))
    assert out.startswith("One. [1] T")
    assert "\x1b" not in out
    assert out.count("wo.") == 1


async def test_an_error_after_the_first_sentence_is_left_to_the_caller() -> None:
    _, _, out, _ = await shown(ScriptedHandle([CHUNK, ERROR]))
    assert ERROR.text not in out


async def test_quiet_writes_nothing() -> None:
    handle = ScriptedHandle([Status("searching"), Status("reading", 1, 2), CHUNK, ANSWER])
    reply, streamed, out, err = await shown(handle, quiet=True)
    assert (reply, streamed, out, err) == (ANSWER, False, "", "")


async def test_progress_is_shown_on_stderr() -> None:
    script: list[ReplyEvent] = [
        Status("reading", 1, 2),
        Status("reading", 2, 2),
        Status("done"),
        ANSWER,
    ]
    _, _, out, err = await shown(ScriptedHandle(script), stream=False)
    assert out == ""
    assert "reading" in err
    assert err.endswith("done\n")


async def test_the_request_is_closed_after_its_reply() -> None:
    handle = ScriptedHandle([ANSWER], stay=True)
    await shown(handle)
    assert handle.closed.is_set()


async def chat(
    handle: ScriptedHandle, typed: str, monkeypatch: pytest.MonkeyPatch, *, turns: int = 1
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    await ConsoleAdapter(handle.handle, scope="public", history_turns=turns).run()


async def test_every_line_is_a_question_until_the_input_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handle = ScriptedHandle([CHUNK, ANSWER])
    await chat(handle, "first\n\n   \nsecond\nthird", monkeypatch)
    assert [asked.text for asked in handle.requests] == ["first", "second", "third"]
    assert {asked.command for asked in handle.requests} == {"ask"}
    assert len({asked.conversation for asked in handle.requests}) == 1
    assert len({asked.id for asked in handle.requests}) == 3
    assert capsys.readouterr().out.count("25 天。[1]") == 3


async def test_it_remembers_as_many_turns_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = ScriptedHandle([CHUNK, ANSWER])
    await chat(handle, "first\nsecond\nthird\n", monkeypatch, turns=1)
    histories = [[turn.content for turn in asked.history or ()] for asked in handle.requests]
    assert histories == [[], ["first", ANSWER.text], ["second", ANSWER.text]]


async def test_an_error_is_said_once_and_not_remembered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handle = ScriptedHandle([CHUNK, ERROR])
    await chat(handle, "first\nsecond\n", monkeypatch)
    assert capsys.readouterr().out.count(ERROR.text) == 2
    assert handle.requests[1].history == ()


def test_a_slash_begins_a_command() -> None:
    adapter = ConsoleAdapter(ScriptedHandle([]).handle, scope="public", history_turns=1)
    asked = adapter.to_request("/summarise my handbook.pdf")
    assert (asked.command, asked.text, asked.attachments) == ("summarise", "my handbook.pdf", ())


@pytest.mark.parametrize("path", ["a b.txt", "x" * 5000, "~nobody-at-all/x", "nul\0", ""])
def test_any_path_can_be_uploaded_and_the_reading_says_what_is_wrong(path: str) -> None:
    adapter = ConsoleAdapter(ScriptedHandle([]).handle, scope="public", history_turns=1)
    asked = adapter.to_request(f"/upload {path}")
    assert asked.command == "upload"
    assert asked.text == ""
    assert len(asked.attachments) == 1


@pytest.mark.parametrize("path", ["absent", ".", "x" * 5000, "nul\0"])
async def test_what_is_no_file_is_unreadable(tmp_path: Path, path: str) -> None:
    with pytest.raises(AttachmentError) as caught:
        await copy_local(Attachment("a", None, f"{tmp_path}/{path}"), tmp_path / "copy", 10)
    assert caught.value.code == "unreadable"


async def test_a_file_is_copied_up_to_the_limit(tmp_path: Path) -> None:
    file, copy = tmp_path / "a", tmp_path / "copy"
    file.write_bytes(b"0123456789")
    await copy_local(Attachment("a", None, str(file)), copy, 10)
    assert copy.read_bytes() == b"0123456789"
    with pytest.raises(AttachmentError) as caught:
        await copy_local(Attachment("a", None, str(file)), copy, 9)
    assert caught.value.code == "too_large"
