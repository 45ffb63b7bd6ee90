"""Read a file of every format, compare with other converters, and write docs/formats.md.

    python bench/formats.py DOCUMENTS [--converters PYTHON]

DOCUMENTS is a folder of public files with a manifest.json. PYTHON is the interpreter of an
environment with the packages of CONVERTERS; without it one is made in build/converters.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import venv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from email.message import EmailMessage
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from references import reference, share, words  # noqa: E402

from rag.errors import DocumentError  # noqa: E402
from rag.ingest.loaders import kind_of  # noqa: E402
from rag.ingest.ocr import Ocr  # noqa: E402
from rag.ingest.parsed import Parsed  # noqa: E402
from rag.ingest.sandbox import Sandbox  # noqa: E402
from rag.models.manifest import default_cache, load_manifest, target  # noqa: E402
from tests.rag.ingest.files import make_docx, make_epub, make_pdf, make_zip  # noqa: E402
from tests.rag.ingest.outlook import make_msg  # noqa: E402

CONVERTERS = (
    "markitdown[docx,pptx,xlsx,xls,pdf,outlook]==0.1.8",
    "kreuzberg==4.10.4",
    "pymupdf4llm==2.0",
    "rapidocr==3.10.0",  # with which pymupdf4llm reads scans
    "onnxruntime",
    "opencv-python-headless",
    "pypdf==7.1.0",
    "pdfminer.six",
)
OTHERS = ("markitdown", "kreuzberg", "pymupdf4llm")
OWN = ROOT / "tests" / "data" / "formats"
DOCUMENT = ROOT / "docs" / "formats.md"
PAGE_CHARACTERS = 3_000
BODY = "Everyone has 25 days of leave. 台风橙色预警期间居家办公。"
LEAVE = (
    "Before any heading. Leave Annual leave Everyone has 25 days. Ask a week ahead Tell the team"
)
BUDGET = "2026 年预算 部门 金额 占比 研发 1200 市场 800.5 Notes just one line"
# What stands in the files that an office suite made of ours; sheet names and numbers that are
# shown as percentages aside.
MADE = {
    "budget.ods": BUDGET.replace(" Notes", ""),
    "budget.xls": BUDGET.replace(" Notes", ""),
    "leave.odt": f"{LEAVE} Offices City Floor Phone Berlin 3 030 Xiamen 12 0592",
    "leave.rtf": f"{LEAVE} Offices City Floor Phone Berlin 3 030 Xiamen 12 0592",
    "roadmap.odp": "Roadmap First step Second step Say why. Prices Item Price Tea 3 EUR",
}

# How each format is called, what reads it, and what is lost of it.
FORMATS: Mapping[str, tuple[str, str, str]] = {
    "pdf": (
        "PDF",
        "pypdfium2; scans: PP-OCR",
        "which column is whose in tables without lines; headings that are no bookmarks; drawings",
    ),
    "docx": ("DOCX, DOCM", "python-docx", "headers and footers; drawings; deleted text"),
    "pptx": ("PPTX, PPSX", "python-pptx", "charts, SmartArt"),
    "xlsx": ("XLSX, XLSM", "openpyxl", "formulas (their last values stay), hidden sheets, charts"),
    "xls": ("XLS, XLSB", "python-calamine", "as XLSX, and how numbers are shown (25 % is 0.25)"),
    "ods": ("ODS", "python-calamine", "as XLS"),
    "csv": ("CSV, TSV", "csv", "nothing"),
    "odt": ("ODT", "lxml", "drawings, tables of contents, deleted text"),
    "odp": ("ODP", "lxml", "charts"),
    "rtf": ("RTF", "striprtf", "pictures, footnotes' places, merged cells"),
    "markdown": ("Markdown", "markdown-it-py", "addresses behind links"),
    "html": ("HTML", "lxml", "navigation, footers, hidden parts, forms, addresses behind links"),
    "epub": ("EPUB", "lxml", "drawings, the table of contents"),
    "text": ("Plain text", "our own; charset-normalizer", "line breaks of wrapped paragraphs"),
    "email": ("E-mail (EML)", "email", "other headers; HTML where there is plain text"),
    "msg": ("Outlook (MSG)", "python-oxmsg", "letters that have RTF alone"),
    "notebook": ("Notebooks", "json, markdown-it-py", "pictures and widgets among the output"),
    "json": ("JSON, JSON lines", "json", "earlier ones of equal keys"),
    "code": ("YAML, TOML, source code, other text", "our own", "nothing"),
    "picture": ("PNG, JPEG, TIFF, WebP", "pillow, PP-OCR", "handwriting, colours, layout"),
    "zip": ("ZIP", "zipfile", "files that nobody reads, more than three archives deep"),
}


@dataclass
class Row:
    """A file, and what became of it."""

    file: Path
    kind: str
    outcome: str
    shares: dict[str, float | None]


def made(folder: Path) -> list[Path]:
    """Write a file of each format that neither the public files nor tests/data have."""
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "ann@example.org", "bob@example.org", "Leave"
    letter["Date"] = "Mon, 02 Nov 2026 10:00:00 +0000"
    letter.set_content(BODY)
    letter.add_attachment(make_docx(), maintype="application", subtype="x", filename="leave.docx")
    heads = "From ann@example.org Subject Leave "
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": f"# Leave\n\n{BODY}"},
        {"cell_type": "code", "metadata": {}, "source": "days = 25", "outputs": []},
    ]
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    records = [{"name": "Ann", "days": 25}, {"name": "李雷", "days": 30}]
    code = f"# {BODY}\ndef leave(days):\n    return days\n"
    files: dict[str, tuple[bytes, str]] = {
        "letter.eml": (
            letter.as_bytes(),
            f"{heads} To bob@example.org {BODY} {MADE['leave.odt']}",
        ),
        "letter.msg": (make_msg("Leave", BODY, "ann@example.org"), heads + BODY),
        "notebook.ipynb": (json.dumps(notebook).encode(), f"Leave {BODY} days = 25"),
        "records.json": (json.dumps(records).encode(), "name Ann days 25 name 李雷 days 30"),
        "settings.yaml": (f"days: 25\nnote: {BODY}\n".encode(), f"days 25 note {BODY}"),
        "leave.py": (code.encode(), code),
        "table.tsv": ("姓名\t天数\n李雷\t30\n".encode("gb18030"), "姓名 天数 李雷 30"),
        "book-zh.epub": (make_epub([f"<h1>休假</h1><p>{BODY}</p>"]), f"休假 {BODY}"),
        "files.zip": (
            make_zip({"a.md": BODY.encode(), "b.pdf": make_pdf([["Page of an archive"]])}),
            f"{BODY} Page of an archive",
        ),
    }
    for name, (data, text) in files.items():
        (folder / name).write_bytes(data)
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return [folder / name for name in files]


def converted(python: Path | None, files: Sequence[Path]) -> dict[str, dict[str, str | None]]:
    """Return what the converters and engines make of the files."""
    if python is None:
        folder = ROOT / "build" / "converters"
        python = folder / "bin" / "python"
        if not python.exists():
            venv.create(folder, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", *CONVERTERS]
        subprocess.run(pip, check=True)  # noqa: S603 - pinned above
    with tempfile.TemporaryDirectory() as folder_name:
        out = Path(folder_name) / "out.json"
        script = str(ROOT / "bench" / "converters.py")
        subprocess.run([str(python), script, str(out), *map(str, files)], check=True)  # noqa: S603
        found: dict[str, dict[str, str | None]] = json.loads(out.read_text(encoding="utf-8"))
    return found


def measured(
    files: Sequence[Path], ocr: Ocr, others: Mapping[str, Mapping[str, str | None]]
) -> tuple[list[Row], dict[str, float]]:
    """Return a row for each file, and how many pages a second of one core a format takes."""
    sandbox = Sandbox(ocr=ocr)
    rows: list[Row] = []
    kinds: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        try:
            kind = kind_of(file.read_bytes(), file.name)
        except DocumentError:
            kind = ""
        kinds[kind].append(file)
    speeds: dict[str, float] = {}
    for kind, group in kinds.items():
        started = _spent()
        outcomes = list(sandbox.parse(group))
        ocr.close()  # what an ended child took is known
        seconds = _spent() - started
        if pages := sum(_pages(outcome) for outcome in outcomes if isinstance(outcome, Parsed)):
            speeds[kind] = pages / seconds
        for file, outcome in zip(group, outcomes, strict=True):
            rows.append(_row(file, kind, outcome, others))
    return sorted(rows, key=lambda row: row.file.name.lower()), speeds


def _spent() -> float:
    """Return the seconds of processor time that ended children took, however busy the machine."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _pages(parsed: Parsed) -> int:
    return parsed.pages or max(1, round(len(parsed.text) / PAGE_CHARACTERS))


