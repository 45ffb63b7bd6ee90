"""Measure retrieval and answers on a question file."""

from __future__ import annotations

import json
import random
import re
import statistics
import string
import unicodedata
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rag.audience import Audience
from rag.errors import TeamglmError
from rag.language import language_of
from rag.pipeline import Event, Finished, Sentence
from rag.retrieval import Retrieval

_DEEPEST = 10
_READ = 3
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_HAN_OR_WORD = re.compile(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]+")
_SQUAD_PUNCTUATION = str.maketrans("", "", string.punctuation)
_PUNCTUATION = re.compile(r"[^\w\s]|_")


@dataclass(frozen=True, slots=True)
class Question:
    """A line of a question file; `document` is a POSIX path under the documents' folder."""

    id: str
    question: str
    answers: tuple[str, ...]
    document: str
    answerable: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A sentence that was shown, with the documents and the texts that it cites."""

    text: str
    documents: tuple[str, ...]
    quotes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one question."""

    id: str
    ranks: dict[str, float]
    """`rank` of the first passage of the right document among ten, 0 if it isn't among them."""
    outcome: str | None = None
    text: str = ""
    cited: tuple[str, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)
    confidence: float | None = None
    support: float | None = None
    withheld: int = 0
    sentences: tuple[Shown, ...] = ()
    found: tuple[str, ...] = ()
    """The documents of the first three passages, in their order."""


