from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.model_settings import ServerModel
from bot.policies import belonging, granted, tools_of
from bot.settings import Secrets, Settings, SettingsError, load_settings
from bot.source_settings import trigger
from rag.ingest.standing import Address, Standing
from tests.bot.fakes import EMPTY, config


def load(
    folder: Path, text: str = "", *changes: str, environment: Mapping[str, str] = EMPTY
) -> Settings:
    return load_settings(config(folder, text), environment=environment, changes=changes)


def refused(
    folder: Path, text: str = "", *changes: str, environment: Mapping[str, str] = EMPTY
) -> str:
    with pytest.raises(SettingsError) as caught:
        load(folder, text, *changes, environment=environment)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def test_the_shipped_config_is_valid_and_keeps_to_loopback() -> None:
    shipped = load_settings(Path("config.yaml"), environment=EMPTY)
    assert shipped.web.host == "127.0.0.1"
    assert [folder.name for folder in shipped.folders] == ["knowledge"]
    assert {shipped.chat_model, shipped.embedding_model} <= shipped.models.keys()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("webb: {port: 1}", "webb"),
        ("web: {prot: 1}", "web.prot"),
        ("folders: [{path: a, shcedule: x}]", "folders.0.shcedule"),
        ("slack: {bot_token: xoxb-hush}", "slack.bot_token"),
    ],
)
def test_a_key_that_does_not_exist_is_named(tmp_path: Path, text: str, key: str) -> None:
    sentence = refused(tmp_path, text)
    assert key in sentence
    assert "hush" not in sentence


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("web: {port: 70000}", "web.port"),
        ("answers: {refuse_below: 2}", "answers.refuse_below"),
        ("splitter: {name: magic}", "splitter.name"),
        ("folders: [{path: a, scope: everybody}]", "everybody"),
        ("web: {upload_scope: everybody}", "everybody"),
        ("folders: [{path: a, schedule: sometimes}]", "sometimes"),
        ("folders: [{path: a, schedule: every 0 minutes}]", "every 0 minutes"),
        ("folders: [{path: a, schedule: every 99999999999999 days}]", "every 9999"),
        ("folders: [{path: a, schedule: '61 * * * *'}]", "61"),
        ("folders: [{path: a, channels: ['slack:-:T:C']}]", "scope: folder:NAME"),
        ("folders: [{path: a, scope: 'folder:x', channels: [public]}]", "public"),
        ("web_pages: [{url: 'http://example.org'}]", "http://example.org"),
        ("web_pages: [{url: 'https://me:pw@example.org', private: true}]", "user name"),
        ("web_pages: [{url: 'nothing', private: true}]", "nothing"),
        ("web_pages: [{url: 'https://[', private: true}]", "https://["),
        ("taught_pages: never", "taught_pages"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(tmp_path: Path, text: str, key: str) -> None:
    assert key in refused(tmp_path, text)


@pytest.mark.parametrize("schedule", ["every 1 minute", "every 10 minutes", "0 3 * * *"])
def test_schedules_are_intervals_or_cron_lines(schedule: str) -> None:
    assert trigger(schedule)


def test_every_folder_and_page_has_a_schedule_of_its_own(tmp_path: Path) -> None:
    text = (
        "folders: [{path: a, schedule: every 10 minutes}, {path: b, schedule: '0 3 * * *'}]\n"
        "web_pages: [{url: 'https://wiki.example', schedule: every 2 hours}]"
    )
    chosen = load(tmp_path, text)
    often, nightly = (trigger(folder.schedule) for folder in chosen.folders)
    midnight = datetime(2026, 3, 1, tzinfo=nightly.timezone)
    assert nightly.get_next_fire_time(None, midnight) == midnight.replace(hour=3)
    assert often.get_next_fire_time(midnight, midnight) - midnight == timedelta(minutes=10)
    (page,) = (trigger(page.schedule) for page in chosen.web_pages)
    assert page.get_next_fire_time(midnight, midnight) - midnight == timedelta(hours=2)


def test_folders_and_pages_are_granted_to_channels(tmp_path: Path) -> None:
    folder = "{path: a, scope: 'folder:hr', channels: ['slack:-:T:C', 'discord:1:2']}"
    page = "{url: 'http://wiki/hr', private: true, scope: 'folder:wiki', channels: ['slack:-:T:C']}"
    assert granted(load(tmp_path, f"folders: [{folder}]\nweb_pages: [{page}]")) == {
        "slack:-:T:C": {"folder:hr", "folder:wiki"},
        "discord:1:2": {"folder:hr"},
    }


def test_what_the_settings_give_another_scope_belongs_no_more_where_it_was(tmp_path: Path) -> None:
    folder = "{path: hr, name: hr, scope: 'folder:hr'}"
    page = "{url: 'https://hr.example/pay', scope: 'folder:hr'}"
    belongs = belonging(load(tmp_path, f"folders: [{folder}]\nweb_pages: [{page}]"))

    def standing(scope: str, source: str, name: str, by: str | None = None) -> Standing:
        at = Address(scope, source, name)
        return Standing("1", at, "ready", None, None, None, "v", 1, "c", "s", "e", 1, None, by)

    assert belongs(standing("folder:hr", "folder:hr", "pay.txt"))
    assert not belongs(standing("public", "folder:hr", "pay.txt"))
    assert belongs(standing("public", "folder:other", "pay.txt"))
    assert belongs(standing("public", "upload", "pay.txt", "slack:U1"))
    assert belongs(standing("folder:hr", "web", "https://hr.example/pay"))
    assert not belongs(standing("public", "web", "https://hr.example/pay"))
    assert belongs(standing("public", "web", "https://hr.example/pay", "slack:U1"))
    assert belongs(standing("public", "web", "https://hr.example/other"))


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("chat_model: a\nembedding_model: b\n")
    with pytest.raises(SettingsError, match="lacks models"):
        load_settings(file, environment=EMPTY)


def test_the_command_line_beats_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    text, environment = "web: {port: 1, host: localhost}", {"TEAMGLM_WEB__PORT": "2"}
    assert load(tmp_path, text).web.port == 1
    assert load(tmp_path, text, environment=environment).web.port == 2
    changed = load(tmp_path, text, "web.port=3", environment=environment)
    assert (changed.web.port, changed.web.host) == (3, "localhost")


def test_the_environment_names_the_chat_model(tmp_path: Path) -> None:
    environment = {"TEAMGLM_CHAT_MODEL": "served"}
    assert load(tmp_path, environment=environment).chat_model == "served"


def test_values_are_read_as_yaml(tmp_path: Path) -> None:
    loaded = load(tmp_path, "", "web.enabled=false", "web.examples=[a, b]", "web.port=null")
    assert not loaded.web.enabled
    assert loaded.web.examples == ("a", "b")


def test_a_list_is_changed_by_index(tmp_path: Path) -> None:
    text = "folders: [{path: a}, {path: b}]"
    loaded = load(tmp_path, text, "folders.1.schedule=every 2 hours", "folders.0={path: c}")
    assert [folder.schedule for folder in loaded.folders] == ["every 1 minute", "every 2 hours"]
    assert loaded.folders[0].path.name == "c"


@pytest.mark.parametrize(
    "change",
    ["folders.7.path=x", "folders.7=x", "folders.x.path=y", "chat_model.x=1", "web.port.x.y=1"],
)
def test_a_change_at_no_place_is_refused_with_its_origin(tmp_path: Path, change: str) -> None:
    sentence = refused(tmp_path, "folders: [{path: a}]\nweb: {port: 1}", change)
    assert change.partition("=")[0] in sentence


@pytest.mark.parametrize("change", ["web.port", "web.port=[1"])
def test_a_change_that_is_no_change_is_refused(tmp_path: Path, change: str) -> None:
    assert "web.port" in refused(tmp_path, "", change)


def test_an_environment_variable_that_sets_nothing_is_named(tmp_path: Path) -> None:
    assert "web.prot" in refused(tmp_path, environment={"TEAMGLM_WEB__PROT": "1"})


def test_broken_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    sentence = refused(tmp_path, "web:\n  port: [1\nconsole: true\n")
    assert "line " in sentence
    assert "config.yaml" in sentence


TOOL = "about: How it is, url: 'https://api.example.com/{x}', parameters: {x: {about: Which}}"


@pytest.mark.parametrize(
    ("tools", "says"),
    [
        (f"declared: {{status: {{{TOOL}}}}}", "list of hosts"),
        (f"hosts: [api.example.com], declared: {{none: {{{TOOL}}}}}", "'none'"),
        (f"hosts: [api.example.com], declared: {{a b: {{{TOOL}}}}}", "'a b'"),
        ("hosts: ['https://api.example.com']", "is no host"),
        ("declared: {status: {url: 'https://api.example.com/'}}", "about"),
        (f"hosts: [api.example.com], declared: {{status: {{{TOOL}, method: POST}}}}", "method"),
        (
            "hosts: [a.org], declared: {s: {about: a, url: 'https://a.org/{x}', "
            "parameters: {x: {about: b, pattern: '['}}}}",
            "regular expression",
        ),
        (
            f"hosts: [api.example.com], declared: {{s: {{{TOOL}, headers: {{X-Key: $API_KEY}}}}}}",
            "API_KEY",
        ),
    ],
)
def test_a_tool_that_cannot_be_meant_is_told(tmp_path: Path, tools: str, says: str) -> None:
    assert says in refused(tmp_path, f"tools: {{{tools}}}")


def test_a_tool_takes_its_headers_from_the_environment(tmp_path: Path) -> None:
    text = (
        f"tools: {{hosts: [api.example.com], declared: {{status: {{{TOOL}, scope: 'folder:ops', "
        "channels: ['slack:-:T1:C1'], headers: {Authorization: Bearer $API_KEY}}}}"
    )
    loaded = load(tmp_path, text, environment={"API_KEY": "hush"})
    (tool,) = tools_of(loaded)
    assert tool.headers == {"Authorization": "Bearer hush"}
    assert loaded.secrets.values() == ["hush"]
    assert "hush" not in repr(loaded)
    assert granted(loaded) == {"slack:-:T1:C1": frozenset({"folder:ops"})}
    broken = refused(tmp_path, text, environment={"API_KEY": "hush\nX: y"})
    assert "Authorization" in broken
    assert "hush" not in broken


def test_as_shipped_there_are_no_tools() -> None:
    assert tools_of(load_settings(Path("config.yaml"), environment=EMPTY)) == []


@pytest.mark.parametrize("content", [b"- a list\n", b"\xff\xfe", b"just words"])
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"config\.yaml"):
        load_settings(file, environment=EMPTY)


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="--config"):
        load_settings(tmp_path / name, environment=EMPTY)


