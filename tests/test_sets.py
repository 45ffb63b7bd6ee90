"""The sets that judge the bot are whole: balanced, without copies, halves as their texts say."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.router import INTENTS, examples
from bot.tool_settings import ToolsSettings
from rag.ingest.parsed import Parsed
from rag.ingest.sandbox import Sandbox
from rag.language import simplified
from tests.rag.ingest.files import SHARED
from tests.reliability.rows import FULL
from tests.sheets import answer, grid, path

SETS = Path(__file__).parents[1] / "bench" / "data"
TEXT = {
    "router": "text",
    "documents": "question",
    "tables": "question",
    "injections": "question",
    "follow_ups": "standalone",
    "conflicts": "question",
    "tool_choice": "question",
}
"""What is asked in a line of each set, by the set's name."""


def lines(name: str) -> list[dict[str, Any]]:
    """Return the lines of a set."""
    text = (SETS / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def pieces(text: str) -> frozenset[str]:
    """Return the runs of three characters of a text, numbers aside."""
    plain = re.sub(r"[\W\d_]+", " ", text.lower())
    return frozenset(plain[at : at + 3] for at in range(max(1, len(plain) - 2)))


def written(text: str) -> frozenset[str]:
    """Return the runs of three characters of a message, however it is punctuated or spelt."""
    said = re.sub(r"[\W_]+", "", simplified(unicodedata.normalize("NFKC", text)).casefold())
    return frozenset(said[at : at + 3] for at in range(max(1, len(said) - 2)))


@pytest.mark.parametrize("name", TEXT)
def test_ids_are_unique_and_halves_are_those_of_the_text(name: str) -> None:
    found = lines(name)
    assert len({line["id"] for line in found}) == len(found)
    for line in found:
        even = int(sha256(line[TEXT[name]].encode()).hexdigest(), 16) % 2 == 0
        assert line["half"] == ("tuning" if even else "untouched"), line["id"]


@pytest.mark.parametrize("name", TEXT)
def test_no_line_is_nearly_a_copy_of_another(name: str) -> None:
    found = [(line["id"], pieces(line[TEXT[name]])) for line in lines(name)]
    for (one, left), (other, right) in combinations(found, 2):
        assert len(left & right) <= 0.6 * len(left | right), (one, other)


def test_messages_are_balanced_by_language_and_intent() -> None:
    found = lines("router")
    assert Counter(line["language"] for line in found) == {"zh": 100, "en": 100}
    wanted = {"question": 60, "summary": 35, "table": 35, "reminder": 35, "small_talk": 35}
    assert Counter(line["intent"] for line in found) == wanted
    for half in ("tuning", "untouched"):
        assert {line["intent"] for line in found if line["half"] == half} == set(wanted)


def test_the_router_learns_from_nothing_like_an_untouched_message() -> None:
    untouched = [written(line["text"]) for line in lines("router") if line["half"] == "untouched"]
    for text in (text for texts in examples().values() for text in texts):
        own = written(text)
        near = (len(own & other) > 0.6 * len(own | other) for other in untouched)
        assert not any(near), "an example is nearly a message of the untouched half: take it out"


def test_no_development_message_is_an_example() -> None:
    learned = {written(text) for texts in examples().values() for text in texts}
    found = lines("router_development")
    assert len({line["id"] for line in found}) == len(found)
    assert {line["intent"] for line in found} == set(INTENTS)
    assert not [line["id"] for line in found if written(line["text"]) in learned]


def test_questions_over_documents_are_of_every_kind() -> None:
    found = lines("documents")
    kinds = Counter(line["kind"] for line in found)
    least = {"text", "table", "scan", "multi-page", "cross-lingual", "unanswerable"}
    assert set(kinds) == least
    assert min(kinds.values()) >= 7
    assert kinds["unanswerable"] >= 16
    assert all(count >= 40 for count in Counter(line["language"] for line in found).values())
    for line in found:
        assert line["answerable"] == bool(line["answers"]) == bool(line["document"]), line["id"]
        assert line["answerable"] == (line["kind"] != "unanswerable"), line["id"]


def test_answers_stand_in_their_documents() -> None:
    folder = SHARED / "documents"
    if not folder.exists():
        pytest.skip("no shared/data/documents here")
    asked = [line for line in lines("documents") if line["answerable"]]
    wanted = {line["document"] for line in asked}
    # The big ones take a second each; in an everyday run the small ones stand for them.
    files = [folder / name for name in sorted(wanted)]
    files = [file for file in files if FULL or file.stat().st_size < 100_000]
    texts = {
        file.name: plain(parsed.text)
        for file, parsed in zip(files, Sandbox().parse(files), strict=True)
        if isinstance(parsed, Parsed)
    }
    assert set(texts) == {file.name for file in files}
    for line in asked:
        if text := texts.get(line["document"]):
            found = any(plain(answer) in text for answer in line["answers"])
            assert found or line.get("lost"), line["id"]


def test_questions_over_sheets_are_of_every_kind() -> None:
    found = lines("tables")
    assert len(found) >= 44
    assert all(count >= 20 for count in Counter(line["language"] for line in found).values())
    kinds = {"count", "sum", "average", "max", "min", "filter", "group", "sort", "date-range"}
    kinds |= {"compare", "two-conditions", "unanswerable"}
    assert {line["kind"] for line in found} == kinds
    for line in found:
        assert line["answerable"] == bool(line["gold"]) == ("sql" in line), line["id"]


def test_the_sheets_give_the_answers() -> None:
    asked = [line for line in lines("tables") if line["answerable"]]
    here = [line for line in asked if path(line["document"]).parent.exists()]
    sheets = {(line["document"], line["sheet"]) for line in here}
    cells = {(document, name): grid(path(document), name) for document, name in sheets}
    for line in here:
        assert answer(line, cells[line["document"], line["sheet"]]) == line["gold"], line["id"]


def test_injections_differ_and_their_canaries_are_no_answers() -> None:
    found = lines("injections")
    assert Counter(line["language"] for line in found) == {"zh": 100, "en": 100}
    assert len({line["technique"] for line in found}) >= 20
    assert len({line["canary"] for line in found}) == len(found)
    encoded = {"base64", "zero_width", "unicode_tags", "rot13", "hex", "split_payload"}
    for line in found:
        assert plain(line["answer"]) in plain(line["document"]), line["id"]
        assert plain(line["canary"]) not in plain(line["question"] + line["answer"]), line["id"]
        literal = line["canary"] in line["document"]
        assert literal or line["technique"] in encoded, line["id"]


def test_follow_ups_have_a_history_and_name_a_document() -> None:
    found = lines("follow_ups")
    assert Counter(line["language"] for line in found) == {"zh": 15, "en": 15}
    for line in found:
        roles = [turn["role"] for turn in line["history"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2) != [], line["id"]
        file = path(line["document"])
        assert file.exists() or not file.parent.exists(), line["id"]


def test_conflicts_say_what_stands_in_the_cited_documents() -> None:
    found = lines("conflicts")
    assert Counter(line["language"] for line in found) == {"zh": 10, "en": 10}
    for line in found:
        texts = {document["name"]: document["text"] for document in line["documents"]}
        assert len(texts) == 2, line["id"]
        cited = [texts[name] for name in line["cites"]]
        assert all(any(said in text for text in cited) for said in line["says"]), line["id"]
        for old in line["not_as_the_answer"]:
            assert any(old in text for text in texts.values()), line["id"]


def test_questions_for_tools_have_values_that_the_tools_take() -> None:
    found = lines("tool_choice")
    assert Counter(line["language"] for line in found) == {"zh": 30, "en": 30}
    declared = yaml.safe_load((SETS / "tool_choice.yaml").read_text(encoding="utf-8"))["tools"]
    settings = ToolsSettings.model_validate(declared)
    tools = {name: settings.tool(name, {}) for name in settings.declared}
    asked = Counter(line["tool"] for line in found)
    assert asked.pop("none") == 15
    assert asked.keys() == tools.keys()
    for line in (line for line in found if line["tool"] != "none"):
        tool = tools[line["tool"]]
        assert line["values"].keys() == tool.parameters.keys(), line["id"]
        for name, values in line["values"].items():
            for value in values:
                assert value is None or tool.parameters[name].written(name, value), line["id"]


def plain(text: str) -> str:
    """Return a text without differences of case and of white space."""
    return " ".join(text.casefold().split())
