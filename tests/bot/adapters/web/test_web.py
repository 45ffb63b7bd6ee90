"""The page's parts without a browser."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import string
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from bot.adapters.web import PasswordMissing, PortTaken, WebAdapter, to_request
from bot.adapters.web.guard import Guard
from bot.adapters.web.session import Exchange, Session
from bot.adapters.web.talk import LocalDownload, Talk
from bot.adapters.web.text import TEXT, count, size
from bot.adapters.web.view import (
    Receipts,
    State,
    Work,
    conversation,
    documents,
    state,
    uploader,
)
from bot.messages import (
    Attachment,
    AttachmentError,
    Handle,
    Reply,
    ReplyChunk,
    Sources,
    Turn,
)
from tests.fakes_web import HOSTILE, LEAVE, REMOTE, ScriptedHandle, document


def fields(sentence: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence)} - {None}


def test_both_languages_say_the_same_things() -> None:
    assert TEXT["en"].keys() == TEXT["zh"].keys()
    for key, english in TEXT["en"].items():
        assert fields(english) == fields(TEXT["zh"][key]), key


def test_numbers_are_told_in_words() -> None:
    assert count("en", "page", 1) == "1 page"
    assert count("en", "passage", 2) == "2 passages"
    assert count("zh", "document", 3) == "3 份文档"
    assert size(50 << 20) == "50 MB"
    assert size(100 << 10) == "100 KB"


# Requests


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


# The conversation


def answered(question: str) -> Exchange:
    exchange = Exchange.of(question)
    chunks = (ReplyChunk("One. ", (LEAVE,)), ReplyChunk("Two.", (REMOTE,)))
    for event in (Sources((LEAVE, REMOTE)), *chunks):
        exchange.apply(event)
    exchange.apply(Reply("answer", "One. Two.", "en", chunks, (LEAVE, REMOTE)))
    return exchange


def test_an_answer_gathers_its_sentences_and_passages() -> None:
    exchange = answered("q")
    assert exchange.outcome == "answer"
    assert exchange.answer == "One. Two."
    assert [passage.number for passage in exchange.passages] == [1, 2]
    assert [sentence.numbers for sentence in exchange.sentences] == [[1], [2]]


def test_an_answer_without_sentences_keeps_its_text() -> None:
    exchange = Exchange.of("hello")
    exchange.apply(Reply("answer", "Hello!", "en"))
    assert exchange.answer == "Hello!"


def test_a_refusal_has_the_nearest_documents_to_open() -> None:
    session = Session()
    exchange = Exchange.of("q")
    exchange.apply(Reply("refusal", "I can't find that.", "en", nearest=(REMOTE,)))
    session.open(exchange)
    shown = conversation(session, ())
    assert exchange.answer == "I can't find that."
    assert REMOTE.document in shown
    assert REMOTE.quote in shown


def test_a_thumbs_down_is_offered_as_a_case_until_it_is_one() -> None:
    session = Session()
    exchange = answered("q")
    session.open(exchange)
    assert "data-thumb" not in conversation(session, ())  # nothing is kept that could be rated
    exchange.request = "web:1"
    assert 'data-action="case"' not in conversation(session, ())
    offer = {"reply": "web:1", "documents": [HOSTILE]}
    exchange.judge("down", Reply("answer", "Noted.", "en", data=offer))
    shown = conversation(session, ())
    assert shown.count('data-action="case"') == 2
    assert "Noted." in shown
    assert HOSTILE not in shown
    exchange.judge("", Reply("error", "Not now.", "en"))
    assert conversation(session, ()).count('data-action="case"') == 2
    exchange.judge("", Reply("answer", "Added.", "en"))
    assert exchange.thumb == "down"
    assert 'data-action="case"' not in conversation(session, ())


def test_an_error_takes_the_place_of_what_was_said() -> None:
    exchange = Exchange.of("q")
    exchange.apply(ReplyChunk("One. ", (LEAVE,)))
    exchange.apply(Reply("error", "The model broke.", "en"))
    assert (exchange.outcome, exchange.answer) == ("error", "The model broke.")


@pytest.mark.parametrize(
    "typed", ["/summarise my file.pdf", "/Summarize my file.pdf", "/总结 my file.pdf"]
)
def test_a_typed_command_summarises(typed: str) -> None:
    exchange = Exchange.of(typed)
    assert (exchange.command, exchange.target) == ("summarise", "my file.pdf")


@pytest.mark.parametrize(("exchanges", "questions"), [(0, []), (1, ["b"]), (3, ["a", "b"])])
def test_history_is_the_last_answered_exchanges(exchanges: int, questions: list[str]) -> None:
    session = Session()
    for question in ("a", "b"):
        session.open(answered(question))
    failed = Exchange.of("c")
    failed.apply(Reply("error", "no", "en"))
    session.open(failed)
    session.open(Exchange.of("now"))
    turns = session.history(exchanges)
    assert [turn.content for turn in turns if turn.role == "user"] == questions
    assert len(turns) == 2 * len(questions)


def test_a_session_survives_the_browser() -> None:
    session = Session(language="zh")
    session.open(answered("q"))
    assert Session.restore(session.model_dump()) == session


@pytest.mark.parametrize("stored", [None, "x", {"language": "xx"}, {"exchanges": [{"a": 1}]}])
def test_what_a_browser_mangled_starts_afresh(stored: object) -> None:
    assert Session.restore(stored) == Session()


def test_what_ran_when_the_tab_was_left_is_stopped() -> None:
    session = Session()
    session.open(answered("a"))
    session.open(Exchange.of("b"))
    session.interrupt()
    assert [exchange.outcome for exchange in session.exchanges] == ["answer", "stopped"]


# What is shown


async def test_nothing_from_outside_is_markup(handle: ScriptedHandle) -> None:
    session = Session()
    exchange = Exchange.of(f"hostile {HOSTILE}")
    request = to_request("ask", exchange.target, event="1", tab="t", scope="public", language="en")
    async for event in handle(request):
        exchange.apply(event)
    session.open(exchange)
    row = document(HOSTILE, 3) | {"id": '"><b>'}
    failed = row | {"state": "failed", "message": HOSTILE}
    for html in (
        conversation(session, ()),
        conversation(Session(), (HOSTILE,)),
        documents("en", [row, failed]),
        documents("en", [], HOSTILE),
        uploader("en", 10, Receipts(HOSTILE, 1, 2, [("ready", HOSTILE)])),
    ):
        assert "<img" not in html
        assert "<b>bold" not in html
        assert "&lt;img" in html


def test_the_state_line_follows_loading_and_reading() -> None:
    rows = [document(f"{n}.md", 1) for n in range(12)]
    assert state("zh", "embedding model", rows).text == "正在加载向量模型……"
    assert state("en", "chat model", rows).kind == "loading"
    assert state("en", None, rows).text == "Ready · 12 documents"
    for row in rows[3:]:
        row["state"] = "waiting"
    rows[2]["state"] = "reading"
    assert state("en", None, rows).text == "Reading 3 of 12 documents"


def test_the_list_says_who_taught_what_and_when() -> None:
    rows = [
        document("a.pdf", 3) | {"taught_by": "slack:U1", "version": 2},
        document("b.pdf", 3) | {"taught_by": "web:tab"},
        document("c.pdf", 3) | {"state": "reading", "done": 30, "total": 40},
    ]
    shown = documents("en", rows)
    for part in ("version 2", "from U1 on Slack, 2026-01-01", "added here, 2026-01-01", "75 %"):
        assert part in shown
    assert "由 U1 在 Slack 提供" in documents("zh", rows)


def test_a_pause_is_told_where_nothing_is_being_read() -> None:
    work = Work(paused=True)
    assert state("zh", None, [], work) == State("paused", "读取已暂停")
    assert "Resume" in documents("en", [document("a.pdf", 3)], work=work)


def test_the_list_of_documents_is_bounded_and_shows_what_is_read_first() -> None:
    rows = [document(f"{n}.md", 1) for n in range(2000)]
    rows[-1] |= {"state": "reading", "message": "page 3 of 9"}
    html = documents("en", rows)
    assert html.count("<li") < 500
    assert "1700 more" in html
    assert html.index("page 3 of 9") < html.index("0.md")


# Stopping


@pytest.fixture
def handle() -> ScriptedHandle:
    scripted = ScriptedHandle()
    scripted.reset()
    return scripted


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


# Files


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


# The guard


def client(app: ASGIApp, base: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=base)


@pytest.mark.parametrize(
    ("base", "headers", "status"),
    [
        ("http://127.0.0.1:7860", {}, 200),
        ("http://localhost:7860", {}, 200),
        ("http://[::1]:7860", {}, 200),
        ("http://rebound.example:7860", {}, 421),
        ("http://127.0.0.1:7860", {"origin": "http://127.0.0.1:7860"}, 200),
        ("http://127.0.0.1:7860", {"origin": "http://evil.example"}, 403),
        ("http://127.0.0.1:7860", {"origin": "null"}, 403),
    ],
)
async def test_only_this_machine_and_this_page_are_served(
    base: str, headers: dict[str, str], status: int
) -> None:
    guard = Guard(PlainTextResponse("in"), None)
    async with client(guard, base) as browser:
        assert (await browser.get("/", headers=headers)).status_code == status


async def test_gradios_other_addresses_are_closed() -> None:
    guard = Guard(PlainTextResponse("in"), None)
    async with client(guard, "http://127.0.0.1") as browser:
        for path in (
            "/gradio_api/file=/etc/passwd",
            "/assets/../gradio_api/file=x",
            "/monitoring",
            "/docs",
        ):
            assert (await browser.get(path)).status_code == 404
        assert (await browser.get("/assets/x.js")).status_code == 200


async def test_the_password_opens_the_page_from_anywhere() -> None:
    guard = Guard(PlainTextResponse("in"), "密码:1")

    def basic(text: str) -> dict[str, str]:
        return {"authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}

    async with client(guard, "http://bot.example") as browser:
        refused = await browser.get("/")
        assert refused.status_code == 401
        assert "Basic" in refused.headers["www-authenticate"]
        assert (await browser.get("/", headers=basic("me:no"))).status_code == 401
        assert (await browser.get("/", headers={"authorization": "Basic ?"})).status_code == 401
        assert (await browser.get("/", headers=basic("me:密码:1"))).status_code == 200


# The server


def adapter(handle: Handle, folder: Path, **settings: object) -> WebAdapter:
    arguments: dict[str, object] = {
        "upload_scope": "public",
        "upload_folder": folder,
        "max_upload_bytes": 1 << 20,
        "examples": (),
        "ready": lambda: None,
        "history_turns": 1,
        "say": lambda line: None,
    }
    return WebAdapter(handle, **(arguments | settings))  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def serving(web: WebAdapter) -> AsyncIterator[str]:
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(web.run(address.set_result))
    try:
        yield await address
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_picture_of_a_page_is_for_this_page_alone(
    handle: ScriptedHandle, tmp_path: Path
) -> None:
    async with serving(adapter(handle, tmp_path, port=0)) as address, httpx.AsyncClient() as web:
        place = {"document": "handbook.pdf", "start": "1", "end": "9"}
        shown = await web.get(f"{address}/picture", params=place)
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/webp")
        assert shown.headers["cache-control"] == "no-store"
        assert shown.headers["cross-origin-resource-policy"] == "same-origin"
        gone = await web.get(f"{address}/picture", params={**place, "document": "gone.pdf"})
        assert gone.status_code == 404
        assert (await web.get(f"{address}/picture")).status_code == 400


def test_a_page_for_others_needs_a_password(handle: ScriptedHandle, tmp_path: Path) -> None:
    with pytest.raises(PasswordMissing, match=r"TEAMGLM_WEB_PASSWORD"):
        adapter(handle, tmp_path, host="0.0.0.0")
    adapter(handle, tmp_path, host="0.0.0.0", password="secret")
    adapter(handle, tmp_path, host="::1")


async def test_a_configured_port_that_is_taken_is_an_error(
    handle: ScriptedHandle, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=str(port)):
            await adapter(handle, tmp_path, port=port).run()


async def test_the_default_port_moves_on_and_says_so(
    handle: ScriptedHandle, tmp_path: Path
) -> None:
    said: list[str] = []
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(socket.create_server(("127.0.0.1", 7860)))
        async with serving(adapter(handle, tmp_path, say=said.append)) as address:
            port = httpx.URL(address).port
            assert port is not None
            assert port > 7860
            assert str(port) in said[0]


async def test_the_page_answers_at_once_and_ends_cleanly(
    handle: ScriptedHandle, tmp_path: Path
) -> None:
    async with serving(adapter(handle, tmp_path, port=0)) as address:
        async with httpx.AsyncClient(trust_env=False) as browser:
            answer = await browser.get(address)
        assert answer.status_code == 200
        assert "TeamGLM" in answer.text
    port = httpx.URL(address).port
    assert port is not None
    with socket.create_server(("127.0.0.1", port)):
        pass
