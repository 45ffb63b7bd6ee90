"""Measure retrieval and answers on XQuAD and CMRC 2018.

    python bench/qa.py prepare SETS OUT     write documents and questions
    python bench/qa.py retrieval OUT        recall over the full sets, and across languages
    python bench/qa.py answers OUT          100 questions a language, of the reporting halves
    python bench/qa.py table OUT            the figures as Markdown

SETS is a folder with xquad.en.json, xquad.zh.json and cmrc2018_dev.json. Every paragraph becomes
one text file. By a hash of the article's title a quarter of the articles is withheld from the
answers' documents, so that their questions can't be answered, and every article belongs to the
tuning half (which thresholds and prompts were chosen on) or to the reporting half.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

SETS = {"xquad-en": "xquad.en.json", "xquad-zh": "xquad.zh.json", "cmrc": "cmrc2018_dev.json"}
ACROSS = {"zh-to-en": ("xquad-zh", "xquad-en"), "en-to-zh": ("xquad-en", "xquad-zh")}
# A hundred questions a language.
SAMPLES = {"xquad-en": 100, "xquad-zh": 50, "cmrc": 50}
SEED = 7


@dataclass(frozen=True)
class Paragraph:
    """A paragraph, the file that it becomes, and its questions with their answers."""

    file: str
    title: str
    text: str
    questions: tuple[tuple[str, str, tuple[str, ...]], ...]

    @property
    def withheld(self) -> bool:
        """Whether it is left out, so that its questions can't be answered."""
        return _hash(self.title) % 4 == 0

    @property
    def half(self) -> str:
        """The half that it belongs to."""
        return "tuning" if _hash(self.title) // 4 % 2 == 0 else "reporting"


def _hash(title: str) -> int:
    return int(hashlib.sha256(title.encode()).hexdigest(), 16)


def read(file: Path) -> Iterator[Paragraph]:
    """Yield the paragraphs of a SQuAD-like file."""
    for article_number, article in enumerate(json.loads(file.read_text())["data"]):
        for number, paragraph in enumerate(article["paragraphs"]):
            yield Paragraph(
                f"{article_number:03}-{number}.txt",
                article["title"],
                paragraph["context"],
                tuple(
                    (qa["id"], qa["question"], tuple({a["text"]: None for a in qa["answers"]}))
                    for qa in paragraph["qas"]
                ),
            )


def prepare(sets: Path, out: Path) -> None:
    """Write documents and questions of every set."""
    known = {name: list(read(sets / file)) for name, file in SETS.items()}
    for name, paragraphs in known.items():
        for paragraph in paragraphs:
            _write(out / name / "all" / paragraph.file, paragraph.text)
            if not paragraph.withheld:
                _write(out / name / "some" / paragraph.file, paragraph.text)
        _write_questions(out / name / "all.jsonl", paragraphs, everything=True)
        for half in ("tuning", "reporting"):
            chosen = [paragraph for paragraph in paragraphs if paragraph.half == half]
            _write_questions(out / name / f"{half}.jsonl", chosen, everything=False)
    for name, (asked, _) in ACROSS.items():
        # The sets are parallel: the same file name is the same paragraph in the other language.
        _write_questions(out / f"{name}.jsonl", known[asked], everything=True)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _write_questions(file: Path, paragraphs: list[Paragraph], *, everything: bool) -> None:
    lines = []
    for paragraph in paragraphs:
        answerable = everything or not paragraph.withheld
        for identity, question, answers in paragraph.questions:
            line = {
                "id": identity,
                "question": question,
                "answers": answers if answerable else [],
                "document": paragraph.file if answerable else "",
                "answerable": answerable,
            }
            lines.append(json.dumps(line, ensure_ascii=False))
    _write(file, "\n".join(lines) + "\n")


def evaluate(out: Path, name: str, questions: Path, documents: Path, *options: str) -> None:
    """Run `teamglm eval` and keep its report; a finished one isn't run again."""
    report = out / f"{name}.json"
    if report.exists():
        return
    command = [sys.executable, "-m", "bot", "--data", str(out / "data"), "eval", "--json"]
    command += ["--questions", str(questions), "--documents", str(documents), *options]
    print(name, file=sys.stderr)
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603
    report.write_bytes(done.stdout)


def retrieval(out: Path) -> None:
    """Measure recall over the full sets, in one language and across."""
    for name in SETS:
        place = out / name
        evaluate(out, f"retrieval-{name}", place / "all.jsonl", place / "all", "--retrieval-only")
    for name, (_, documents) in ACROSS.items():
        questions = out / f"{name}.jsonl"
        evaluate(out, f"retrieval-{name}", questions, out / documents / "all", "--retrieval-only")


def answers(out: Path, half: str) -> None:
    """Measure answers on a sample of one half of each set."""
    for name, size in SAMPLES.items():
        place = out / name
        options = ("--limit", str(size), "--seed", str(SEED))
        evaluate(out, f"answers-{half}-{name}", place / f"{half}.jsonl", place / "some", *options)


def table(out: Path) -> str:
    """Return the figures as Markdown."""
    machine = f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    lines = [f"Measured {date.today().isoformat()} on {machine}.", ""]
    lines += ["| retrieval, full sets | questions | recall@1 | recall@5 | recall@10 | MRR |"]
    lines += ["|---|---|---|---|---|---|"]
    for report_file in sorted(out.glob("retrieval-*.json")):
        report = json.loads(report_file.read_text())
        found = report["retrieval"]
        cells = [f"{100 * found[key]:.1f}" for key in ("recall_at_1", "recall_at_5")]
        cells += [f"{100 * found['recall_at_10']:.1f}", f"{found['mrr']:.3f}"]
        name = report_file.stem.removeprefix("retrieval-")
        lines.append(f"| {name} | {report['questions']} | {' | '.join(cells)} |")
    columns = {
        "contains": "contains the answer",
        "f1": "F1",
        "refused_answerable": "refused wrongly",
        "refused_unanswerable": "refused rightly",
        "cited_right": "cited rightly",
        "language_matched": "language",
    }
    lines += ["", f"| answers | questions | {' | '.join(columns.values())} | first token p50/p95 |"]
    lines += ["|---|---|" + "---|" * (len(columns) + 1)]
    for report_file in sorted(out.glob("answers-*.json")):
        report = json.loads(report_file.read_text())
        cells = [_percent(report["answers"][key]) for key in columns]
        first: dict[str, Any] = report["timings_ms"]["first_token"]
        cells.append(f"{first['p50'] / 1000:.1f} s / {first['p95'] / 1000:.1f} s")
        name = report_file.stem.removeprefix("answers-")
        lines.append(f"| {name} | {report['questions']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _percent(rate: float | None) -> str:
    return "–" if rate is None else f"{100 * rate:.0f} %"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main() -> None:
    """Run one step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    steps = parser.add_subparsers(dest="step", required=True)
    step = steps.add_parser("prepare")
    step.add_argument("sets", type=Path)
    step.add_argument("out", type=Path)
    steps.add_parser("retrieval").add_argument("out", type=Path)
    step = steps.add_parser("answers")
    step.add_argument("out", type=Path)
    step.add_argument("--half", choices=("tuning", "reporting"), default="reporting")
    steps.add_parser("table").add_argument("out", type=Path)
    options = parser.parse_args()
    if options.step == "prepare":
        prepare(options.sets, options.out)
    elif options.step == "retrieval":
        retrieval(options.out)
    elif options.step == "answers":
        answers(options.out, options.half)
    else:
        print(table(options.out), end="")


if __name__ == "__main__":
    main()
