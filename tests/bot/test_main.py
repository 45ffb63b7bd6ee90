"""The command line: its exit codes, its JSON, and one sentence for whatever goes wrong."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from bot.__main__ import main, run
from rag.errors import ModelMissing
from tests.bot.fakes import FakeChat, FakeEmbeddings, config, use

CLI = Callable[..., "Ended"]
LAPTOPS = "# Laptops\n\nA lost laptop is reported to security within one hour.\n"


class Ended:
    """How a command ended, and what it printed where."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        """Return the one JSON document that stdout holds."""
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """Return the one line on stderr of a command that failed."""
        assert self.code == 1
        (line,) = self.err.strip().splitlines()
        assert "Traceback" not in line
        return line


@pytest.fixture
def embeddings() -> FakeEmbeddings:
    return FakeEmbeddings()


@pytest.fixture
def chat() -> FakeChat:
    return FakeChat(answer="A lost laptop is reported within one hour.")


@pytest.fixture
def cli(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    chat: FakeChat,
    embeddings: FakeEmbeddings,
) -> CLI:
    """Run a command on a config with one watched folder, `docs`, beside it."""
    for name in [name for name in os.environ if name.startswith("TEAMGLM_")]:
        monkeypatch.delenv(name)
    use(monkeypatch, chat=chat, embeddings=embeddings)
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "laptops.md").write_text(LAPTOPS)
    file = config(tmp_path, "folders: [{path: docs}]\nanswers: {refuse_below: 0}\n")

    def command(*arguments: str | Path) -> Ended:
        capsys.readouterr()
        code = run(["--config", str(file), *map(str, arguments)])
        return Ended(code, *capsys.readouterr())

    return command


INDEX = {"added", "updated", "unchanged", "removed", "failed", "chunks", "seconds"}
CITATION = {"number", "document", "page", "section", "quote", "start", "end"}


def test_a_new_bot_from_the_first_document_to_none(cli: CLI, tmp_path: Path) -> None:
    indexed = cli("index", "--json")
    assert indexed.code == 0
    assert indexed.json.keys() == INDEX
    assert (indexed.json["added"], indexed.json["failed"]) == (1, [])

    asked = cli("ask", "How soon is a lost laptop reported?", "--json")
    assert asked.code == 0
    assert asked.json.keys() == {
        "outcome", "text", "language", "model", "citations", "timings_ms",
    }  # fmt: skip
    assert (asked.json["outcome"], asked.json["language"]) == ("answer", "en")
    assert asked.json["model"] == "chat"
    assert asked.json["timings_ms"].keys() == {"retrieve", "first_token", "first_text", "total"}
    assert asked.json["citations"][0].keys() == CITATION

    found = cli("search", "laptop", "-k", "1", "--json")
    assert found.code == 0
    assert [row.keys() for row in found.json] == [
        {"document", "page", "section", "text", "start", "end", "score"}
    ]

    listed = cli("sources", "--json")
    assert listed.code == 0
    (row,) = listed.json
    promised = {"document", "scope", "version", "chunks", "bytes", "indexed_at", "state"}
    assert (
        promised
        <= row.keys()
        <= promised | {"id", "pages", "message", "done", "total", "taught_by", "taught_at"}
    )

    told = cli("summarise", "laptops.md", "--json")
    assert told.code == 0
    assert told.json.keys() == {"text", "citations", "timings_ms"}

    gone = cli("forget", "laptops.md", "--json")
    assert gone.code == 0
    counts = {"versions": 1, "chunks": 1, "rows": 1, "files": 0}
    assert gone.json == {"document": "laptops.md", **counts, "verified": True, "erased": True}
    assert cli("sources", "--json").json == []

    refused = cli("ask", "How soon is a lost laptop reported?", "--json")
    assert (refused.code, refused.json["outcome"]) == (0, "refusal")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["compare", "laptops.md", "docs"], "A lost laptop is reported within one hour."),
        (["write", "lost", "laptops", "--facts", "documents"], "A lost laptop is reported"),
        (["rewrite", "--how", "shorter", "The", "laptop"], "A lost laptop is reported"),
        (["translate", "laptops.md", "--language", "zh"], "笔记本电脑要报告。"),
        (["extract", "docs", "--fields", "what", "--format", "csv"], "lost laptop"),
    ],
    ids=lambda each: each[0] if isinstance(each, list) else "",
)
def test_a_declared_skill_is_a_verb(
    cli: CLI, chat: FakeChat, tmp_path: Path, arguments: list[str], says: str
) -> None:
    cli("index", "--json")
    verb, *rest = arguments
    chat.answer = '{"what": "lost laptop"}' if verb == "extract" else says
    here = [str(tmp_path / "docs") if each == "docs" else each for each in rest]
    ended = cli(verb, *here, "--out", str(tmp_path))
    assert ended.code == 0, ended.err
    assert says in ended.out
    files = list(tmp_path.glob("*.csv"))
    assert bool(files) is (verb == "extract")
    for file in files:
        assert "lost laptop" in file.read_text(encoding="utf-8-sig")
        assert str(file) in ended.err


def test_a_backup_is_restored_without_a_running_bot_or_its_models(cli: CLI, tmp_path: Path) -> None:
    cli("index", "--json")
    file = tmp_path / "backup"
    made = cli("backup", str(file), "--json")
    assert (made.code, made.json["documents"]) == (0, 1)
    elsewhere = tmp_path / "elsewhere"
    restored = cli("--data", str(elsewhere), "restore", str(file), "--json")
    assert (restored.code, restored.json["documents"]) == (0, 1)
    listed = cli("--data", str(elsewhere), "sources", "--json")
    assert [row["document"] for row in listed.json] == ["laptops.md"]
    found = cli("--data", str(elsewhere), "search", "laptop", "--json")
    assert found.json[0]["document"] == "laptops.md"
    file.write_bytes(b"no backup")
    refused = cli("--data", str(elsewhere), "restore", str(file))
    assert refused.code == 1


@pytest.mark.parametrize("verb", ["ask", "search"])
def test_asked_before_anything_was_read_it_reads_the_folders_first(cli: CLI, verb: str) -> None:
    found = cli(verb, "How soon is a lost laptop reported?", "--json")
    assert found.code == 0
    rows = found.json["citations"] if verb == "ask" else found.json
    assert [row["document"] for row in rows] == ["laptops.md"]


def test_for_people_the_answer_is_on_stdout_once_with_its_sources(cli: CLI) -> None:
    cli("index")
    asked = cli("ask", "How soon is a lost laptop reported?")
    assert asked.code == 0
    assert asked.out.count("within one hour.") == 2  # the sentence, and the passage quoted
    assert asked.out.count("laptops.md") == 1
    assert "laptops.md" in cli("sources").out
    assert "laptops.md" in cli("search", "laptop").out


def test_an_answer_that_breaks_midway_fails_with_a_sentence(cli: CLI, chat: FakeChat) -> None:
    cli("index")
    chat.answer, chat.broken = "It is within one hour. And", ModelMissing("The model went away.")
    asked = cli("ask", "How soon is a lost laptop reported?")
    assert asked.code == 1
    assert asked.err.strip().splitlines()[-1] == "The model went away."
    assert "went away" not in asked.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask", "hello", "--channel", "everybody"],
        ["search", "hello", "--channel", "slack:C1"],
        ["index", "no/such/path"],
        ["forget"],
        ["forget", "a", "--user", "b"],
        ["forget", "no-such-document"],
        ["summarise", "no-such-document"],
        ["summarise", "https://127.0.0.1/page"],
        ["summarise", "x" * 300],
        ["ask", "x" * 100_000],
        ["ask", " "],
        ["eval", "--questions", "no-such.jsonl", "--documents", "."],
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_what_cannot_be_done_is_one_sentence_and_one_json_document(
    cli: CLI, arguments: list[str]
) -> None:
    ended = cli(*arguments, "--json")
    assert ended.sentence
    assert ended.json["outcome"] == "error"
    assert ended.json["text"] == ended.sentence


@pytest.mark.parametrize("arguments", [[], ["dance"], ["ask"], ["search", "x", "-k", "many"]])
def test_arguments_that_cannot_be_understood_are_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert Ended(int(str(ended.value.code)), out, err).sentence
    assert out == ""


@pytest.mark.parametrize(
    "history",
    ["not json", '{"role": "user"}', "[1]", '[{"role": "user"}]', '[{"content": "x"}]', None],
)
def test_a_history_that_is_none_is_told(cli: CLI, tmp_path: Path, history: str | None) -> None:
    file = tmp_path / "history.json"
    if history is not None:
        file.write_text(history)
    assert "history.json" in cli("ask", "hello", "--history", file, "--json").sentence


def test_a_history_is_what_came_before(cli: CLI, tmp_path: Path, chat: FakeChat) -> None:
    cli("index")
    file = tmp_path / "history.json"
    turns = [{"role": "user", "content": "laptops?"}, {"role": "assistant", "content": "Ours."}]
    file.write_text(json.dumps(turns))
    assert cli("ask", "And lost ones?", "--history", file).code == 0
    assert "laptops?" in [str(message.content) for message in chat.prompts[-1]]


@pytest.mark.parametrize("verb", [["ask", "Where?"], ["search", "x"], ["index"]])
def test_without_models_the_command_that_gets_them_is_named(
    cli: CLI, embeddings: FakeEmbeddings, verb: list[str]
) -> None:
    embeddings.broken = ModelMissing("The model is not here: run `teamglm models pull`.")
    ended = cli(*verb, "--json")
    assert "teamglm models pull" in ended.sentence
    assert ended.json["outcome"] == "error"


def test_calibration_is_made_of_the_bots_own_documents_and_used(
    cli: CLI, tmp_path: Path, chat: FakeChat
) -> None:
    (tmp_path / "docs" / "bikes.md").write_text("Bikes stand behind the house, in the shed.\n" * 3)
    (tmp_path / "docs" / "laptops.md").write_text(LAPTOPS * 3)
    data = tmp_path / "data"
    assert "index" in cli("calibrate", "--json").sentence
    cli("index")
    chat.answer = "Is a lost laptop reported to security within one hour?"
    ended = cli("calibrate", "--wanted", "0", "--json")
    assert ended.json.keys() == {
        "questions", "answerable", "unanswerable", "wanted", "least", "false_answers",
        "false_refusals", "curve", "file", "plot",
    }  # fmt: skip
    assert (ended.json["questions"], ended.json["answerable"]) == (4, 2)
    assert ended.json["false_answers"] == 0
    assert ended.json["curve"][-1] == {"least": 1.0, "false_answers": 0.0, "false_refusals": 1.0}
    kept = json.loads((data / "calibration.json").read_text())
    assert kept["chat_model"] == "chat"
    assert "<svg" in (data / "calibration.svg").read_text()
    assert list((data / "calibrating").iterdir()) == []
    (data / "calibration.json").write_text(json.dumps({**kept, "least": 1.1}))
    assert cli("ask", "How soon is a lost laptop reported?", "--json").json["outcome"] == "refusal"


def test_a_question_file_calibrates_too_and_people_read_a_table(
    cli: CLI, tmp_path: Path, chat: FakeChat
) -> None:
    asked = [("How soon is a lost laptop reported?", True), ("Who feeds the cat?", False)]
    lines = [
        {"id": question, "question": question, "answers": [], "document": "", "answerable": known}
        for question, known in asked
    ]
    questions = tmp_path / "questions.jsonl"
    questions.write_text("\n".join(map(json.dumps, lines)))
    cited = ("--questions", questions, "--documents", tmp_path / "docs")
    shown = cli("calibrate", *cited)
    assert shown.code == 0
    assert "1 questions that can be answered and 1 that can't" in shown.out
    assert "<- set" in shown.out
    questions.write_text(json.dumps(lines[0]))
    assert "unanswerable" in cli("calibrate", *cited).sentence
    assert "--documents" in cli("calibrate", "--questions", questions).sentence


def test_a_config_that_cannot_be_read_is_told(cli: CLI, tmp_path: Path) -> None:
    assert "--config" in cli("--config", tmp_path / "absent.yaml", "sources").sentence
    assert "web.prot" in cli("--set", "web.prot=1", "sources").sentence
    assert "no-such-model" in _without_fakes(tmp_path)


def _without_fakes(folder: Path) -> str:
    from bot.models import chat_model
    from bot.settings import SettingsError, load_settings

    with pytest.raises(SettingsError) as caught:
        chat_model(load_settings(folder / "config.yaml", changes=["chat_model=no-such-model"]))
    return str(caught.value)


@pytest.mark.parametrize("verb", [["search", "x"], ["sources"], ["index"]])
def test_a_data_folder_that_cannot_be_used_is_told(
    cli: CLI, tmp_path: Path, verb: list[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("here first")
    assert str(file) in cli("--data", file, *verb).sentence
    assert str(file) in cli("--data", file / "below", *verb).sentence
    assert file.read_text() == "here first"
    (tmp_path / "odd/teamglm.db").mkdir(parents=True)
    assert "teamglm.db" in cli("--data", tmp_path / "odd", *verb).sentence


def test_a_data_folder_has_one_bot_at_a_time(cli: CLI, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with FileLock(tmp_path / "data/lock"):
        for verb in (["search", "x"], ["run"]):
            assert str(tmp_path / "data") in cli(*verb).sentence
        assert cli("sources").code == 0
    assert cli("search", "x").code == 0


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_bot_whose_port_is_taken_says_so_and_ends(cli: CLI, taken: int) -> None:
    ended = cli("--set", f"web.port={taken}", "run")
    assert ended.code == 1
    assert str(taken) in ended.err.strip().splitlines()[-1]
    assert "Traceback" not in ended.err


def test_a_page_open_to_others_needs_a_password(cli: CLI) -> None:
    ended = cli("--set", "web.host=0.0.0.0", "run")
    assert ended.code == 1
    assert "TEAMGLM_WEB_PASSWORD" in ended.err.strip().splitlines()[-1]
    assert "Traceback" not in ended.err


def test_files_that_cannot_be_read_are_reported_and_the_others_learned(
    cli: CLI, tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    (docs / "empty.md").touch()
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7 no more")
    with (docs / "big.txt").open("wb") as big:
        big.truncate(60_000_000)
    ended = cli("index", "--json")
    assert ended.code == 0
    assert ended.json["added"] == 1
    failed = {row["document"]: row for row in ended.json["failed"]}
    assert {name: row["code"] for name, row in failed.items()} == {
        "empty.md": "empty",
        "broken.pdf": "corrupt",
        "big.txt": "too_large",
    }
    assert all(row.keys() == {"document", "code", "message"} for row in failed.values())
    assert all(row["message"] for row in failed.values())
    assert cli("search", "laptop", "--json").json


def test_one_file_that_cannot_be_read_is_reported(cli: CLI, tmp_path: Path) -> None:
    file = tmp_path / "empty.md"
    file.touch()
    (row,) = cli("index", file, "--json").json["failed"]
    assert (row["document"], row["code"]) == ("empty.md", "empty")


def test_hundreds_of_files_are_learned_and_the_second_time_passed_over(
    cli: CLI, tmp_path: Path
) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for number in range(150):
        (many / f"{number}.md").write_text(f"Note {number}.")
    first = cli("index", many, "--json").json
    assert (first["added"], first["failed"]) == (150, [])
    second = cli("index", many, "--json").json
    assert (second["added"], second["unchanged"]) == (0, 150)


def test_a_start_that_can_not_fetch_its_models_says_which(cli: CLI, tmp_path: Path) -> None:
    empty = tmp_path / "mirror"
    empty.mkdir()
    places = ("--set", f"models_mirror={empty}", "--set", f"models_cache={tmp_path / 'cache'}")
    chosen = ("--set", "embedding_model=multilingual-e5-small", "--set", "ocr_model=null")
    ended = cli(*places, *chosen, "run", "--pull")
    assert ended.code == 1
    assert "multilingual-e5-small" in ended.err
    assert "Ready" not in ended.err
    assert "Traceback" not in ended.err