def _row(
    file: Path,
    kind: str,
    outcome: Parsed | DocumentError,
    others: Mapping[str, Mapping[str, str | None]],
) -> Row:
    engines = {name: texts.get(file.name) for name, texts in others.items() if name not in OTHERS}
    whole = words(MADE[file.name]) if file.name in MADE else reference(file, engines)
    if isinstance(outcome, DocumentError):
        return Row(file, kind, f"`{outcome.code}`", {})
    shares = {"TeamGLM": share(" ".join(_said(outcome)), whole)}
    shares |= {name: share(others.get(name, {}).get(file.name), whole) for name in OTHERS}
    return Row(file, kind, "indexed", shares)


def _said(parsed: Parsed) -> list[str]:
    """Return the text of a version, and the names of sheets and files that its sections have."""
    sections = dict.fromkeys(part.section or "" for part in parsed.segments)
    return [parsed.text, *sections]


def report(rows: Sequence[Row], speeds: Mapping[str, float]) -> str:
    """Return both tables as Markdown."""
    names = ("TeamGLM", *OTHERS)
    compared = [row for row in rows if row.shares.get("TeamGLM") is not None]
    lines = [
        f"Measured {date.today()} on {_processor()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}.",
        "",
        "| format | library | pages a second | files | " + " | ".join(names) + " | what is lost |",
        "|---|---|---:|---:|" + "---:|" * len(names) + "---|",
    ]
    for kind, (title, library, lost) in FORMATS.items():
        of_kind = [row for row in compared if row.kind == kind]
        means = [_percent(_mean(of_kind, name)) for name in names]
        speed = f"{speeds[kind]:.1f}" if kind in speeds else "–"
        figures = f"{speed} | {len(of_kind)} | {' | '.join(means)}"
        lines.append(f"| {title} | {library} | {figures} | {lost} |")
    whole = [_percent(_mean(compared, name)) for name in names]
    lines.append(f"| **all** | | | {len(compared)} | {' | '.join(whole)} | |")
    lines += [
        "",
        "| file | outcome | " + " | ".join(names) + " |",
        "|---|---|" + "---:|" * len(names),
    ]
    for row in rows:
        figures = " | ".join(_percent(row.shares.get(name)) for name in names)
        lines.append(f"| {row.file.name} | {row.outcome} | {figures} |")
    behind = [f"{row.file.name} ({found})" for row in rows if (found := _behind(row))]
    lines += ["", f"Where another converter found more: {', '.join(behind) or 'nowhere'}."]
    return "\n".join(lines) + "\n"


