"""`eval` with the real models, on a small bilingual set."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from tests.e2e.bot import ROOT, Bot

MINI = ROOT / "tests" / "data" / "mini"


def documents_of(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    for file in MINI.glob("*.txt"):
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_retrieval_is_measured_without_a_chat_model(tmp_path: Path) -> None:
    bot = Bot(tmp_path, chat_model="missing.gguf")
    report = bot.json(
        "eval",
        "--questions", MINI / "questions.jsonl",
        "--documents", documents_of(tmp_path),
        "--retrieval-only",
    )  # fmt: skip
    assert report["questions"] == 16
    assert report["retrieval"] == {
        "recall_at_1": 1.0,
        "recall_at_5": 1.0,
        "recall_at_10": 1.0,
        "mrr": 1.0,
    }
    assert list((bot.data / "eval").iterdir()) == []


def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    bot = Bot(tmp_path)
    chosen = {"en-1", "zh-1", "zh-7", "en-8"}
    lines = (MINI / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = tmp_path / "questions.jsonl"
    questions.write_text(
        "\n".join(line for line in lines if json.loads(line)["id"] in chosen), encoding="utf-8"
    )
    arguments: list[str | Path] = [
        "eval", "--questions", questions, "--documents", documents_of(tmp_path),
    ]  # fmt: skip
    killed = bot.going_on(*arguments)
    killed.wait_for(r"questions: .*\b1/4")
    assert killed.end(signal.SIGKILL) == -signal.SIGKILL

    [kept] = (bot.data / "eval").rglob("results.jsonl")
    first, *rest = [
        json.loads(line) for line in kept.read_text(encoding="utf-8").split("\n") if line
    ]
    # Only a result that is read back can tell this.
    first["ranks"] = {"rank": 0}
    kept.write_text("".join(json.dumps(each) + "\n" for each in (first, *rest)), encoding="utf-8")
    report: dict[str, Any] = bot.json(*arguments)
    assert report["questions"] == 4
    assert report["retrieval"]["recall_at_1"] == 0.5
    assert report["answers"].pop("f1") > 0.1
    # The bars of every change: what is there is answered from the right file, the rest refused.
    assert report["answers"] == {
        "contains": 1.0,
        "refused_answerable": 0.0,
        "refused_unanswerable": 1.0,
        "cited_right": 1.0,
        "language_matched": 1.0,
    }
    assert report["sentences"]["shown"] >= 2
    assert report["timings_ms"]
