"""`python -m tests.transcripts.skills` writes docs/skills.md anew: each skill, once, for real.

The command line answers with the embedded models over the handbook in `knowledge/`.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "skills.md"
HEAD = """# Skills

What the bot does besides answering questions. Every skill is a command: `/NAME` on Discord and on
the page, `/glm NAME` on Slack, `teamglm NAME` on the command line. What it takes can be filled in
where the platform has forms, or typed as `name=value`: `/glm summarise handbook.pdf length=short`;
names and values work in Chinese too: `/总结 手册.pdf 篇幅=短`. Answers stream, can be stopped, and
cite what they rest on; what a model adds isn't cited.

The transcripts below are made by `python -m tests.transcripts.skills`, which runs the command line
over the handbook in `knowledge/` with the embedded models: what the small model writes is left as
it is. What Slack and Discord show is in [transcripts.md](transcripts.md).
"""
SECTIONS: tuple[tuple[str, str, tuple[tuple[str, ...], ...]], ...] = (
    (
        "Summaries",
        "A document, a web page, a file or a thread, `short`, `medium` or `long`, in the language "
        "asked for. A long text is read part by part, and notes of the parts become the summary; "
        "`answers.summary_parts` says how many parts are read, and the answer says when there were "
        "more. What the text doesn't say isn't shown.",
        (
            ("summarise", "team-handbook.pdf", "--length", "short"),
            ("summarise", "release-process.html", "--language", "zh", "--length", "short"),
        ),
    ),
    (
        "Comparing",
        "Two documents or more: what they share, and where they differ.",
        (("compare", "getting-started.md", "使用指南.md", "--language", "en"),),
    ),
    (
        "What did I miss",
        "`/glm missed 2h` on Slack and `/missed` on Discord sum up what was said in the channel "
        "since then, threads too, for the person alone: `2h`, `3d`, `yesterday`, `Monday`, "
        "`2026-11-20`, `昨天`, `3天`. At most the newest thousand messages are read.",
        (),
    ),
    (
        "Writing",
        "After a template: `outline`, `announcement`, `email`, `report`, or a file of the team's "
        "own in the folder that `templates` names in config.yaml (`NAME.md`, `NAME.zh.md`). With "
        "`facts=documents`, it rests on passages of the team's documents, and nothing is written "
        "where there are none.",
        (
            (
                "write",
                "how to report a lost laptop",
                "--template",
                "announcement",
                "--facts",
                "documents",
            ),
        ),
    ),
    (
        "Rewriting",
        "A text, a document or a file, as somebody wants it.",
        (
            (
                "rewrite",
                "It would be very much appreciated if all of you could kindly make sure that the "
                "window of the kitchen is closed in the evening.",
                "--how",
                "shorter",
            ),
        ),
    ),
    (
        "Translating",
        "Between English and Chinese, passage by passage; of a document, each passage cites the "
        "one that it translates.",
        (("translate", "The code freeze is on Thursday at 17:00.", "--language", "zh"),),
    ),
    (
        "Extraction",
        "Named fields, or a JSON Schema, out of documents, files or a whole folder; several come "
        "back as one CSV or XLSX. Each value is looked up in the text: the sentence that has it is "
        "cited, and a value that the text doesn't have word for word is marked.",
        (
            (
                "extract",
                "release-process.html",
                "--fields",
                "release captain, code freeze, coverage",
            ),
        ),
    ),
    (
        "Table questions",
        "The model writes a query, DuckDB computes it over the rows of a sheet; the answer shows "
        "both.",
        (("table", "Who is on call on Wednesday?", "--document", "on-call.csv"),),
    ),
)


def main() -> None:
    """Run every example, and write the page."""
    parts = [HEAD]
    with TemporaryDirectory(prefix="teamglm-") as data:
        _ran(data, ("index",))
        for title, about, examples in SECTIONS:
            parts.append(f"## {title}\n\n{about}\n")
            for arguments in examples:
                said = _ran(data, arguments)
                parts.append(f"```console\n$ teamglm {shlex.join(arguments)}\n{said}\n```\n")
    DOCUMENT.write_text("\n".join(parts), encoding="utf-8")


def _ran(data: str, arguments: tuple[str, ...]) -> str:
    command = [sys.executable, "-m", "bot", "--data", data, *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return "\n".join(line.rstrip() for line in (ran.stdout or ran.stderr).strip().splitlines())


if __name__ == "__main__":
    main()