@pytest.mark.parametrize(
    ("text", "changes", "environment"),
    [
        ("secrets: {slack_bot_token: hush}", [], {}),
        ("", ["secrets.slack_bot_token=hush"], {}),
        ("", [], {"TEAMGLM_SECRETS__SLACK_BOT_TOKEN": "hush"}),
    ],
)
def test_secrets_are_refused_outside_their_own_variables(
    tmp_path: Path, text: str, changes: list[str], environment: dict[str, str]
) -> None:
    sentence = refused(tmp_path, text, *changes, environment=environment)
    assert "environment" in sentence
    assert "hush" not in sentence


def test_secrets_come_from_the_environment_and_are_not_shown(tmp_path: Path) -> None:
    loaded = load(
        tmp_path, environment={"SLACK_BOT_TOKEN": "hush-1", "TEAMGLM_WEB_PASSWORD": "hush-2"}
    )
    token, password = loaded.secrets.slack_bot_token, loaded.secrets.web_password
    assert token
    assert password
    assert (token.get_secret_value(), password.get_secret_value()) == ("hush-1", "hush-2")
    assert "hush" not in repr(loaded)


def test_an_empty_secret_is_none(tmp_path: Path) -> None:
    assert load(tmp_path, environment={"DISCORD_BOT_TOKEN": ""}).secrets.discord_bot_token is None


