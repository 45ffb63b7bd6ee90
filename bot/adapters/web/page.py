"""The page itself, in Gradio. Importing this takes seconds: the server does so in a thread."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import gradio as gr
from fastapi import FastAPI
from gradio.routes import App
from pydantic import BaseModel, TypeAdapter
from starlette.routing import Mount, Route

from bot.adapters.due import decided
from bot.adapters.web import exchanges, view
from bot.adapters.web.due import Cards
from bot.adapters.web.files import PREFIX, KeptFiles
from bot.adapters.web.looks import asset, head, theme
from bot.adapters.web.session import SETTINGS_NAMES, Exchange, Session
from bot.adapters.web.talk import LocalDownload, Talk
from bot.adapters.web.text import say
from bot.messages import Attachment, Language, Reply, Status

Updates = dict[Any, Any]
Seen = tuple[str, int]
"""What a tab was sent last, and how often it has been the same since."""
_NOTHING: Seen = ("", 0)
# So often nothing is sent because nothing changed; then it is, should it have been lost on its way.
_SAME = 9


class Sent(BaseModel):
    """A file that the browser says it has sent."""

    name: str
    size: int
    reference: str


_SENT = TypeAdapter(list[Sent])


class Page:
    """The page's parts and what happens on each event; its state lives in the browser."""

    def __init__(
        self,
        talk: Talk,
        download: LocalDownload,
        cards: Cards,
        files: KeptFiles,
        *,
        max_upload_bytes: int,
        examples: Sequence[str],
        ready: Callable[[], str | None],
        work: Callable[[Language], view.Work | None],
        history_turns: int,
        refresh_seconds: tuple[float, float],
    ) -> None:
        self._talk = talk
        self._download = download
        self.max_upload_bytes = max_upload_bytes
        self._cards = cards
        self.files = files
        self._examples = examples
        self._ready = ready
        self._work = work
        self._history = history_turns
        self._busy_seconds, self._idle_seconds = refresh_seconds
        self.blocks = gr.Blocks(title="TeamGLM", analytics_enabled=False)
        with self.blocks:
            self._lay_out()
            self._wire()
        self.blocks.queue(default_concurrency_limit=None)

    def _lay_out(self) -> None:
        script = asset("page.js")
        blank = Session()

        def part(name: str, value: str) -> gr.HTML:
            return gr.HTML(value, elem_id=name, js_on_load=script, apply_default_css=False)

        starting = view.State("loading", say("en", "starting"))
        self._store = gr.HTML(
            blank.model_dump(),
            html_template="",
            elem_id="store",
            js_on_load=script,
            visible="hidden",
        )
        self._header = part("header", view.header("en", starting))
        with gr.Row(elem_id="main"):
            with gr.Column(elem_id="chat"):
                self._conversation = part("conversation", exchanges.conversation(blank, ()))
                self._due = part("due", "")
                with gr.Column(elem_id="composer"):
                    self._box = gr.Textbox(
                        lines=1,
                        max_lines=6,
                        label=say("en", "ask"),
                        placeholder=say("en", "ask"),
                        show_label=False,
                        container=False,
                        submit_btn=say("en", "send"),
                        autofocus=True,
                        elem_id="question",
                    )
                    self._hint = gr.HTML(say("en", "hint"), elem_id="hint", apply_default_css=False)
            with gr.Column(elem_id="side"):
                self._uploader = part(
                    "uploader", view.uploader("en", self.max_upload_bytes, view.Receipts())
                )
                self._documents = part("documents", view.documents("en", ()))
        self._confirm = part("confirm", view.confirm("en"))
        self._seen = gr.State(_NOTHING)
        self._timer = gr.Timer(self._busy_seconds)

    def _wire(self) -> None:
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        chat = [self._store, self._conversation, self._due, self._box]
        look = [self._header, self._due, self._documents, self._timer, self._seen]
        words = [
            self._store,
            self._conversation,
            self._box,
            self._hint,
            self._uploader,
            self._confirm,
            *look,
        ]
        self.blocks.load(
            self._open, self._store, words, js="() => [window.teamglm.restore()]", **quiet
        )
        self.blocks.unload(self._leave)
        self._timer.tick(self._refresh, [self._store, self._seen], look, **quiet)
        self._header.language(self._speak, [self._store], words, **quiet)
        self._box.submit(self._type, [self._store, self._box], chat, **quiet)
        self._conversation.ask(self._press, self._store, chat, **quiet)
        self._due.ask(self._press, self._store, chat, **quiet)
        self._due.away(self._put_away, [self._store, self._seen], look, **quiet)
        self._conversation.regenerate(self._again, self._store, chat, **quiet)
        self._conversation.question(self._as_question, self._store, chat, **quiet)
        self._conversation.reset(self._reset, self._store, chat, **quiet)
        self._conversation.rate(self._rate, self._store, chat, **quiet)
        self._conversation.case(self._case, self._store, chat, **quiet)
        for switch, press in (
            (self._documents.pause, self._pause),
            (self._documents.resume, self._resume),
        ):
            switch(press, [self._store, self._seen], look, **quiet)
        self._conversation.configure(self._configure, self._store, chat, **quiet)
        self._documents.summarise(self._summarise, self._store, chat, **quiet)
        self._box.stop(self._stop, None, None, queue=False, **quiet)
        files_in = self._uploader.learn(
            self._learn, self._store, self._uploader, trigger_mode="multiple", **quiet
        )
        gone = self._documents.forget(
            self._forget, self._store, self._uploader, trigger_mode="multiple", **quiet
        )
        for event in (files_in, gone):
            event.then(self._refresh, [self._store, self._seen], look, **quiet)

    # The tab

    async def _open(self, stored: Any, request: gr.Request) -> Updates:
        session = Session.restore(stored)
        session.interrupt()
        return {**self._words(session), **await self._look(session, _NOTHING, _tab(request))}

    async def _speak(self, stored: Any, request: gr.Request, event: gr.EventData) -> Updates:
        session = Session.restore(stored)
        session.language = "zh" if event.language == "zh" else "en"
        return {**self._words(session), **await self._look(session, _NOTHING, _tab(request))}

    async def _leave(self, request: gr.Request) -> None:
        await self._talk.stop(_tab(request))

    def _words(self, session: Session) -> Updates:
        language = session.language
        ask = say(language, "ask")
        return {
            **self._chat(session),
            self._box: gr.Textbox(label=ask, placeholder=ask, **_buttons(session)),
            self._hint: say(language, "hint"),
            self._uploader: view.uploader(language, self.max_upload_bytes, view.Receipts()),
            self._confirm: view.confirm(language),
        }

    # What the bot is up to

    async def _refresh(self, stored: Any, seen: Seen, request: gr.Request) -> Updates:
        return await self._look(Session.restore(stored), seen, _tab(request))

    async def _look(self, session: Session, seen: Seen, tab: str) -> Updates:
        language = session.language
        reply = await self._talk.reply(self._talk.request("sources", "", tab, language))
        failed = reply.outcome != "answer"
        rows: Sequence[Mapping[str, Any]] = () if failed or not reply.data else reply.data
        if not failed:
            self._cards.refresh([str(row["document"]) for row in rows])
        due = exchanges.due(language, self._cards.standing)
        work = self._work(language)
        now = view.state(language, self._ready(), rows, work)
        if failed and now.kind != "loading":
            now = view.State("error", reply.text)
        top = view.header(language, now)
        listed = view.documents(language, rows, reply.text if failed else "", work)
        shown, times = seen
        if top + due + listed == shown and times < _SAME:
            return {self._seen: (shown, times + 1)}
        busy = now.kind != "ready"
        return {
            self._header: top,
            self._due: due,
            self._documents: listed,
            self._timer: gr.Timer(self._busy_seconds if busy else self._idle_seconds),
            self._seen: (top + due + listed, 0),
        }

    async def _pause(self, stored: Any, seen: Seen, request: gr.Request) -> Updates:
        return await self._switch("pause", stored, seen, request)

    async def _resume(self, stored: Any, seen: Seen, request: gr.Request) -> Updates:
        return await self._switch("resume", stored, seen, request)

    async def _switch(self, option: str, stored: Any, seen: Seen, request: gr.Request) -> Updates:
        session, tab = Session.restore(stored), _tab(request)
        options = {option: True}
        await self._talk.reply(
            self._talk.request("index", "", tab, session.language, options=options)
        )
        return await self._look(session, seen, tab)

    async def _put_away(
        self, stored: Any, seen: Seen, request: gr.Request, event: gr.EventData
    ) -> Updates:
        await self._cards.put_away(str(event.id))
        return await self._refresh(stored, seen, request)

    # The conversation

    def _chat(self, session: Session) -> Updates:
        return {
            self._store: session.model_dump(),
            self._conversation: exchanges.conversation(session, self._examples),
            self._due: exchanges.due(session.language, self._cards.standing),
        }

    async def _type(self, stored: Any, typed: str, request: gr.Request) -> AsyncIterator[Updates]:
        if typed.strip():
            async for updates in self._answer(stored, Exchange.of(typed.strip()), request):
                yield updates

    async def _press(
        self, stored: Any, request: gr.Request, event: gr.EventData
    ) -> AsyncIterator[Updates]:
        if card := getattr(event, "id", None):  # something due, about which this decides
            await self._cards.put_away(str(card))
        async for updates in self._answer(stored, Exchange.of(event.question), request):
            yield updates

    async def _summarise(
        self, stored: Any, request: gr.Request, event: gr.EventData
    ) -> AsyncIterator[Updates]:
        exchange = Exchange(
            command="summarise", question=f"/summarise {event.name}", target=event.id
        )
        async for updates in self._answer(stored, exchange, request):
            yield updates

    async def _configure(
        self, stored: Any, request: gr.Request, event: gr.EventData
    ) -> AsyncIterator[Updates]:
        chosen = {name: getattr(event, name, None) for name in SETTINGS_NAMES}
        async for updates in self._answer(stored, Exchange.configuring(chosen), request):
            yield updates

    async def _again(self, stored: Any, request: gr.Request) -> AsyncIterator[Updates]:
        async for updates in self._instead(stored, request, Exchange.again):
            yield updates

    async def _as_question(self, stored: Any, request: gr.Request) -> AsyncIterator[Updates]:
        async for updates in self._instead(stored, request, Exchange.as_question):
            yield updates

    async def _instead(
        self, stored: Any, request: gr.Request, anew: Callable[[Exchange], Exchange]
    ) -> AsyncIterator[Updates]:
        """Answer the last exchange once more, in its place."""
        session = Session.restore(stored)
        if session.exchanges:
            exchange = anew(session.exchanges.pop())
            async for updates in self._answer(session.model_dump(), exchange, request):
                yield updates

    async def _answer(
        self, stored: Any, exchange: Exchange, request: gr.Request
    ) -> AsyncIterator[Updates]:
        tab, session = _tab(request), Session.restore(stored)
        if self._talk.answering(tab):
            yield {self._store: gr.skip()}
            return
        session.open(exchange)
        yield {**self._chat(session), self._box: gr.Textbox(value="", **_buttons(session))}
        asked = self._talk.request(
            exchange.command,
            exchange.target,
            tab,
            session.language,
            history=session.history(self._history),
            options=exchange.options,
            plain=exchange.plain,
        )
        exchange.request = asked.id
        async with aclosing(self._talk.answer(tab, asked)) as batches:
            async for events in batches:
                for event in events:
                    exchange.apply(event)
                    if isinstance(event, Reply):
                        exchange.keep(event.files, self.files)
                        exchange.decisions = decided(asked, event) or []
                yield self._chat(session)
        session.interrupt()
        yield {**self._chat(session), self._box: gr.Textbox(**_buttons(session))}

    async def _stop(self, request: gr.Request) -> None:
        await self._talk.stop(_tab(request))

    async def _rate(self, stored: Any, request: gr.Request, event: gr.EventData) -> Updates:
        return await self._judged(stored, request, "up" if event.thumb == "up" else "down", "")

    async def _case(self, stored: Any, request: gr.Request, event: gr.EventData) -> Updates:
        return await self._judged(stored, request, "", str(event.name))

    async def _judged(
        self, stored: Any, request: gr.Request, thumb: Literal["", "up", "down"], document: str
    ) -> Updates:
        """Rate the last exchange or, without a thumb, make it a case."""
        tab, session = _tab(request), Session.restore(stored)
        if not session.exchanges:
            return {self._store: gr.skip()}
        exchange = session.exchanges[-1]
        options = {"reply": exchange.request} | ({"thumb": thumb} if thumb else {})
        command = "rate" if thumb else "case"
        asked = self._talk.request(command, document, tab, session.language, options=options)
        exchange.judge(thumb, await self._talk.reply(asked))
        if self._talk.answering(tab):  # the next question has been asked meanwhile
            return {self._store: gr.skip()}
        return self._chat(session)

    def _reset(self, stored: Any) -> Updates:
        session = Session(language=Session.restore(stored).language)
        return {**self._chat(session), self._box: gr.Textbox(value="", **_buttons(session))}

    # The documents

    async def _learn(
        self, stored: Any, request: gr.Request, event: gr.EventData
    ) -> AsyncIterator[str]:
        language = Session.restore(stored).language
        attachments = tuple(
            Attachment(Path(sent.name).name, sent.size, sent.reference)
            for sent in _SENT.validate_python(event.files)
            if self._download.holds(sent.reference)
        )
        asked = self._talk.request("upload", "", _tab(request), language, attachments=attachments)
        async for events in self._talk.carry_out(asked):
            yield view.uploader(language, self.max_upload_bytes, _receipts(events[-1]))

    async def _forget(self, stored: Any, request: gr.Request, event: gr.EventData) -> str:
        language = Session.restore(stored).language
        reply = await self._talk.reply(
            self._talk.request("forget", event.id, _tab(request), language)
        )
        return view.uploader(language, self.max_upload_bytes, _receipts(reply))


