"""Measure retrieval and answers on XQuAD and CMRC 2018.

    python bench/qa.py prepare SETS OUT     write documents and questions
    python bench/qa.py retrieval OUT        recall over the full sets, and across languages
    python bench/qa.py answers OUT          150 questions a set, and 60 without their paragraph
    python bench/qa.py table OUT            the figures as Markdown
    python bench/qa.py plots OUT FOLDER     and as pictures, with the targets

SETS is a folder with xquad.en.json, xquad.zh.json and cmrc2018_dev.json. Every paragraph becomes
one text file. By a hash of the article's title a quarter of the articles is withheld from the
answers' documents, so that their questions can't be answered, and every article belongs to the
tuning half (which thresholds and prompts were chosen on) or to the reporting half. In the
documents called gaps all articles are there, each without some of its paragraphs; the questions
are about these. `xquad-zht` asks the Chinese questions in traditional characters.

Everything that takes long resumes where it was stopped, and what is finished isn't run again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from plots import Bar, bars

SETS = {"xquad-en": "xquad.en.json", "xquad-zh": "xquad.zh.json", "cmrc": "cmrc2018_dev.json"}
ACROSS = {"zh-to-en": ("xquad-zh", "xquad-en"), "en-to-zh": ("xquad-en", "xquad-zh")}
TRADITIONAL = {"xquad-zht": "xquad-zh"}
SAMPLE, GAP_SAMPLE = 150, 60
SEED = 7
RECALL_TARGETS = {
    "xquad-en": (0.97, 0.997),
    "xquad-zh": (0.96, 0.995),
    "cmrc": (0.985, 0.998),
    "zh-to-en": (0.89, 0.98),
    "en-to-zh": (0.88, 0.98),
}
ANSWER_TARGETS = {
    "contains": ("contains the answer", 0.83),
    "refused_unanswerable": ("refused rightly", 0.95),
    "cited_right": ("cited rightly", 0.95),
    "language_matched": ("language", 0.99),
}


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
    def gap(self) -> bool:
        """Whether it is left out where the rest of its article is there."""
        return _hash(self.title + self.file) % 4 == 0

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
            if not paragraph.gap:
                _write(out / name / "gaps" / paragraph.file, paragraph.text)
        _write_questions(out / name / "all.jsonl", paragraphs)
        for half in ("tuning", "reporting"):
            chosen = [paragraph for paragraph in paragraphs if paragraph.half == half]
            absent = {paragraph.file for paragraph in chosen if paragraph.withheld}
            _write_questions(out / name / f"{half}.jsonl", chosen, absent)
            gaps = [paragraph for paragraph in chosen if paragraph.gap]
            absent = {paragraph.file for paragraph in gaps}
            _write_questions(out / name / f"{half}-gaps.jsonl", gaps, absent)
    for name, simplified in TRADITIONAL.items():
        for half in ("tuning", "reporting"):
            lines = (out / simplified / f"{half}.jsonl").read_text(encoding="utf-8").splitlines()
            _write(out / name / f"{half}.jsonl", "".join(_in_traditional(lines)))
    for name, (asked, _) in ACROSS.items():
        # The sets are parallel: the same file name is the same paragraph in the other language.
        _write_questions(out / f"{name}.jsonl", known[asked])


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _in_traditional(lines: Sequence[str]) -> Iterator[str]:
    """Yield questions in traditional characters; their answers may come in either."""
    from opencc import OpenCC

    traditional = OpenCC("s2t")
    for line in lines:
        entry = json.loads(line)
        entry["question"] = traditional.convert(entry["question"])
        answers = [traditional.convert(answer) for answer in entry["answers"]]
        entry["answers"] = list(dict.fromkeys(entry["answers"] + answers))
        yield json.dumps(entry, ensure_ascii=False) + "\n"


def _write_questions(file: Path, paragraphs: list[Paragraph], absent: Collection[str] = ()) -> None:
    lines = []
    for paragraph in paragraphs:
        answerable = paragraph.file not in absent
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
        _retrieved(out, name, place / "all.jsonl", place / "all")
    for name, (_, documents) in ACROSS.items():
        _retrieved(out, name, out / f"{name}.jsonl", out / documents / "all")


def _retrieved(out: Path, name: str, questions: Path, documents: Path) -> None:
    run = f"retrieval-{name}"
    kept = ("--results", str(out / f"{run}.jsonl"))
    evaluate(out, run, questions, documents, "--retrieval-only", *kept)


def same_sources(out: Path, name: str) -> tuple[float, float]:
    """Return how alike what a question finds is to what the same one finds in the other language.

    Over the same documents: the mean Jaccard index of the documents of the three passages that are
    read, and the share of questions whose first one is the same.
    """
    pairs = []
    for run in (name, ACROSS[name][1]):
        lines = (out / f"retrieval-{run}.jsonl").read_text(encoding="utf-8").split("\n")
        results = [json.loads(line) for line in lines if line.strip()]
        pairs.append({result["id"]: result["found"] for result in results})
    both = [(pairs[0][key], pairs[1][key]) for key in pairs[0].keys() & pairs[1].keys()]
    alike = [len({*one} & {*other}) / len({*one} | {*other}) for one, other in both]
    return statistics.fmean(alike), statistics.fmean(one[:1] == other[:1] for one, other in both)


def answers(out: Path, half: str, only: Collection[str] = ()) -> None:
    """Measure answers on a sample of one half of each set, or of the named ones alone."""
    runs = [(name, f"{half}.jsonl", name, "some", SAMPLE) for name in SETS]
    runs += [(name, f"{half}.jsonl", of, "some", GAP_SAMPLE) for name, of in TRADITIONAL.items()]
    runs += [(f"{name}-gaps", f"{half}-gaps.jsonl", name, "gaps", GAP_SAMPLE) for name in SETS]
    for name, questions, of, documents, size in runs:
        if only and name not in only:
            continue
        run = f"answers-{half}-{name}"
        options = [
            "--limit",
            str(size),
            "--seed",
            str(SEED),
            "--results",
            str(out / f"{run}.jsonl"),
        ]
        place = out / name.removesuffix("-gaps")
        evaluate(out, run, place / questions, out / of / documents, *options)


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
    for name in ACROSS:
        if (out / f"retrieval-{name}.jsonl").exists():
            alike, first = same_sources(out, name)
            lines += [
                "",
                f"{name}: Jaccard index of what is read {alike:.2f}, same first {first:.2f}",
            ]
    columns = {
        "contains": "contains the answer",
        "f1": "F1",
        "refused_answerable": "refused wrongly",
        "refused_unanswerable": "refused rightly",
        "cited_right": "cited rightly",
        "language_matched": "language",
    }
    times = {"retrieve": "retrieved", "first_token": "first token", "total": "whole answer"}
    lines += ["", f"| answers | questions | {' | '.join(columns.values())} | sentences withheld |"]
    lines += ["|---|---|" + "---|" * (len(columns) + 1)]
    slow = ["", "| seconds, p50 / p95 | " + " | ".join(times.values()) + " |", "|---|---|---|---|"]
    for report_file in sorted(out.glob("answers-*.json")):
        report = json.loads(report_file.read_text())
        name = report_file.stem.removeprefix("answers-")
        cells = [_percent(report["answers"][key]) for key in columns]
        written = report["sentences"]
        cells.append(f"{written['withheld']} of {written['withheld'] + written['shown']}")
        lines.append(f"| {name} | {report['questions']} | {' | '.join(cells)} |")
        taken = report["timings_ms"]
        slow.append(f"| {name} | {' | '.join(_seconds(taken.get(key)) for key in times)} |")
    return "\n".join(lines + slow) + "\n"


def _seconds(times: dict[str, float] | None) -> str:
    return f"{times['p50'] / 1000:.1f} / {times['p95'] / 1000:.1f}" if times else "–"


def plots(out: Path, folder: Path) -> None:
    """Write a picture of the retrieval's figures and one of the answers'."""
    found, answered = [], []
    for report_file in sorted(out.glob("retrieval-*.json")):
        name = report_file.stem.removeprefix("retrieval-")
        for key, at in (("recall_at_1", 0), ("recall_at_5", 1)):
            rate = json.loads(report_file.read_text())["retrieval"][key]
            found.append(
                Bar(f"{name}, {key[-1]}", rate, RECALL_TARGETS.get(name, (None, None))[at])
            )
    for report_file in sorted(out.glob("answers-reporting-*.json")):
        name = report_file.stem.removeprefix("answers-reporting-")
        rates = json.loads(report_file.read_text())["answers"]
        for key, (label, target) in ANSWER_TARGETS.items():
            gaps = key == "refused_unanswerable" and name.endswith("-gaps")
            if rates[key] is not None:
                answered.append(Bar(f"{name}, {label}", rates[key], 0.75 if gaps else target))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "retrieval.svg").write_text(bars("Recall at 1 and at 5", found), encoding="utf-8")
    (folder / "answers.svg").write_text(bars("Answers", answered), encoding="utf-8")


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
    step.add_argument("--only", nargs="*", default=(), metavar="SET")
    steps.add_parser("table").add_argument("out", type=Path)
    step = steps.add_parser("plots")
    step.add_argument("out", type=Path)
    step.add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.step == "prepare":
        prepare(options.sets, options.out)
    elif options.step == "retrieval":
        retrieval(options.out)
    elif options.step == "answers":
        answers(options.out, options.half, options.only)
    elif options.step == "plots":
        plots(options.out, options.folder)
    else:
        print(table(options.out), end="")


if __name__ == "__main__":
    main()
