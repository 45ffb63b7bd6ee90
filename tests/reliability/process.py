"""The real bot as a process that boots at once: only its models are played, and told what to do.

`python -m tests.reliability.process ARGUMENTS` is `python -m bot ARGUMENTS` with these models.
Without arguments it serves a `Nursery`: it has imported all that a bot needs, and forks one, or
another program of the tests, for each line of JSON that it reads.

What a question says in brackets is what the chat model does: `(hang)` says nothing, `(drip)` a word
now and then, `(endless)` words for ever, `(sentences 9)` five a second, `(break)` some words and
then an error, `(slow 0.5)` waits so many seconds first. `(hang once)` hangs the first time only,
also across restarts; `(hang now)` while `Bot.tell` says that it `hangs`. EDIT_SECONDS in the
environment is the pace of edits, which is quick without it.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import yaml

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds after which something that a test waits for is taken never to happen."""
METHODS = ("add", "begin", "posted", "answered", "delivered", "done")


class Bot:
    """A bot with a config and a data folder of its own below `folder`; started by a `Nursery`."""

    def __init__(self, nursery: Nursery, folder: Path, **changes: Any) -> None:
        """`changes` are keys of the config, or keys of its sections."""
        self._nursery = nursery
        self.folder = folder
        self.data = folder / "data"
        self.watched = folder / "watched"
        self.watched.mkdir(parents=True)
        (self.watched / "facts.md").write_text("The canary sings at noon.\n", "utf-8")
        config: dict[str, Any] = {
            "chat_model": "chat",
            "embedding_model": "embedder",
            "models": {
                "chat": {"provider": "gguf", "path": "chat.gguf"},
                "embedder": {"provider": "sentence-transformers", "path": "embedder"},
            },
            "data": "data",
            "folders": [{"path": "watched", "schedule": "every 1 hour"}],
            "answers": {"refuse_below": 0, "choose_skills": False},  # embeddings that mean nothing
            "web": {"enabled": False},
        }
        for key, value in changes.items():
            config[key] = config.get(key, {}) | value if isinstance(value, dict) else value
        (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        self._pid = 0

    async def start(self, environment: Mapping[str, str], **more: str) -> None:
        """Begin to run; return when it can be killed, which is before it is ready."""
        self._pid = await self.begin({**environment, **more}, "run")

    async def verb(self, *arguments: str) -> int:
        """Run another verb to its end, such as `index`; return its exit code."""
        pid = await self.begin({}, *arguments)
        return await asyncio.to_thread(self._nursery.ended, pid, PATIENCE)

    def tell(self, what: str, how: str = "") -> None:
        """Have a bot, which may be running, do something from now on; or, without `how`, not.

        `crash` at `begin:after` kills the process when that method of the inbox has returned, at
        `begin:before` when it is called.
        """
        (self.folder / f"told-{what}").write_text(how, encoding="utf-8")

    @property
    def has_hung(self) -> int:
        """Return how often the model has hung `once`."""
        return len([*self.folder.glob("hung-*")])

    async def hung(self, times: int) -> None:
        """Wait until the model has hung `once` so often."""
        async with asyncio.timeout(PATIENCE):
            while True:
                if self.has_hung >= times:
                    return
                await asyncio.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self._pid, number)

    async def ended(self, patience: float = PATIENCE) -> int:
        """Wait for the end of the process; return its exit code, negative for a signal's number."""
        return await asyncio.to_thread(self._nursery.ended, self._pid, patience)

    async def kill(self) -> None:
        """Kill the process, as a power cut does."""
        self.send(signal.SIGKILL)
        await self.ended()

    async def learn(self) -> None:
        """Have the watched folder read before the bot runs."""
        known = self._nursery.known
        if not known.exists():
            assert await self.verb("index") == 0
            shutil.copytree(self.data, known)
        shutil.copytree(known, self.data, dirs_exist_ok=True)

    async def begin(self, environment: Mapping[str, str], *arguments: str) -> int:
        """Begin to run a verb; return the process's id."""
        whole = ["--config", str(self.folder / "config.yaml"), *arguments]
        own = {"SCRIPT_FOLDER": str(self.folder), **environment}
        return await asyncio.to_thread(self._nursery.begin, whole, own, self.folder / "log.txt")

    @property
    def log(self) -> str:
        """All that it has said on stderr, in all its lives."""
        return (self.folder / "log.txt").read_text(encoding="utf-8")


