"""The real bot as people run it: a process with a folder of its own, and its command line."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from bot.__main__ import run

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
"""Seconds after which something that a test waits for is taken never to happen."""


@dataclass(frozen=True)
class Ran:
    """What a command ended with."""

    code: int
    out: str
    err: str

    def sentence(self) -> str:
        """Return the one sentence on stderr that a failed command owes people."""
        assert self.code == 1, self
        assert len(self.err.strip().splitlines()) == 1, self
        return self.err.strip()


class Process:
    """A command of the bot's that goes on, with what it says on stderr."""

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._news:
                self._lines.append(line.rstrip())
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    @property
    def lines(self) -> list[str]:
        """Everything said so far."""
        return list(self._lines)

    def wait_for(self, pattern: str, after: int = 0) -> str:
        """Return the first line after so many that has the pattern, when it is said."""

        def found() -> str | None:
            return next((line for line in self._lines[after:] if re.search(pattern, line)), None)

        with self._news:
            self._news.wait_for(lambda: found() or self._ended, PATIENCE)
            line = found()
        assert line is not None, f"{pattern!r} was never said, but: {self.lines}"
        return line

    def end(self, by: signal.Signals) -> int:
        """Send a signal and return the exit code."""
        self._process.send_signal(by)
        return self.join()

    def join(self) -> int:
        """Wait for the process's own end and return the exit code."""
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"it didn't end, and said: {self.lines}") from None
        self._listener.join(PATIENCE)
        assert self._process.stderr is not None
        self._process.stderr.close()
        return code


class Bot:
    """A bot with a config, a data folder and a watched folder of its own under `folder`."""

    def __init__(
        self,
        folder: Path,
        *,
        knowledge: Path | None = None,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        **changes: Any,
    ) -> None:
        """`changes` are made to the shipped config, as `set` makes them."""
        self.data = folder / "data"
        self.watched = folder / "watched"
        self.port = free_port()
        self.process: Process | None = None
        self._config = folder / "config.yaml"
        self._prefix = prefix
        ours = ("SLACK_", "DISCORD_", "OPENAI_", "TEAMGLM_")
        # Several bots compute at once here: threads that wait for each other would take every core.
        self._environment = {
            **{
                key: value
                for key, value in os.environ.items()
                if key == "TEAMGLM_CACHE" or not key.startswith(ours)
            },
            "OMP_NUM_THREADS": "1",
            **(environment or {}),
        }
        if knowledge:
            shutil.copytree(knowledge, self.watched)
        else:
            self.watched.mkdir(parents=True)
        shutil.copy(ROOT / "config.yaml", self._config)
        watched = {"path": "watched", "scope": "public", "schedule": "every 1 second"}
        # A machine that does other things besides needs longer to begin.
        # And what every message wants is learned once, in test_routing.py, and not by each bot.
        slow = {"answers": {"first_token_seconds": PATIENCE, "choose_skills": False}}
        one = {"qwen2.5-coder-1.5b": {"provider": "embedded", "threads": 1}}
        places = {"folders": [watched], "web": {"port": self.port}, "models": one}
        self.set(**{**places, **slow, **changes})

    def set(self, **changes: Any) -> None:
        """Change the config: keys, or keys of its sections; a start after this heeds it."""
        config = yaml.safe_load(self._config.read_text(encoding="utf-8"))
        for key, value in changes.items():
            config[key] = config[key] | value if isinstance(value, dict) else value
        self._config.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")

    @property
    def address(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self.port}"

    def begin(self, *options: str) -> Process:
        """Start `run` with options before the verb, without waiting for anything."""
        return Process(self._command(*options, "run"), self._environment)

    def start(self) -> None:
        """Start the bot; return when it is ready."""
        self.process = self.begin()
        self.process.wait_for("Ready after")

    def stop(self, by: signal.Signals = signal.SIGINT) -> None:
        """Stop the bot, which must end as it should."""
        assert self.process is not None
        code = self.process.end(by)
        said = self.process.lines
        self.process = None
        assert code == 0, said
        assert not any("Traceback" in line for line in said), said
        assert not (self.data / "api.json").exists()

    def command(self, *arguments: str | Path) -> Ran:
        """Run one verb to its end."""
        done = subprocess.run(
            self._command(*arguments),
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=PATIENCE,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def json(self, *arguments: str | Path) -> Any:
        """Run one verb with `--json`, which must succeed; return its document."""
        done = (self._here if self.process else self.command)(*arguments, "--json")
        assert done.code == 0, done
        return json.loads(done.out)

    def _here(self, *arguments: str | Path) -> Ran:
        """Run one verb without the seconds that imports take; the running bot does the work."""
        out, err = io.StringIO(), io.StringIO()
        environment = patch.dict(os.environ, self._environment, clear=True)
        with environment, redirect_stdout(out), redirect_stderr(err):
            code = run(list(map(str, self._arguments(*arguments))))
        return Ran(code, out.getvalue(), err.getvalue())

    def going_on(self, *arguments: str | Path) -> Process:
        """Start one verb without waiting for its end."""
        return Process(self._command(*arguments), self._environment)

    def answer(self, question: str, *options: str | Path) -> dict[str, Any]:
        """Return the answer to a question that has one."""
        reply: dict[str, Any] = self.json("ask", question, *options)
        assert reply["outcome"] == "answer", reply
        return reply

    def found(self, query: str, *options: str) -> str:
        """Return the texts of what a search finds, as one."""
        return "\n".join(hit["text"] for hit in self.json("search", query, *options))

    def put(self, name: str, text: str, kind: str = "added") -> None:
        """Put a file into the watched folder at once; return when it counts as `kind`."""
        file = self.watched / name
        beside = self.data.parent / "beside"
        beside.write_text(text, encoding="utf-8")
        with self._noticed(kind):
            beside.replace(file)

    def take(self, name: str) -> None:
        """Remove a file from the watched folder; return when that has been noticed."""
        with self._noticed("removed"):
            (self.watched / name).unlink()

    def rename(self, name: str, new: str) -> None:
        """Rename a file of the watched folder; return when that has been noticed."""
        with self._noticed("renamed"):
            (self.watched / name).rename(self.watched / new)

    def _noticed(self, kind: str) -> _Noticed:
        assert self.process is not None
        return _Noticed(self.process, rf"folder watched: .*\b1 ({kind})\b")

    def _command(self, *arguments: str | Path) -> list[str | Path]:
        return [*self._prefix, sys.executable, "-m", "bot", *self._arguments(*arguments)]

    def _arguments(self, *arguments: str | Path) -> list[str | Path]:
        return ["--config", self._config, "--data", self.data, *arguments]


class _Noticed:
    """Waits, after what is done inside, for a line that says that it was noticed."""

    def __init__(self, process: Process, pattern: str) -> None:
        self._process = process
        self._pattern = pattern

    def __enter__(self) -> None:
        self._before = len(self._process.lines)

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if error is None:
            self._process.wait_for(self._pattern, self._before)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def documents(reply: Mapping[str, Any]) -> set[str]:
    """Return the names of the documents that an answer cites."""
    return {citation["document"] for citation in reply["citations"]}
