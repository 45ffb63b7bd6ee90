"""F6: a file that asks for another file or an address gets neither."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rag.errors import DocumentError
from rag.ingest.loaders import Reading
from rag.ingest.parsed import Parsed, Segment
from rag.ingest.sandbox import Sandbox
from tests.rag.ingest.files import make_docx, make_epub, make_pptx, make_xlsx, make_zip
from tests.reliability.hostile import odt, with_doctype, with_part
from tests.reliability.rows import cases

SECRET = "canary-7f3a9c"


@dataclass
class Canary:
    """A file and an address on this machine that no document may reach."""

    file: Path
    url: str
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    file = tmp_path / "secret.txt"
    file.write_text(SECRET)
    found = Canary(file, "")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.requests.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(SECRET.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}/x"
    yield found
    server.shutdown()
    server.server_close()


DOCTYPES: tuple[Callable[[str], tuple[str, str]], ...] = (
    lambda at: (f'<!DOCTYPE r [<!ENTITY x SYSTEM "{at}">]>', "&x;"),
    lambda at: (f'<!DOCTYPE r [<!ENTITY x PUBLIC "a" "{at}">]>', "&x;"),
    lambda at: (f'<!DOCTYPE r [<!ENTITY % p SYSTEM "{at}"> %p;]>', ""),
    lambda at: (f'<!DOCTYPE r SYSTEM "{at}">', ""),
)
"""Ways to ask for an address: before the root element, and within a text."""

CONTAINERS: dict[str, Callable[[str, str], bytes]] = {
    "a.docx": lambda top, inside: with_part(
        make_docx(), "word/document.xml", with_doctype(top, inside)
    ),
    "a.pptx": lambda top, inside: with_part(
        make_pptx(), "ppt/slides/slide1.xml", with_doctype(top, inside)
    ),
    "a.xlsx": lambda top, inside: with_part(
        make_xlsx(), "xl/sharedStrings.xml", with_doctype(top, inside)
    ),
    "b.docx": lambda top, inside: with_part(
        make_docx(), "[Content_Types].xml", with_doctype(top, inside)
    ),
    "a.odt": lambda top, inside: odt(f"<text:p>words{inside}</text:p>", top),
    "a.odp": lambda top, inside: odt(
        f"<draw:page><text:p>words{inside}</text:p></draw:page>", top, "presentation"
    ),
    "a.ods": lambda top, inside: odt(
        '<table:table table:name="t"><table:table-row><table:table-cell><text:p>words'
        f"{inside}</text:p></table:table-cell></table:table-row></table:table>",
        top,
        "spreadsheet",
    ),
    "a.epub": lambda top, inside: with_part(
        make_epub([f"<p>words{inside}</p>"]), "OEBPS/c0.xhtml", with_doctype(top, "")
    ),
    "b.epub": lambda top, inside: with_part(
        make_epub(["<p>words</p>"]), "OEBPS/b.opf", with_doctype(top, inside)
    ),
    "a.xml": lambda top, inside: f"<?xml version='1.0'?>{top}<r>words{inside}</r>".encode(),
    "a.html": lambda top, inside: f"{top}<html><p>words{inside}</p></html>".encode(),
}

REFERENCES: dict[str, Callable[[str], bytes]] = {
    "page.html": lambda at: (
        f'<html><link rel=stylesheet href="{at}"><base href="{at}"><script src="{at}"></script>'
        f'<iframe src="{at}"></iframe><object data="{at}"></object><img src="{at}"><p>words'
    ).encode(),
    "notes.md": lambda at: f'# Words\n\n![x]({at}) <img src="{at}"> [y]({at})\n'.encode(),
    "letter.eml": lambda at: (
        "From: a@example.org\nDate: x\nMIME-Version: 1.0\nContent-Type: message/external-body;"
        f' access-type=URL; URL="{at}"\n\nContent-Type: text/plain\n\n'
    ).encode(),
    "field.rtf": lambda at: (
        rf'{{\rtf1 words {{\field{{\*\fldinst INCLUDETEXT "{at}"}}{{\fldrslt x}}}}}}'.encode()
    ),
    "linked.docx": lambda at: with_part(
        make_docx(),
        "word/_rels/document.xml.rels",
        lambda data: data.replace(
            b"</Relationships>",
            b'<Relationship Id="rId99" Type="http://schemas.openxmlformats.org/officeDocument/2006'
            b'/relationships/footnotes" Target="%s" TargetMode="External"/></Relationships>'
            % at.encode(),
        ),
    ),
    "archive.zip": lambda at: make_zip({"a.svg": f'<svg><image href="{at}"/>words</svg>'.encode()}),
}


def files() -> list[tuple[str, Callable[[str], bytes]]]:
    """Return every way of asking in every format that has it: what the file is called, and it."""
    made: list[tuple[str, Callable[[str], bytes]]] = []
    for name, build in CONTAINERS.items():
        for doctype in DOCTYPES:
            made.append((name, lambda at, b=build, d=doctype: b(*d(at))))  # type: ignore[misc]
    made += REFERENCES.items()
    return made


def test_f6_no_file_reaches_another_or_an_address(canary: Canary, tmp_path: Path) -> None:
    ways = files()
    for case in cases("F6", "entities and references", full=len(ways), sample=4):
        name, build = ways[case.number * 11 % len(ways)]
        paths: list[Path] = []
        for at in (canary.url, canary.file.as_uri()):
            data = build(at)
            # Without the sandbox too: it is the second wall, not the first.
            assert SECRET not in text_of(data, name), name
            paths.append(tmp_path / f"{len(paths)}-{name}")
            paths[-1].write_bytes(data)
        for outcome in Sandbox().parse(paths):
            shown = outcome.text if isinstance(outcome, Parsed) else outcome.detail
            assert SECRET not in shown, name
        assert canary.requests == [], name


def text_of(data: bytes, name: str) -> str:
    try:
        return " ".join(part.text for part in Reading(data, name) if isinstance(part, Segment))
    except DocumentError as error:
        return error.detail
    except Exception as error:
        return str(error)


def test_f6_the_canary_itself_works(canary: Canary) -> None:
    import httpx

    assert SECRET in httpx.get(canary.url).text
    assert canary.requests