def _behind(row: Row) -> str:
    """Return how much less of a file is found than by the best of the others, if it is."""
    ours = row.shares.get("TeamGLM")
    best = max((row.shares.get(name) or 0.0 for name in OTHERS), default=0.0)
    return "" if ours is None or ours >= best else f"{100 * ours:.2f} against {100 * best:.2f}"


def _mean(rows: Sequence[Row], name: str) -> float | None:
    """Return the mean share; a file that a converter doesn't read counts as nothing found."""
    return sum(row.shares.get(name) or 0.0 for row in rows) / len(rows) if rows else None


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor()


def main() -> None:
    """Write the tables into docs/formats.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("documents", type=Path)
    parser.add_argument("--converters", type=Path)
    arguments = parser.parse_args()
    entry = load_manifest()["pp-ocrv6-small"]
    ocr = Ocr(target(entry, default_cache()), entry.parts[0].member_bytes)
    with tempfile.TemporaryDirectory() as folder:
        listed = json.loads((arguments.documents / "manifest.json").read_text(encoding="utf-8"))
        files = [arguments.documents / each["file"] for each in listed]
        files += [file for file in sorted(OWN.iterdir()) if file.suffix not in {".txt", ".md"}]
        files += made(Path(folder))
        others = converted(arguments.converters, files)
        rows, speeds = measured(files, ocr, others)
    text = DOCUMENT.read_text(encoding="utf-8")
    table = re.compile(r"(?<=<!-- tables -->\n).*?(?=<!-- end of tables -->)", re.DOTALL)
    DOCUMENT.write_text(table.sub(lambda _: report(rows, speeds), text), encoding="utf-8")


if __name__ == "__main__":
    main()
