"""Starting and stopping: what is kept, what is refused, and how it ends."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.bot import Bot, documents

LAPTOP = "How soon must I report a lost laptop?"
HEADING = "# The lost and found desk\n\n"
FACT = "The lost and found desk is open on Mondays from 08:15 to 09:45.\n"
TOPIC = "When is the lost and found desk open?"


def test_what_was_learned_outlives_every_way_to_stop(tmp_path: Path) -> None:
    bot = Bot(tmp_path, web={"enabled": False})
    (bot.watched / "desk.md").write_text(HEADING + FACT, encoding="utf-8")
    bot.start()
    assert bot.process is not None
    bot.process.wait_for(r"folder watched: .*\b1 added")
    api = bot.data / "api.json"
    assert stat.S_IMODE(api.stat().st_mode) == 0o600
    known = bot.json("sources")
    bot.stop(signal.SIGTERM)

    # Without a bot, the command line opens the store itself.
    assert bot.json("sources") == known
    assert documents(bot.answer(TOPIC)) == {"desk.md"}

    bot.start()
    assert bot.json("sources") == known
    assert FACT.strip() in bot.found(TOPIC)
    bot.take("desk.md")
    assert bot.json("sources") == []
    bot.stop(signal.SIGINT)


def test_a_bot_that_is_still_loading_stops_as_well(tmp_path: Path) -> None:
    bot = Bot(tmp_path)
    starting = bot.begin()
    starting.wait_for("The page is at")
    assert starting.end(signal.SIGINT) == 0
    assert not (bot.data / "api.json").exists()
    assert not any("Traceback" in line for line in starting.lines), starting.lines


def test_a_second_bot_on_the_same_data_is_refused(bot: Bot) -> None:
    assert str(bot.data) in bot.command("run").sentence()
    assert "within two hours" in bot.found(LAPTOP)


def test_a_configured_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    bot = Bot(tmp_path)
    with socket.create_server(("127.0.0.1", bot.port)):
        refused = bot.command("run").sentence()
    assert f"Port {bot.port} is taken" in refused


def test_the_default_port_moves_on_and_says_so(tmp_path: Path) -> None:
    bot = Bot(tmp_path, web={"port": None})
    with suppress(OSError), socket.create_server(("127.0.0.1", 7860)):
        starting = bot.begin()
        moved = starting.wait_for("Port 7860 is taken")
        starting.wait_for("The page is at http://127.0.0.1:" + moved.rpartition(" ")[2].strip("."))
        assert starting.end(signal.SIGTERM) == 0


def test_a_data_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    bot = Bot(tmp_path)
    bot.data.write_text("a file")
    assert str(bot.data) in bot.command("run").sentence()


@pytest.fixture
def bound() -> list[str]:
    """What a command begins with for permissions to bind it, though it be root's."""
    if os.geteuid():
        return []
    if not shutil.which("setpriv"):
        pytest.skip("permissions don't bind root, and there is no setpriv")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def test_a_read_only_cache_is_said(tmp_path: Path, bound: list[str]) -> None:
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o500)
    bot = Bot(tmp_path / "bot", prefix=bound, environment={"TEAMGLM_CACHE": str(cache)})
    ended = bot.command("models", "pull")
    assert ended.code == 1
    assert f"can't be kept in {cache}" in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err


def test_a_read_only_data_folder_is_said_and_nothing_is_lost(
    tmp_path: Path, bound: list[str]
) -> None:
    bot = Bot(tmp_path, prefix=bound)
    (bot.watched / "desk.md").write_text(HEADING + FACT, encoding="utf-8")
    assert bot.json("index")["added"] == 1
    places = [bot.data, *(each for each in bot.data.rglob("*"))]
    modes = {place: stat.S_IMODE(place.stat().st_mode) for place in places}
    try:
        for place, mode in modes.items():
            place.chmod(mode & 0o555)
        for verb in (["run"], ["search", TOPIC], ["forget", "desk.md"]):
            assert str(bot.data) in bot.command(*verb).sentence()
    finally:
        for place, mode in modes.items():
            place.chmod(mode)
    assert FACT.strip() in bot.found(TOPIC)
