"""What other converters make of files: run by `formats.py` in an environment of their own.

    python converters.py OUT FILE...      write OUT, JSON: {converter: {file: text or null}}

The engines of PDF come along, since what two of them agree on is the reference for PDF.
"""

from __future__ import annotations

import json
import signal
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

SECONDS = 180
"""Of processor time, for a file."""


def main(out: Path, files: list[Path]) -> None:
    """Convert every file with everything, and keep what there is after each."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGPROF, _too_long)
    found: dict[str, dict[str, str | None]] = {}
    for name, convert in {**CONVERTERS, **ENGINES}.items():
        texts = found.setdefault(name, {})
        for file in files:
            if name in ENGINES and b"%PDF-" not in file.read_bytes()[:1024]:
                continue
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            try:
                texts[file.name] = convert(file)
            except Exception as error:  # whatever it is, there is no text
                print(
                    f"{name} {file.name}: {type(error).__name__} {str(error)[:80]}", file=sys.stderr
                )
                texts[file.name] = None
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
        out.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")


def _too_long(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} seconds of processor time")


def _markitdown(file: Path) -> str:
    converter = import_module("markitdown").MarkItDown()
    return str(converter.convert(str(file)).text_content)


def _kreuzberg(file: Path) -> str:
    return str(import_module("kreuzberg").extract_file_sync(str(file)).content)


def _pymupdf4llm(file: Path) -> str:
    return str(import_module("pymupdf4llm").to_markdown(str(file)))


def _pypdf(file: Path) -> str:
    pages = import_module("pypdf").PdfReader(file).pages
    return "\n".join(page.extract_text() for page in pages)


def _pdfminer(file: Path) -> str:
    return str(import_module("pdfminer.high_level").extract_text(str(file)))


def _mupdf(file: Path) -> str:
    with import_module("pymupdf").open(file) as pdf:
        return "\n".join(page.get_text() for page in pdf)


CONVERTERS: dict[str, Callable[[Path], str]] = {
    "markitdown": _markitdown,
    "kreuzberg": _kreuzberg,
    "pymupdf4llm": _pymupdf4llm,
}
ENGINES: dict[str, Callable[[Path], str]] = {
    "pypdf": _pypdf,
    "pdfminer": _pdfminer,
    "mupdf": _mupdf,
}

if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