def _tab(request: gr.Request) -> str:
    return str(request.session_hash)


def _buttons(session: Session) -> dict[str, Any]:
    answering = bool(session.exchanges) and session.exchanges[-1].outcome == "running"
    return {
        "submit_btn": False if answering else say(session.language, "send"),
        "stop_btn": say(session.language, "stop") if answering else False,
    }


def _receipts(event: object) -> view.Receipts:
    match event:
        case Status():
            return view.Receipts(event.text, event.done, event.total)
        case Reply():
            lines = event.text.splitlines()
            kinds = [str(row.get("state")) for row in event.data] if _rows(event.data) else []
            if len(kinds) != len(lines):
                kinds = ["ready" if event.outcome == "answer" else "failed"] * len(lines)
            return view.Receipts(lines=list(zip(kinds, lines, strict=True)))
    return view.Receipts()


def _rows(data: object) -> bool:
    return isinstance(data, list) and all(isinstance(row, Mapping) for row in data)


def mount(page: Page, upload_folder: Path) -> FastAPI:
    """Return the page as an application that `running` starts."""
    app: FastAPI = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page.blocks,
        path="/",
        footer_links=[],
        run_history=False,
        favicon_path=str(Path(__file__).with_name("favicon.svg")),
        show_error=False,
        max_file_size=page.max_upload_bytes,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        theme=theme(),
        head=head(),
    )
    app.router.routes.insert(0, Route(f"{PREFIX}{{key}}/{{name}}", page.files.serve))
    inner = next(route.app for route in app.routes if isinstance(route, Mount))
    assert isinstance(inner, App)  # noqa: S101 - what mounting is for
    inner.uploaded_file_dir = str(upload_folder)
    # Gradio's queue polls a thousand times a second, a tenth of a core for nothing.
    queue = page.blocks._queue
    queue.sleep_when_free = queue.progress_update_sleep_when_free = 0.02
    return app


@asynccontextmanager
async def running(page: Page, app: FastAPI) -> AsyncIterator[None]:
    """Run a mounted page; its queue and the tabs' heartbeats end with the context."""
    async with app.router.lifespan_context(app):
        try:
            yield
        finally:
            page.blocks.close(verbose=False)
