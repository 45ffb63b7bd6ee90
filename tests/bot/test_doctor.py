from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import discord
import pytest
from filelock import FileLock

from bot.adapters.discord.check import PERMISSIONS, invitation
from bot.doctor import examine
from bot.settings import Settings
from rag.errors import ModelFailed, ModelMissing
from tests.bot.fakes import MODELS, FakeChat, FakeEmbeddings, settings, use
from tests.doubles.discord_wire import DiscordDouble
from tests.doubles.slack import SlackDouble
from tests.doubles.slack_workspace import SCOPES
from tests.rag.models import small_glm

DEAD = "http://127.0.0.1:9"


def healthy(folder: Path, **more: Any) -> Settings:
    """Return settings with every file that they name in its place."""
    (folder / "chat.gguf").touch()
    (folder / "embedder").mkdir()
    models = {
        "chat": {"provider": "gguf", "path": folder / "chat.gguf"},
        "embedder": {"provider": "sentence-transformers", "path": folder / "embedder"},
    }
    return settings(folder, models=models, **more)


async def failures(chosen: Settings) -> dict[str, str]:
    """Return what the checks that failed say, each one line of words."""
    report = await examine(chosen)
    assert report.keys() == {"ok", "checks"}
    assert all(check.keys() == {"name", "ok", "detail"} for check in report["checks"])
    failed = {check["name"]: check["detail"] for check in report["checks"] if not check["ok"]}
    assert report["ok"] is not bool(failed)
    assert all(detail and "\n" not in detail for detail in failed.values())
    return failed


async def test_a_healthy_bot_passes_every_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)
    assert await failures(healthy(tmp_path)) == {}


async def test_missing_models_name_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, embeddings=FakeEmbeddings(ModelMissing("run `teamglm models pull`")))
    failed = await failures(settings(tmp_path))
    assert failed.keys() == {"models", "store"}
    assert all("models pull" in detail for detail in failed.values())


async def test_the_chat_model_says_where_it_runs_and_writes_sixteen_tokens(tmp_path: Path) -> None:
    folder = small_glm.write(tmp_path / "glm")
    models = {**MODELS, "chat": {"provider": "chatglm", "path": folder, "device": "cpu"}}
    line = await chat_line(settings(tmp_path, models=models))
    assert line["ok"], line
    assert re.fullmatch(
        r"chat on cpu in float32, 0\.00 GB of weights; it wrote 1\d tokens in .* s", line["detail"]
    )


async def chat_line(chosen: Settings) -> dict[str, Any]:
    """Return what is said of the chat model."""
    return next(c for c in (await examine(chosen))["checks"] if c["name"] == "chat model")


async def test_a_model_behind_a_server_is_asked_even_while_the_bot_runs(tmp_path: Path) -> None:
    served = {"provider": "openai", "model": "m", "base_url": f"{DEAD}/v1", "retries": 0}
    line = await chat_line(settings(tmp_path, models={**MODELS, "chat": served}))
    assert not line["ok"]
    assert f"{DEAD}/v1 can't be reached" in line["detail"]


@pytest.mark.parametrize(
    ("chat", "told"),
    [
        (FakeChat(answer=""), "says nothing"),
        (FakeChat(broken=ModelFailed("out of memory")), "out of memory"),
    ],
)
async def test_a_chat_model_that_cannot_write_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chat: FakeChat, told: str
) -> None:
    use(monkeypatch, chat=chat)
    failed = await failures(healthy(tmp_path))
    assert failed.keys() == {"chat model"}
    assert told in failed["chat model"]


async def test_an_unknown_model_is_named(tmp_path: Path) -> None:
    failed = await failures(settings(tmp_path, chat_model="no-such-model", models=MODELS))
    assert "no-such-model" in failed["models"]


async def test_a_watched_folder_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)
    failed = await failures(healthy(tmp_path, folders=[{"path": tmp_path / "gone"}]))
    assert failed.keys() == {"folders"}
    assert str(tmp_path / "gone") in failed["folders"]


async def test_a_data_folder_that_is_a_file_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)
    (tmp_path / "file").touch()
    failed = await failures(healthy(tmp_path, data=tmp_path / "file"))
    assert failed.keys() == {"disk", "store"}


async def test_a_data_folder_in_use_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)
    (tmp_path / "data").mkdir()
    with FileLock(tmp_path / "data/lock"):
        failed = await failures(healthy(tmp_path))
    assert failed.keys() == {"store"}


@pytest.mark.parametrize(
    ("secrets", "broken"),
    [
        ({"slack_bot_token": "hush"}, "slack"),
        ({"slack_app_token": "hush"}, "slack"),
        ({"slack_bot_token": "hush", "slack_app_token": "hush"}, "slack"),
        ({"discord_bot_token": "hush"}, "discord"),
    ],
)
async def test_a_platform_that_cannot_be_reached_is_told_without_its_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secrets: dict[str, str], broken: str
) -> None:
    use(monkeypatch)
    chosen = healthy(tmp_path, secrets=secrets, slack={"api_url": DEAD}, discord={"api_url": DEAD})
    failed = await failures(chosen)
    assert failed.keys() == {broken}
    assert "hush" not in failed[broken]


async def test_what_the_platforms_lack_is_named_in_words_and_the_invitation_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch)
    approved = discord.Intents.all()
    approved.message_content = False
    async with (
        SlackDouble() as slack,
        DiscordDouble(approved=approved, permissions=PERMISSIONS.value) as double,
    ):
        slack.scopes = slack.scopes.replace("files:read,", "").replace("users:read", "")
        secrets = {
            "slack_bot_token": slack.bot_token,
            "slack_app_token": slack.app_token,
            "discord_bot_token": double.token,
        }
        at_discord = {"api_url": double.api_url, "message_content": True}
        more: dict[str, Any] = {"secrets": secrets, "slack": {"api_url": slack.api_url}}
        lacking = await failures(healthy(tmp_path, discord=at_discord, **more))
        assert lacking.keys() == {"slack", "discord"}
        for told in ("files:read", "learn the files", "users:read", "language", "reinstall"):
            assert told in lacking["slack"]
        assert "chat:write" not in lacking["slack"]
        assert "Message Content" in lacking["discord"]
        assert invitation(str(double.backend.application_id)) in lacking["discord"]

        slack.scopes = SCOPES
        secrets["slack_app_token"] = "xapp-without-connections"
        other = tmp_path / "other"
        other.mkdir()
        chosen = healthy(other, discord=at_discord | {"message_content": False}, **more)
        lacking = await failures(chosen)
        assert lacking.keys() == {"slack"}
        assert "connections:write" in lacking["slack"]
