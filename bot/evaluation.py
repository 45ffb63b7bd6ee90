"""`teamglm eval`: a throw-away bot over a folder of documents, asked a file of questions."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bot.app import App, opened
from bot.settings import Settings
from bot.source_settings import FolderSettings
from rag.audience import PUBLIC, Audience
from rag.calibration import CALIBRATION
from rag.errors import TeamglmError
from rag.evaluate import measure, read_questions
from rag.finding import Finder, Translates
from rag.ingest.folders import scan
from rag.language import Language

log = logging.getLogger(__name__)

_DEPTH = 10


class Translations:
    """Translates as the bot does, and keeps each translation for the next run: they take long."""

    def __init__(self, translator: Translates, settings: Settings) -> None:
        self._translator = translator
        self._model = settings.chat_model
        self._file = settings.data / "translations.jsonl"
        self._known: dict[tuple[str, str, str], str | None] = {}
        if self._file.is_file():
            for line in self._file.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # the line that was being written when a run was stopped
                    *key, translation = json.loads(line)
                    self._known[tuple(key)] = translation

    async def translate(self, question: str, language: Language) -> str | None:
        """Return the question in a language, or None where no translation is to be had."""
        key = (self._model, language, question)
        if key not in self._known:
            translation = await self._translator.translate(question, language)
            if translation is None:  # the model may be there the next time
                return None
            self._known[key] = translation
            line = json.dumps([*key, translation], ensure_ascii=False)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
        return self._known[key]


async def evaluate(
    settings: Settings,
    *,
    questions: Path,
    documents: Path,
    answers: bool,
    limit: int | None,
    seed: int,
    results: Path | None = None,
) -> dict[str, Any]:
    """Return the figures of a question file; a run that was stopped goes on where it was.

    What is kept for that is under `eval/` in the data folder, and is removed at the end; `results`
    gets a line a question with all that was answered and cited.
    """
    asked = read_questions(questions, limit=limit, seed=seed)
    if not asked:
        raise TeamglmError(f"{questions} has no questions.")
    if not documents.is_dir():
        raise TeamglmError(f"There is no folder {documents}: correct --documents.")
    place = settings.data / "eval" / _identity(settings, questions, documents, answers)
    folder = FolderSettings(path=documents.absolute(), name="eval")
    throwaway = settings.model_copy(update={"data": place, "folders": (folder,)})
    calibration = settings.data / CALIBRATION
    if calibration.is_file():
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(calibration, place)
    async with opened(throwaway) as app:
        await app.knowledge.ready()
        await asyncio.to_thread(indexed, app)
        if answers:
            await app.talking.ready()
        with tqdm(total=len(asked), desc="questions", file=sys.stderr, dynamic_ncols=True) as bar:

            def progress(done: int, _total: int) -> None:
                bar.update(done - bar.n)

            translations = Translations(app.translator, settings)
            finder = Finder(app.retriever, translations)
            report = await measure(
                asked,
                lambda question, audience: finder.find(question, audience, limit=_DEPTH),
                app.pipeline.stream if answers else None,
                Audience.of({PUBLIC}),
                kept=place / "results.jsonl",
                progress=progress,
            )
    if results is not None:
        await asyncio.to_thread(shutil.copy, place / "results.jsonl", results)
    await asyncio.to_thread(shutil.rmtree, place)
    return report


def indexed(app: App) -> None:
    """Bring the index of the first folder up to date, with a bar; blocking."""
    with tqdm(desc="documents", file=sys.stderr, dynamic_ncols=True) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = scan(app.folders[0], app.indexer, app.records, progress)
    for name, code, reason in report.failed:
        log.warning("%s can't be read (%s): %s", name, code, reason)
    if report.failures > len(report.failed):
        log.warning("%d more can't be read", report.failures - len(report.failed))


def _identity(settings: Settings, questions: Path, documents: Path, answers: bool) -> str:
    """Name a run by everything that changes its results."""
    digest = hashlib.sha256(questions.read_bytes())
    calibration = settings.data / CALIBRATION
    digest.update(calibration.read_bytes() if calibration.is_file() else b"")
    digest.update(str(documents.absolute()).encode())
    digest.update(f"{answers} {settings.chat_model} {settings.embedding_model}".encode())
    digest.update(f"{settings.splitter!r} {settings.answers!r}".encode())
    return digest.hexdigest()[:16]