class Nursery:
    """Starts bots, each in a tenth of the time that the imports alone would take."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.process"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._folder = TemporaryDirectory(prefix="teamglm-nursery-")
        self.known = Path(self._folder.name) / "data"
        """The data of a bot that has read the watched folder, once there is one."""
        self._news = threading.Condition()
        self._pids: list[int] = []
        self._codes: dict[int, int] = {}
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()  # it kills what still runs
        self._process.wait(PATIENCE)
        self._listener.join(PATIENCE)
        self._process.stdout.close()
        self._folder.cleanup()

    def begin(
        self,
        arguments: list[str],
        environment: Mapping[str, str],
        log: Path,
        program: str | None = None,
    ) -> int:
        """Start a bot, or the `run(arguments)` of a module; return its process id."""
        assert self._process.stdin is not None
        order = {
            "arguments": arguments,
            "environment": dict(environment),
            "log": str(log),
            "program": program,
        }
        with self._news:
            count = len(self._pids)
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            assert self._news.wait_for(lambda: len(self._pids) > count, PATIENCE), "nobody began"
            return self._pids[count]

    def ended(self, pid: int, patience: float) -> int:
        """Return the exit code of a process when it has ended."""
        with self._news:
            assert self._news.wait_for(lambda: pid in self._codes, patience), "it did not end"
            return self._codes[pid]

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, pid, *code = line.split()
            with self._news:
                if word == "began":
                    self._pids.append(int(pid))
                else:
                    self._codes[int(pid)] = int(code[0])
                self._news.notify_all()


def play() -> None:
    """Replace the models of the composition root, and make the inbox crash where it is told to."""
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk, BaseMessage
    from langchain_core.outputs import ChatGenerationChunk, ChatResult

    import bot.app
    from bot.adapters.discord.adapter import DiscordAdapter
    from bot.adapters.slack.adapter import SlackAdapter
    from bot.inbox import DurableInbox
    from rag.errors import ModelFailed
    from tests.fakes import HashEmbeddings

    class Embedder(HashEmbeddings):
        """Opens at once."""

        key = "played"

        def begin(self) -> None:
            """Have nothing to begin with."""

        def load(self) -> None:
            """Have nothing to load."""

        def close(self) -> None:
            """Have nothing to close."""

        def count_tokens(self, text: str) -> int:
            """Count roughly as a tokenizer does."""
            return len(text) // 4 + 1

    class Chat(BaseChatModel):
        """Does what the question says; else it says when the canary sings."""

        context_window: int = 4096

        @property
        def _llm_type(self) -> str:
            return "played"

        def load(self) -> None:
            """Have nothing to load."""

        def close(self) -> None:
            """Have nothing to close."""

        def get_num_tokens(self, text: str) -> int:
            """Count words."""
            return len(text.split())

        def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
            raise NotImplementedError("answers are streamed")

        async def _astream(
            self, messages: list[BaseMessage], *args: Any, **kwargs: Any
        ) -> AsyncIterator[ChatGenerationChunk]:
            async for piece in script(str(messages[-1].content)):
                if piece is None:
                    raise ModelFailed("The played model broke, as it was told to.")
                yield ChatGenerationChunk(message=AIMessageChunk(content=piece))

    class Inbox(DurableInbox):
        """Kills the process where it is told to."""

    for method in METHODS:
        setattr(Inbox, method, _crashing(method, getattr(DurableInbox, method)))
    vars(bot.app).update(
        chat_model=lambda settings: Chat(),
        embedding_model=lambda settings: Embedder(32),
        DurableInbox=Inbox,
    )
    pace = float(os.environ.get("EDIT_SECONDS", "0.05"))  # what takes a second needn't here
    for adapter in (SlackAdapter, DiscordAdapter):
        (adapter.__init__.__kwdefaults__ or {})["edit_seconds"] = pace


async def script(prompt: str) -> AsyncIterator[str | None]:
    """Yield what the model says to a prompt; None where it breaks."""
    said = re.findall(r"\(((?:hang|drip|sentences|endless|break|slow)[^)]*)\)", prompt)
    match said[-1].split() if said else ():
        case ["hang"]:
            await asyncio.Event().wait()
        case ["hang", "now"]:
            if told("hangs"):
                await asyncio.Event().wait()
        case ["hang", "once"]:
            name = f"hung-{hashlib.sha256(prompt.encode()).hexdigest()}"
            try:
                (Path(os.environ["SCRIPT_FOLDER"]) / name).touch(exist_ok=False)
                await asyncio.Event().wait()
            except FileExistsError:
                pass
        case ["drip", *_]:
            while True:
                yield "drop, "
                await asyncio.sleep(0.05)
        case ["sentences", count]:
            for _ in range(int(count)):
                yield "The canary sings at noon. "
                await asyncio.sleep(0.2)
        case ["endless"]:
            while True:
                yield "It goes on. "
                await asyncio.sleep(0)
        case ["break"]:
            yield "The canary sings at noon. But"
            yield None
        case ["slow", seconds]:
            await asyncio.sleep(float(seconds))
    yield "The canary "
    yield "sings at noon."


def told(what: str) -> str:
    """Return what `Bot.tell` has said."""
    try:
        return (Path(os.environ["SCRIPT_FOLDER"]) / f"told-{what}").read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _crashing(name: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def crash(*args: Any, **kwargs: Any) -> Any:
        where = told("crash")
        if where == f"{name}:before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = await method(*args, **kwargs)
        if where == f"{name}:after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return crash


def main() -> None:
    """Run a bot, or serve a nursery."""
    if sys.argv[1:]:
        play()
        from bot.__main__ import run

        sys.exit(run(sys.argv[1:]))
    serve()


def serve() -> None:
    """Fork a process for each line of JSON; say when each began and ended; end with the input."""
    import milvus_lite.db  # noqa: F401 - so that no bot has to import it
    import pymilvus  # noqa: F401
    import slack_bolt.async_app  # noqa: F401

    import bot.adapters.discord.adapter
    import bot.adapters.slack.adapter
    import bot.serving  # noqa: F401
    import tests.reliability.ingesting  # noqa: F401
    from bot.__main__ import run

    running: set[int] = set()
    said = threading.Lock()

    def say(*words: object) -> None:
        with said:
            print(*words, flush=True)

    def reap(pid: int) -> None:
        _, status = os.waitpid(pid, 0)
        running.discard(pid)
        say("ended", pid, os.waitstatus_to_exitcode(status))

    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            _become(order, run)
        running.add(pid)
        say("began", pid)
        threading.Thread(target=reap, args=[pid]).start()
    for pid in tuple(running):
        os.kill(pid, signal.SIGKILL)


def _become(order: dict[str, Any], run: Callable[[list[str]], int]) -> None:
    """Be a bot, or another program, until the end of the process."""
    code = 1
    try:
        os.environ.update(order["environment"])
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if order["program"]:
            run = importlib.import_module(order["program"]).run
        else:
            play()
        code = run(order["arguments"])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