def test_addresses_come_from_the_environment(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        environment={
            "SLACK_API_URL": "http://127.0.0.1:1/",
            "DISCORD_API_URL": "http://127.0.0.1:2/",
            "DISCORD_GATEWAY_URL": "ws://127.0.0.1:3/",
            "OPENAI_BASE_URL": "http://127.0.0.1:4/v1",
        },
    )
    assert loaded.slack.api_url == "http://127.0.0.1:1/"
    assert loaded.discord.api_url == "http://127.0.0.1:2/"
    assert loaded.discord.gateway_url == "ws://127.0.0.1:3/"
    served = loaded.models["served"]
    assert isinstance(served, ServerModel)
    assert served.base_url == "http://127.0.0.1:4/v1"


def test_relative_paths_start_at_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    loaded = load(tmp_path, "folders: [{path: docs/team}]\nmodels_cache: cache")
    assert loaded.data == tmp_path / "data"
    assert loaded.models_cache == tmp_path / "cache"
    assert loaded.folders[0].path == tmp_path / "docs/team"
    assert getattr(loaded.models["chat"], "path", None) == tmp_path / "chat.gguf"


def test_the_data_option_starts_at_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    loaded = load_settings(config(tmp_path), environment=EMPTY, data=Path("mine"))
    assert loaded.data == tmp_path / "here/mine"


def test_a_folder_is_named_after_its_path(tmp_path: Path) -> None:
    loaded = load(tmp_path, "folders: [{path: .}, {path: docs/team}, {path: x, name: y}]")
    assert [folder.name for folder in loaded.folders] == [tmp_path.name, "team", "y"]


def test_two_folders_of_one_name_are_refused(tmp_path: Path) -> None:
    assert "name" in refused(tmp_path, "folders: [{path: a/docs}, {path: b/docs}]")


def test_every_secret_is_known_to_be_one() -> None:
    secrets = Secrets(slack_bot_token=SecretStr("a"), server_keys={"KEY": SecretStr("b")})
    assert sorted(secrets.values()) == ["a", "b"]
    assert Secrets().values() == []
