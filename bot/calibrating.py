"""`teamglm calibrate`: when to answer, set on questions of which it is known if they can be."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bot.app import App, opened
from bot.evaluation import indexed
from bot.plots import trade_off
from bot.policies import calibration_about
from bot.settings import Settings
from bot.source_settings import FolderSettings
from rag.audience import PUBLIC, Audience
from rag.calibration import CALIBRATION, Observation, Point, calibrate, curve, write
from rag.errors import TeamglmError
from rag.evaluate import Question, ask_all, read_questions
from rag.prompts import question_prompt
from rag.records import Passage

PLOT = "calibration.svg"
# A shorter passage says too little to be asked about.
_TELLING = 80
_QUESTION_TOKENS = 48


async def set_calibration(
    settings: Settings,
    *,
    questions: Path | None,
    documents: Path | None,
    wanted: float,
    answers: bool,
    limit: int,
    seed: int,
) -> dict[str, Any]:
    """Set the least score and return what it costs, with the curve; a stopped run goes on.

    Without a file of questions the chat model writes some about the bot's own documents, and
    each is asked a second time as if its document weren't there.
    """
    if (questions is None) != (documents is None):
        raise TeamglmError("--questions and --documents belong together: name both or neither.")
    # Nothing is refused before it is known what that costs.
    open_answers = settings.answers.model_copy(update={"refuse_below": 0.0})
    place = settings.data / "calibrating"
    if questions is not None and documents is not None:
        asked = read_questions(questions, limit=limit, seed=seed)
        if len({question.answerable for question in asked}) < 2:
            raise TeamglmError(
                f"{questions} calibrates nothing: it needs answerable and unanswerable questions."
            )
        if not documents.is_dir():
            raise TeamglmError(f"There is no folder {documents}: correct --documents.")
        folder = FolderSettings(path=documents.absolute(), name="eval")
        place = place / _identity(settings, [questions.read_bytes(), str(documents).encode()])
        changes = {"data": place, "folders": (folder,), "answers": open_answers}
        async with opened(settings.model_copy(update=changes)) as app:
            await app.knowledge.ready()
            await asyncio.to_thread(indexed, app)
            if answers:
                await app.talking.ready()
            observed = await _observed(app, asked, {}, place / "results.jsonl", answers)
    else:
        place = place / _identity(settings, [str((limit, seed)).encode()])
        changes = {"answers": open_answers}
        async with opened(settings.model_copy(update=changes), calibrated=False) as app:
            await app.knowledge.ready()
            await app.talking.ready()
            audience = _everything(settings)
            if not await asyncio.to_thread(app.records.passage_count, audience):
                raise TeamglmError("Nothing is known yet to ask about: run `teamglm index` first.")
            made, without = await _made(app, limit, seed, place / "questions.jsonl")
            observed = await _observed(app, made, without, place / "results.jsonl", answers)
    report = _set(settings, observed, wanted)
    await asyncio.to_thread(shutil.rmtree, place)
    return report


def _set(settings: Settings, observed: Sequence[Observation], wanted: float) -> dict[str, Any]:
    try:
        calibration = calibrate(observed, wanted)
    except ValueError as error:
        raise TeamglmError(f"There is nothing to calibrate on: {error}.") from error
    points = curve(calibration, observed)
    chosen = min(points, key=lambda point: abs(point.least - calibration.least))
    answerable = sum(one.answerable for one in observed)
    counts = {"answerable": answerable, "unanswerable": len(observed) - answerable}
    file = settings.data / CALIBRATION
    about = calibration_about(settings)
    write(calibration, file, {**about, **counts, "wanted": wanted})
    plot = settings.data / PLOT
    plot.write_text(trade_off(points, chosen, wanted), encoding="utf-8")
    return {
        "questions": len(observed),
        **counts,
        "wanted": wanted,
        "least": round(calibration.least, 4),
        "false_answers": round(chosen.false_answers, 4),
        "false_refusals": round(chosen.false_refusals, 4),
        "curve": [_row(point) for point in points],
        "file": str(file),
        "plot": str(plot),
    }


def as_table(report: dict[str, Any]) -> str:
    """Return a report as people read it: what was set, what that costs, and other choices."""
    lines = [
        f"{report['answerable']} questions that can be answered and {report['unanswerable']} that "
        "can't:",
        "",
        "least score   false answers   false refusals",
    ]
    rows = report["curve"]
    wanted_rows = [rows[round(at * (len(rows) - 1) / 10)] for at in range(11)]
    chosen = min(rows, key=lambda row: abs(row["least"] - report["least"]))
    shown = sorted({row["least"]: row for row in [*wanted_rows, chosen]}.values(), key=_least)
    for row in shown:
        mark = "  <- set" if row is chosen else ""
        lines.append(
            f"{row['least']:11.3f}   {row['false_answers']:13.1%}   "
            f"{row['false_refusals']:14.1%}{mark}"
        )
    lines += ["", f"Written to {report['file']}; the curve is in {report['plot']}."]
    lines.append("A bot that runs takes it up when it is started again.")
    return "\n".join(lines)


def _least(row: dict[str, float]) -> float:
    return row["least"]


def _row(point: Point) -> dict[str, float]:
    return {
        "least": round(point.least, 4),
        "false_answers": round(point.false_answers, 4),
        "false_refusals": round(point.false_refusals, 4),
    }


async def _observed(
    app: App,
    asked: Sequence[Question],
    without: dict[str, str],
    kept: Path,
    answers: bool,
) -> list[Observation]:
    """Ask every question, those in `without` as if that document weren't there."""
    audience = _everything(app.settings)
    results = []
    for question in tqdm(asked, desc="questions", file=sys.stderr):
        app.retriever.hide({without[question.id]} if question.id in without else ())
        results += await ask_all(
            [question],
            lambda text, audience: app.pipeline.retrieve(text, audience),
            app.pipeline.stream if answers else None,
            audience,
            kept=kept,
            progress=lambda done, total: None,
        )
    known = {result.id: result for result in results}
    observed = []
    for question in asked:
        result = known[question.id]
        support = result.support if answers else 0.0
        observed.append(Observation(question.answerable, result.confidence, support))
    return observed