def read_questions(file: Path, *, limit: int | None = None, seed: int = 0) -> list[Question]:
    """Return the questions of a JSON Lines file, a fair sample of them if `limit` is given."""
    questions = []
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
        for line in filter(str.strip, lines):
            entry = json.loads(line)
            questions.append(
                Question(
                    str(entry["id"]),
                    entry["question"],
                    tuple(entry["answers"]),
                    entry.get("document") or "",
                    bool(entry["answerable"]),
                )
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TeamglmError(
            f"{file} is not a question file: it needs one JSON object a line with id, question, "
            "answers, document and answerable."
        ) from error
    if limit is not None and limit < len(questions):
        questions = random.Random(seed).sample(questions, limit)  # noqa: S311
    return questions


async def measure(
    questions: Sequence[Question],
    retrieve: Callable[[str, Audience], Awaitable[Retrieval]],
    answer: Callable[[str, Audience], AsyncGenerator[Event, None]] | None,
    audience: Audience,
    *,
    kept: Path,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Return the figures over all questions; finished ones are read back from `kept`."""
    results = await ask_all(questions, retrieve, answer, audience, kept=kept, progress=progress)
    return figures(questions, results)


async def ask_all(
    questions: Sequence[Question],
    retrieve: Callable[[str, Audience], Awaitable[Retrieval]],
    answer: Callable[[str, Audience], AsyncGenerator[Event, None]] | None,
    audience: Audience,
    *,
    kept: Path,
    progress: Callable[[int, int], None],
) -> list[Result]:
    """Return what became of every question; finished ones are read back from `kept`."""
    done = _read_kept(kept)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.open("a", encoding="utf-8") as log:
        log.write("\n")  # ends a line that was being written when the run was stopped
        for at, question in enumerate(questions):
            if question.id not in done:
                result = await _ask(question, retrieve, answer, audience)
                done[question.id] = result
                log.write(json.dumps(asdict(result)) + "\n")
                log.flush()
            progress(at + 1, len(questions))
    return [done[question.id] for question in questions]


async def _ask(
    question: Question,
    retrieve: Callable[[str, Audience], Awaitable[Retrieval]],
    answer: Callable[[str, Audience], AsyncGenerator[Event, None]] | None,
    audience: Audience,
) -> Result:
    retrieval = await retrieve(question.question, audience)
    found = [hit.passage.document for hit in retrieval.hits[:_DEEPEST]]
    rank = found.index(question.document) + 1 if question.document in found else 0
    read = tuple(dict.fromkeys(found[:_READ]))
    if answer is None:
        return Result(question.id, {"rank": rank}, confidence=retrieval.confidence, found=read)
    sentences: list[Sentence] = []
    end: Finished | None = None
    async with aclosing(answer(question.question, audience)) as events:
        async for event in events:
            if isinstance(event, Sentence):
                sentences.append(event)
            elif isinstance(event, Finished):
                end = event
    if end is None:
        raise RuntimeError("the pipeline ended without a result")
    return Result(
        question.id,
        {"rank": rank},
        end.outcome,
        "".join(sentence.text for sentence in sentences).strip(),
        tuple(citation.document for sentence in sentences for citation in sentence.citations),
        end.timings_ms
        if end.proof.asked_ms is None
        else {**end.timings_ms, "prompt": end.proof.asked_ms},
        end.proof.confidence,
        end.proof.support,
        end.proof.withheld,
        tuple(
            Shown(
                sentence.text.strip(),
                tuple(citation.document for citation in sentence.citations),
                tuple(citation.quote for citation in sentence.citations),
            )
            for sentence in sentences
        ),
        read,
    )


def _read_kept(file: Path) -> dict[str, Result]:
    if not file.is_file():
        return {}
    results = {}
    for line in filter(str.strip, file.read_text(encoding="utf-8").split("\n")):
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # the line that was being written when the run was stopped
        entry["found"], entry["cited"] = tuple(entry["found"]), tuple(entry["cited"])
        entry["sentences"] = tuple(
            Shown(each["text"], tuple(each["documents"]), tuple(each["quotes"]))
            for each in entry["sentences"]
        )
        results[entry["id"]] = Result(**entry)
    return results


def figures(questions: Sequence[Question], results: Sequence[Result]) -> dict[str, Any]:
    """Return rates from 0 to 1: recall and MRR at ten, and how the answers are.

    `contains` and `f1` are over all answerable questions, a refusal being a miss; `cited_right` is
    the share of answered answerable questions whose first citation is of the right document. What
    needs a document or an answer leaves questions without one out.
    """
    pairs = list(zip(questions, results, strict=True))
    answerable = [(q, r) for q, r in pairs if q.answerable]
    # Of a question from people's complaints nobody may know yet what is right.
    placed = [(q, r) for q, r in answerable if q.document]
    told = [(q, r) for q, r in answerable if q.answers]
    ranks = [r.ranks["rank"] for _, r in placed]
    report: dict[str, Any] = {
        "questions": len(questions),
        "retrieval": {
            "recall_at_1": _mean(0 < rank <= 1 for rank in ranks),
            "recall_at_5": _mean(0 < rank <= 5 for rank in ranks),
            "recall_at_10": _mean(0 < rank <= 10 for rank in ranks),
            "mrr": _mean(1 / rank if rank else 0.0 for rank in ranks),
        },
    }
    if any(r.outcome for _, r in pairs):
        unanswerable = [r for q, r in pairs if not q.answerable]
        answered = [(q, r) for q, r in placed if r.outcome == "answer"]
        shown = [(q, r) for q, r in pairs if r.outcome == "answer"]
        report["answers"] = {
            "contains": _mean(contains(r.text, q.answers) for q, r in told),
            "f1": _mean(max(f1(r.text, a) for a in q.answers) for q, r in told),
            "refused_answerable": _mean(r.outcome == "refusal" for _, r in answerable),
            "refused_unanswerable": _mean(r.outcome == "refusal" for r in unanswerable),
            "cited_right": _mean(r.cited[:1] == (q.document,) for q, r in answered),
            "language_matched": _mean(
                language_of(r.text) == language_of(q.question) for q, r in shown
            ),
        }
        report["sentences"] = {
            "shown": sum(len(r.sentences) for _, r in pairs),
            "withheld": sum(r.withheld for _, r in pairs),
        }
        report["timings_ms"] = _timings([r.timings_ms for _, r in pairs])
    return report


def contains(text: str, answers: Iterable[str]) -> bool:
    """Tell whether a normalised answer stands in the normalised text."""
    words = f" {' '.join(normalised(text))} "
    return any(f" {' '.join(normalised(answer))} " in words for answer in answers if answer)


def f1(text: str, answer: str) -> float:
    """Return SQuAD's F1 of shared words, characters in Chinese."""
    said, wanted = normalised(text), normalised(answer)
    shared = (Counter(said) & Counter(wanted)).total()
    return 2 * shared / (len(said) + len(wanted)) if shared else 0.0


def normalised(text: str) -> list[str]:
    """Return a text's words as SQuAD compares them, each Han character being one."""
    # SQuAD takes its punctuation out ("U.S." is "us"); of any other we make a space.
    bare = text.translate(_SQUAD_PUNCTUATION)
    folded = unicodedata.normalize("NFKC", bare).casefold()
    plain = _ARTICLES.sub(" ", _PUNCTUATION.sub(" ", folded))
    return _HAN_OR_WORD.findall(plain)


def _mean(values: Iterable[float]) -> float | None:
    numbers = [float(value) for value in values]
    return round(statistics.fmean(numbers), 4) if numbers else None


def _timings(timings: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    report = {}
    for name in ("retrieve", "prompt", "first_token", "first_text", "total"):
        values = sorted(t[name] for t in timings if name in t)
        if values:
            at_95 = values[min(len(values) - 1, round(0.95 * len(values)))]
            report[name] = {"p50": round(statistics.median(values), 1), "p95": at_95}
    return report
