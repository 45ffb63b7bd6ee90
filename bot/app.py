"""The composition root: the one place that knows every part, and what each is made of."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from bot.adapters.console import copy_local
from bot.adapters.local import last_reply
from bot.channels import Channels, settings_of
from bot.conversations import Conversations
from bot.data_folder import DataFolder
from bot.dispatch import Dispatcher, Handler, with_grants
from bot.drafting import Templates
from bot.feedback import Feedback
from bot.handlers.ask import Ask
from bot.handlers.backup import BackUp, Restore
from bot.handlers.case import AddCase
from bot.handlers.configure import Configure
from bot.handlers.explain import explain
from bot.handlers.forget import Forget
from bot.handlers.help import Help
from bot.handlers.index import Index
from bot.handlers.keeping import Keeping
from bot.handlers.learn import Learn
from bot.handlers.passage import OpenPassage
from bot.handlers.picture import ShowPage
from bot.handlers.rate import Rate
from bot.handlers.reading import Reading
from bot.handlers.recall import Recall
from bot.handlers.remember import Remember
from bot.handlers.search import Search
from bot.handlers.small_talk import SmallTalk
from bot.handlers.sources import Sources
from bot.handlers.status import Condition
from bot.handlers.table import AskTable
from bot.handlers.upload import Upload
from bot.inbox import DurableInbox
from bot.later import Later
from bot.library import Cut, Library
from bot.loading import Loading
from bot.messages import Download, Reply, Request
from bot.migrations import upgrade
from bot.models import (
    chat_model,
    embedding_model,
    embedding_model_of,
    first_token_seconds,
    ocr,
    reranker,
)
from bot.policies import (
    belonging,
    calibration_of,
    granted,
    limits_of,
    may_configure,
    rights_of,
    tools_of,
)
from bot.regression import Regression
from bot.reminders import Reminders
from bot.router import Router, examples
from bot.routing import Routing
from bot.settings import Settings, local_zone
from bot.source_settings import trigger
from bot.tables import setting_change
from bot.text_skills import text_skills
from bot.voices import Talker, Voices
from bot.web_pages import TAUGHT, WebPages
from bot.writer import Writer
from rag.audience import Audience
from rag.author import AnswerLimits, Author
from rag.errors import TeamglmError
from rag.fetch import Fetcher
from rag.ingest.blobs import Blobs
from rag.ingest.folders import Folder
from rag.ingest.once import read_once
from rag.ingest.originals import Originals
from rag.ingest.page_pictures import PagePictures
from rag.ingest.pages import Page, Pages
from rag.ingest.sandbox import Sandbox
from rag.ingest.sightings import Sightings
from rag.language import language_of
from rag.lookup import Lookup
from rag.pipeline import RagPipeline
from rag.priority import Priority
from rag.records import Passage, Records
from rag.schema import open_engine, reading
from rag.tables.answering import TableQuestions
from rag.tables.documents import SheetDocuments
from rag.translation import Translator

log = logging.getLogger(__name__)


class App:
    """Every part of the bot, made from the settings; `opened` claims the data folder."""

    def __init__(
        self, settings: Settings, downloads: Mapping[str, Download], *, calibrated: bool = True
    ) -> None:
        self.settings = settings
        self._folder = DataFolder(settings.data)
        self.engine = open_engine(self._folder.database())
        self.records = Records(self.engine)
        self.writer = Writer(self.engine, reading(self.engine))
        kept = settings.answers.keep_days * 86400
        max_bytes = settings.limits.upload_megabytes << 20
        self.inbox = DurableInbox(self.writer, keep_seconds=kept)
        self.conversations = Conversations(self.writer, keep_seconds=kept)
        self.feedback = Feedback(self.writer)
        self.channels = Channels(self.writer)
        each = settings.limits.reminders_each
        self.later = Later(
            Reminders(self.writer, most_each=each, keep_seconds=kept),
            self.records,
            zone=settings.timezone or local_zone(),
            page=settings.web.enabled,
        )
        self.regression = Regression(settings.data / "regression.jsonl")
        self.priority = Priority()
        self.fetcher = Fetcher()
        self.chat = chat_model(settings)
        self.ocr = ocr(settings, self.priority.give_way)
        self.sandbox = Sandbox(max_bytes=max_bytes, ocr=self.ocr)
        self.library = Library(
            self.records,
            settings.data,
            self.sandbox,
            embedding_model(settings),
            parser_key=self.sandbox.key,
            older=lambda key: embedding_model_of(settings, key),
            cut=Cut(settings.splitter.name, settings.splitter.max_tokens),
            priority=self.priority,
            max_bytes=max_bytes,
            belongs=belonging(settings),
            reranker=reranker(settings),
        )
        self.indexer, self.retriever = self.library.indexer, self.library.retriever
        self.indexer.backups.beside[setting_change] = ("place", "name")
        self.pages = Pages(self.fetcher, self.indexer, Sightings(self.engine), max_bytes=max_bytes)
        self.knowledge = Loading("embedding model", self.library.open)
        self.talking = Loading("chat model", self.chat.load)
        self.others = {
            name: Talker.of(chat_model(settings.model_copy(update={"chat_model": name})))
            for name in settings.channel_models
        }
        self.voices = Voices(settings.chat_model, self.talking, self.knowledge, self.others)
        self.translator = Translator(self.chat, ready=self.talking.ready)
        answers = settings.answers
        self.author = Author(
            self.records,
            self.library.model,
            self.chat,
            context_window=lambda: self.chat.context_window,
            limits=AnswerLimits(
                passages=answers.passages,
                context_tokens=answers.context_tokens,
                max_tokens=answers.max_tokens,
                refuse_below=answers.refuse_below,
                timeout=answers.timeout_seconds,
                first_token=first_token_seconds(settings),
                most_parts=answers.summary_parts,
                calibration=calibration_of(settings) if calibrated else None,
            ),
        )
        self.library.followers.append(self.author.use)
        self.pipeline = RagPipeline(
            self.records, self.retriever, self.author, self.priority, self.translator
        )
        self.folders = [
            Folder(folder.name, folder.path, folder.scope, folder.include, folder.exclude)
            for folder in settings.folders
        ]
        self.originals = Originals(
            Blobs(settings.data / "blobs", max_bytes),
            {folder.source: folder.path for folder in self.folders},
            max_bytes=max_bytes,
        )
        self.tables = self._table_questions()
        self.library.followers.append(self.tables.use)
        self.routing = Routing(
            Router(lambda texts: self.library.model.embed_queries(texts), examples()),
            settings.data / "router.npz",
            key=lambda: self.library.model.key,
            named=self._named,
            has_tables=self.tables.has_any,
        )
        self.dispatcher = Dispatcher(
            self._handlers(downloads),
            language_of=language_of,
            explain=explain,
            limits=limits_of(settings),
            grants=granted(settings),
            rights=rights_of(settings),
            channels=self.channels.of,
            route=self.routing if settings.answers.choose_skills else None,
        )

    def _named(self, text: str, audience: Audience) -> list[str]:
        """Return the names of the documents that a text names; blocking."""
        ids = set(self.retriever.named(text, audience))
        return [each.document for each in self.records.sources(audience) if each.id in ids]

    def _table_questions(self) -> TableQuestions:
        """Return what answers from the rows of sheets."""
        return TableQuestions(
            SheetDocuments(self.records, self.originals, lambda file: self.sandbox.grids(file)),
            self.records,
            self.retriever,
            self.library.model,
            self.chat,
            priority=self.priority,
            timeout=self.settings.answers.timeout_seconds,
        )

    def _handlers(self, downloads: Mapping[str, Download]) -> list[Handler]:
        """Return every capability of the bot."""
        voices = self.voices
        max_bytes = self.settings.limits.upload_megabytes << 20
        whom = self.settings.answers.ask_whom

        def once(file: Path, name: str) -> list[Passage]:
            return read_once(file, name, self.sandbox, self.library.split)

        read = Reading(
            self.records,
            once,
            downloads,
            self.pages,
            max_bytes=max_bytes,
        )
        tools = self.settings.tools
        lookup = Lookup(
            tools_of(self.settings),
            self.author,
            self.priority,
            Fetcher(seconds=tools.timeout_seconds, redirects=3),
            once,
            max_bytes=tools.max_kilobytes << 10,
        )
        ask = Ask(
            self.pipeline,
            self.records,
            self.conversations,
            voices=voices,
            history=self.settings.answers.history,
            whom={"en": whom.en, "zh": whom.zh} if whom else None,
            lookup=lookup,
        )
        table = AskTable(self.tables, voices=voices)
        return [
            ask,
            table,
            *self.later.handlers({ask.command: ask, table.command: table}),
            Search(self.retriever, priority=self.priority, needs=[self.knowledge]),
            *text_skills(
                self.author,
                self.priority,
                self.pipeline,
                lookup,
                read,
                Keeping(self.conversations, self.records),
                Templates(self.settings.templates),
                voices=voices,
            ),
            Upload(self.indexer, downloads, max_bytes=max_bytes, needs=[self.knowledge]),
            Remember(self.indexer, downloads, max_bytes=max_bytes, needs=[self.knowledge]),
            Learn(self.pages, needs=[self.knowledge]),
            Sources(self.records, self.library.activity),
            OpenPassage(self.records),
            ShowPage(self.records, PagePictures(self.records, self.originals)),
            BackUp(self.indexer),
            Restore(self.indexer, self.knowledge, upgrade, lambda: self.channels.load(self.engine)),
            Forget(
                self.indexer,
                self.records,
                self.conversations,
                self.feedback,
                self.regression,
                self.channels,
                self.later.reminders,
                needs=[self.knowledge],
            ),
            Index(
                self.indexer,
                self.records,
                self.folders,
                change_model=self.library.change_model,
                needs=[self.knowledge],
            ),
            Condition(self.records, voices=voices, load=lambda: self.dispatcher.load),
            Configure(
                self.channels,
                folders={folder.name: folder.scope for folder in self.settings.folders},
                models=voices.offered,
                may_change=may_configure(self.settings),
                may_teach=rights_of(self.settings)["learn"],
            ),
            Rate(self.conversations, self.feedback, self.records),
            Recall(self.conversations, self.records),
            AddCase(self.conversations, self.feedback, self.regression, self.records),
            SmallTalk(),
            Help(),
        ]

    def claim(self) -> None:
        """Make the data folder this process's own; raise `StoreUnavailable` if it is another's."""
        self._folder.claim()
        upgrade(self.engine)
        self.channels.load(self.engine)

    def close(self) -> None:
        """Close what was opened, and let go of the data folder."""
        self.chat.close()
        for talker in self.others.values():
            talker.model.close()
        if self.ocr is not None:
            self.ocr.close()
        self.library.close()
        self.writer.close()
        self.engine.dispose()
        self._folder.release()

    async def learn_to_route(self) -> None:
        """Learn what plain messages want, once the embedding model is open."""
        if self.settings.answers.choose_skills:
            await self.knowledge.opened()
            try:
                await self.routing.ready()
            except TeamglmError as error:
                log.warning("what plain messages want isn't learned: %s", error)

    async def read_folders(self) -> None:
        """Read the watched folders at start, on schedule and when they change, until cancelled."""
        # Without the model nothing can be read; when somebody's question finds it, this goes on.
        await self.knowledge.opened()
        settings = self.settings
        configured = [Page(page.url, page.scope, page.private) for page in settings.web_pages]
        pages = WebPages(self.pages, configured)
        triggers = {folder.name: trigger(folder.schedule) for folder in settings.folders}
        for name, page in zip(pages.names, settings.web_pages, strict=True):
            triggers[name] = trigger(page.schedule)
        triggers[TAUGHT] = trigger(settings.taught_pages)
        await self.library.keep_up(self.folders, triggers, pages.read)

    async def forget_the_past(self, *, every_seconds: float = 3600.0) -> None:
        """Delete what was said and done too long ago, now and again, until cancelled."""
        while True:
            for keeps in (self.inbox, self.conversations, self.later.reminders):
                try:
                    await keeps.prune()
                except Exception as error:  # the disk may be full: later, then
                    log.error("what is too old could not be deleted: %s", error)
            await asyncio.sleep(every_seconds)

    def still_loading(self) -> str | None:
        """Return the phrase key of a part that isn't open yet, or None when the bot is ready."""
        for part in (self.knowledge, self.talking):
            if not part.done:
                return part.what
        return None


@asynccontextmanager
async def opened(settings: Settings, *, calibrated: bool = True) -> AsyncIterator[App]:
    """Open the bot for one request of the command line; the data folder is claimed meanwhile."""
    app = App(settings, {"cli": copy_local}, calibrated=calibrated)
    app.claim()
    try:
        yield app
    finally:
        await asyncio.to_thread(app.close)


async def known_sources(settings: Settings, request: Request) -> Reply:
    """Return what is known, from the database alone, whoever else is using the data folder."""
    engine = open_engine(DataFolder(settings.data).database())
    try:
        upgrade(engine)
        request = replace(
            request,
            audience=with_grants(request.audience, granted(settings)),
            channel=settings_of(engine, request),
        )
        return await last_reply(Sources(Records(engine)).handle(request, request.language or "en"))
    finally:
        engine.dispose()