async def _made(
    app: App, count: int, seed: int, kept: Path
) -> tuple[list[Question], dict[str, str]]:
    """Have the chat model ask about passages, one a document in turn; each is asked twice.

    Return the questions, and which document to withhold from each that is to be unanswerable.
    """
    audience = _everything(app.settings)
    chosen = await asyncio.to_thread(_passages, app, audience, count, seed)
    known = {entry["row"]: entry["question"] for entry in _lines(kept)}
    kept.parent.mkdir(parents=True, exist_ok=True)
    made: list[Question] = []
    without: dict[str, str] = {}
    with kept.open("a", encoding="utf-8") as log:
        for passage in tqdm(chosen, desc="asking", file=sys.stderr):
            if passage.row_id not in known:
                known[passage.row_id] = await _question(app, passage)
                entry = {"row": passage.row_id, "question": known[passage.row_id]}
                log.write("\n" + json.dumps(entry))
                log.flush()
            text = known[passage.row_id]
            if text.endswith(("?", "？")):  # else the model has written something else
                there = Question(f"{passage.row_id}+", text, (), passage.document, True)
                absent = Question(f"{passage.row_id}-", text, (), "", False)
                made += [there, absent]
                without[absent.id] = passage.document_id
    return made, without


async def _question(app: App, passage: Passage) -> str:
    """Have the chat model write a question that a passage answers; empty if it doesn't."""
    prompt = question_prompt(passage.text, passage.language)
    message = ""
    async for piece in app.chat.astream(prompt, max_tokens=_QUESTION_TOKENS):
        message += str(piece.content)
    return message.strip().partition("\n")[0].strip()


def _lines(file: Path) -> Iterator[dict[str, str]]:
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    for line in filter(str.strip, text.split("\n")):
        with suppress(ValueError):  # the line that was being written when the run was stopped
            yield json.loads(line)


def _passages(app: App, audience: Audience, count: int, seed: int) -> list[Passage]:
    chance = random.Random(seed)  # noqa: S311
    pools = []
    for record in app.records.sources(audience):
        if record.state == "ready":
            passages = app.records.passages_of(record.id, audience)
            telling = [passage for passage in passages if len(passage.text) >= _TELLING]
            pools.append(chance.sample(telling, len(telling)))
    chosen: list[Passage] = []
    while len(chosen) < count and any(pools):
        chosen += [pool.pop() for pool in pools if pool]
    return chosen[:count]


def _everything(settings: Settings) -> Audience:
    """Return the audience of all that the settings bring in."""
    sources = (*settings.folders, *settings.web_pages)
    return Audience.of({PUBLIC, *(source.scope for source in sources)})


def _identity(settings: Settings, parts: Sequence[bytes]) -> str:
    """Name a run by everything that changes its results."""
    digest = hashlib.sha256(b"\0".join(parts))
    digest.update(f"{settings.chat_model} {settings.embedding_model}".encode())
    digest.update(f"{settings.splitter!r} {settings.answers!r}".encode())
    return digest.hexdigest()[:16]
