"""The page's side of the handle: its requests, stopping them, and the files that are sent."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from bot.adapters.web import to_request
from bot.adapters.web.talk import LocalDownload, Talk
from bot.messages import Attachment, AttachmentError, Reply, Turn
from tests.fakes_web import ScriptedHandle


def test_a_question_sees_what_is_public_and_is_answered_in_its_own_language() -> None:
    history = (Turn("user", "a"), Turn("assistant", "b"))
    request = to_request(
        "ask", "why?", event="1", tab="t", scope="public", language="zh", history=history
    )
    assert request.audience == {"public"}
    assert (request.platform, request.command, request.text) == ("web", "ask", "why?")
    assert request.language is None
    assert request.history == history
    assert request.conversation == request.user == "web:t"


def test_an_upload_is_granted_to_the_upload_scope_and_told_in_the_language_of_the_page() -> None:
    attachment = Attachment("a.md", 3, "a.md")
    request = to_request(
        "upload",
        "",
        event="1",
        tab="t",
        scope="folder:page",
        language="zh",
        attachments=(attachment,),
    )
    assert (request.scope, request.language) == ("folder:page", "zh")
    assert request.attachments == (attachment,)


async def test_stop_closes_the_handle(handle: ScriptedHandle) -> None:
    talk = Talk(handle, "public")
    told = []
    async for batch in talk.answer("tab", talk.request("ask", "slow", "tab", "en")):
        told += batch
        if handle.waiting.is_set():
            await talk.stop("tab")
            assert handle.closed.is_set()
    assert not any(isinstance(event, Reply) for event in told)
    assert not talk.answering("tab")


async def test_leaving_an_answer_closes_the_handle(handle: ScriptedHandle) -> None:
    talk = Talk(handle, "public")
    async with contextlib.aclosing(
        talk.answer("tab", talk.request("ask", "slow", "tab", "en"))
    ) as events:
        async for _ in events:
            if handle.waiting.is_set():
                break
    assert handle.closed.is_set()


async def test_a_handle_that_raises_becomes_an_error(handle: ScriptedHandle) -> None:
    talk = Talk(handle, "public")
    reply = await talk.reply(talk.request("ask", "broken", "tab", "en"))
    assert reply.outcome == "error"


async def test_a_download_is_bounded(tmp_path: Path) -> None:
    sent = tmp_path / "up" / "a.md"
    sent.parent.mkdir()
    sent.write_bytes(b"12345")
    download = LocalDownload(sent.parent)
    await download(Attachment("a.md", 5, str(sent)), tmp_path / "copy", 5)
    assert (tmp_path / "copy").read_bytes() == b"12345"
    with pytest.raises(AttachmentError) as error:
        await download(Attachment("a.md", 5, str(sent)), tmp_path / "copy", 4)
    assert error.value.code == "too_large"


@pytest.mark.parametrize("reference", ["../secret", "link", "gone"])
async def test_a_download_stays_in_the_upload_folder(tmp_path: Path, reference: str) -> None:
    (tmp_path / "secret").write_text("s")
    folder = tmp_path / "up"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(AttachmentError) as error:
        await LocalDownload(folder)(
            Attachment("a", 1, str(folder / reference)), tmp_path / "copy", 10
        )
    assert error.value.code == "unreadable"
