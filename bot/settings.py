"""Every setting: config.yaml, then `TEAMGLM_…` in the environment, then `--set`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import tzlocal
import yaml
from pydantic import (
    Field,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
)

from bot.model_settings import DEFAULT_KEY, ModelSettings, Section
from bot.source_settings import FolderSettings, WebPageSettings, trigger
from bot.tool_settings import ToolsSettings, variables
from bot.when import is_zone
from rag.audience import check_scope

_PREFIX = "TEAMGLM_"


class SettingsError(Exception):
    """A setting that can't be used; the text names it and says what to do."""


class SplitterSettings(Section):
    """How documents become passages; sizes in tokens of the embedding model."""

    name: Literal["character", "length", "meaning"] = "character"
    max_tokens: int = Field(250, ge=32, le=500)


class Named(Section):
    """What somebody or something is called in each language."""

    en: str = Field(min_length=1)
    zh: str = Field(min_length=1)


class AnswerSettings(Section):
    """How questions are answered."""

    history: int = Field(3, ge=0, le=20)
    passages: int = Field(3, ge=1, le=20)
    context_tokens: int = Field(300, ge=64)
    max_tokens: PositiveInt = 96
    refuse_below: float = Field(0.3, ge=0, le=1)
    false_answers: float = Field(0.05, ge=0, le=1)
    """The share of what can't be answered that `teamglm calibrate` lets through."""
    first_token_seconds: float = Field(30, gt=0)
    timeout_seconds: float = Field(120, gt=0)
    summary_parts: int = Field(12, gt=0)
    keep_days: float = Field(30, gt=0)
    choose_skills: bool = True
    """Whether a plain message gets the skill that it asks for; else it is a question."""
    ask_whom: Named | None = None
    """Whom a refusal names; one name for both languages may be given as it is."""

    @field_validator("ask_whom", mode="before")
    @classmethod
    def _in_both_languages(cls, whom: object) -> object:
        return {"en": whom, "zh": whom} if isinstance(whom, str) else whom


class LimitSettings(Section):
    """Bounds that keep one person, or one file, from stopping the bot for all."""

    question_characters: PositiveInt = 4000
    questions_at_once: PositiveInt | None = None
    waiting_questions: PositiveInt = 16
    waiting_questions_each: PositiveInt = 4
    uploads_at_once: PositiveInt = 2
    waiting_uploads: PositiveInt = 100
    requests_per_minute_each: PositiveInt = 20
    requests_per_minute_channel: PositiveInt = 120
    upload_megabytes: PositiveInt = 50
    reminders_each: PositiveInt = 20


Who = Literal["anyone", "admins"] | tuple[str, ...]
"""Who may do something; a list names people as `slack:U012`, and admins always may."""


class PermissionSettings(Section):
    """Who may change what the bot knows."""

    teach: Who = "anyone"
    forget: Who = "anyone"
    reindex: Who = "admins"
    settings: Who = "admins"

    @field_validator("teach", "forget", "reindex", "settings")
    @classmethod
    def _named_in_full(cls, who: Who) -> Who:
        if not isinstance(who, str) and not all(":" in name for name in who):
            raise ValueError("people are named with their platform, as slack:U012 or discord:345")
        return who


class WebSettings(Section):
    """The web page; `port` empty means 7860 or the next free one."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int | None = Field(None, ge=1, le=65535)
    upload_scope: str = "public"
    examples: tuple[str, ...] = ()

    @field_validator("upload_scope")
    @classmethod
    def _known_scope(cls, scope: str) -> str:
        return check_scope(scope)


class SlackSettings(Section):
    """Slack; it is on when its tokens are in the environment."""

    api_url: str = "https://slack.com/api/"
    host: str = "127.0.0.1"
    port: int = Field(3000, ge=0, le=65535)
    streaming: bool = True
    follow_ups: Literal["addressed", "all", "mention"] = "addressed"
    keep_files: Literal["always", "ask", "never"] = "always"


class DiscordSettings(Section):
    """Discord; it is on when its token is in the environment."""

    api_url: str | None = None
    gateway_url: str | None = None
    message_content: bool = False
    follow_ups: bool = True
    forum_posts: bool = False
    keep_files: Literal["always", "ask"] = "always"


class Secrets(Section):
    """What only the environment may hold."""

    slack_bot_token: SecretStr | None = None
    slack_app_token: SecretStr | None = None
    slack_signing_secret: SecretStr | None = None
    discord_bot_token: SecretStr | None = None
    openai_api_key: SecretStr | None = None
    server_keys: Mapping[str, SecretStr] = {}
    """The keys of servers and tools that have their own, by their environment variables."""
    web_password: SecretStr | None = None

    def values(self) -> list[str]:
        """Return those that are set."""
        named = {**dict(self), **self.server_keys}.values()
        return [each.get_secret_value() for each in named if isinstance(each, SecretStr)]


class Settings(Section):
    """The whole configuration, valid."""

    chat_model: str
    embedding_model: str
    reranker: str | None = None
    ocr_model: str | None = None
    models: Mapping[str, ModelSettings]
    channel_models: tuple[str, ...] = ()
    """Chat models that a channel may choose instead of `chat_model`."""
    models_cache: Path | None = None
    models_mirror: str | None = None
    data: Path = Path("data")
    templates: Path | None = None
    """A folder of the team's own templates for what the bot writes."""
    folders: tuple[FolderSettings, ...] = ()
    web_pages: tuple[WebPageSettings, ...] = ()
    tools: ToolsSettings = ToolsSettings()
    taught_pages: str = "every 1 day"
    """How often the web pages that people named are fetched again."""
    timezone: str | None = None
    """Of people whose platform tells none; None means this machine's."""
    splitter: SplitterSettings = SplitterSettings()
    answers: AnswerSettings = AnswerSettings()
    limits: LimitSettings = LimitSettings()
    permissions: PermissionSettings = PermissionSettings()
    web: WebSettings = WebSettings()
    console: bool = False
    slack: SlackSettings = SlackSettings()
    discord: DiscordSettings = DiscordSettings()
    secrets: Secrets = Secrets()

    @field_validator("taught_pages")
    @classmethod
    def _known_schedule(cls, schedule: str) -> str:
        trigger(schedule)
        return schedule

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone is not None and not is_zone(zone):
            raise ValueError(f"{zone!r} is no time zone: write Europe/Berlin, Asia/Shanghai or UTC")
        return zone


def local_zone() -> str:
    """Return the IANA name of this machine's time zone; UTC where nobody has set one."""
    try:
        return tzlocal.get_localzone_name() or "UTC"
    except (LookupError, ValueError, OSError):
        return "UTC"


def load_settings(
    file: Path,
    *,
    environment: Mapping[str, str] = os.environ,
    changes: Sequence[str] = (),
    data: Path | None = None,
) -> Settings:
    """Return the settings of a config file, the environment and `key.path=value` changes.

    Relative paths are taken from the file's own folder. Raise `SettingsError` with one sentence.
    """
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise SettingsError(
            f"The config file {file} can't be read ({error.strerror}): name one with --config."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise SettingsError(f"The config file {file} is not valid YAML{line}.") from error
    if not isinstance(values, dict):
        raise SettingsError(f"The config file {file} must hold `key: value` lines.")
    for key, value in environment.items():
        if key.startswith(_PREFIX) and key not in _NOT_SETTINGS:
            _put(values, key.removeprefix(_PREFIX).lower().split("__"), value, key)
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise SettingsError(f"--set takes key.path=value, not {change!r}.")
        _put(values, key.split("."), value, f"--set {key}")
    if "secrets" in values:
        raise SettingsError(
            "Tokens and passwords belong in the environment variables named for them, "
            "not in the settings."
        )
    _take_addresses(values, environment)
    values["secrets"] = {
        name: environment[name.upper() if name != "web_password" else "TEAMGLM_WEB_PASSWORD"]
        for name in Secrets.model_fields
        if environment.get(name.upper() if name != "web_password" else "TEAMGLM_WEB_PASSWORD")
    }
    values["secrets"]["server_keys"] = {
        name: environment[name]
        for name in _key_names(values) | variables(values.get("tools"))
        if environment.get(name)
    }
    if data:
        values["data"] = str(data.absolute())
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_sentence(error)) from error
    _check_headers(settings)
    return _anchored(settings, file.absolute().parent)


_NOT_SETTINGS = frozenset({"TEAMGLM_WEB_PASSWORD", "TEAMGLM_CACHE"})
_ADDRESSES = {
    "SLACK_API_URL": ("slack", "api_url"),
    "DISCORD_API_URL": ("discord", "api_url"),
    "DISCORD_GATEWAY_URL": ("discord", "gateway_url"),
}


def _take_addresses(values: dict[str, Any], environment: Mapping[str, str]) -> None:
    for name, path in _ADDRESSES.items():
        if environment.get(name):
            _put(values, path, environment[name], name)
    if address := environment.get("OPENAI_BASE_URL"):
        for model in _servers(values):
            # A server with a key of its own has an address of its own too.
            if model.get("key_env", DEFAULT_KEY) == DEFAULT_KEY:
                model["base_url"] = address


def _servers(values: dict[str, Any]) -> list[dict[str, Any]]:
    models = values.get("models")
    named = models.values() if isinstance(models, dict) else ()
    return [m for m in named if isinstance(m, dict) and m.get("provider") == "openai"]


def _key_names(values: dict[str, Any]) -> set[str]:
    return {str(model["key_env"]) for model in _servers(values) if "key_env" in model}


def _check_headers(settings: Settings) -> None:
    keys = settings.secrets.server_keys
    for name, tool in settings.tools.declared.items():
        for lacking in sorted(variables({"declared": {name: dict(tool)}}) - keys.keys()):
            raise SettingsError(
                f"The tool {name} needs {lacking}: set it in the environment, or remove the header."
            )
        try:
            settings.tools.tool(name, keys)
        except ValueError as error:
            raise SettingsError(f"In the environment, {error}.") from error


def _put(values: dict[str, Any], path: Sequence[str], text: str, origin: str) -> None:
    """Set a value at a path of keys, or of indexes where the config has a list."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"{origin}: {text!r} is not a value that YAML can read.") from error
    node: Any = values
    for here, key in enumerate(path):
        at: Any = int(key) if isinstance(node, list) and key.isdigit() else key
        if here == len(path) - 1:
            try:
                node[at] = value
            except (TypeError, IndexError) as error:
                raise SettingsError(f"{origin}: there is no setting at this place.") from error
            return
        if isinstance(node, dict):
            node = node.setdefault(at, {}) if node.get(at) is not None else _branch(node, at)
        elif isinstance(node, list) and isinstance(at, int) and at < len(node):
            node = node[at]
        else:
            raise SettingsError(f"{origin}: there is no setting at this place.")


def _branch(node: dict[str, Any], key: str) -> dict[str, Any]:
    node[key] = {}
    return node[key]  # type: ignore[no-any-return]


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"The config has a key that doesn't exist: {key}. Remove it or correct its name."
    if first["type"] == "missing":
        return f"The config lacks {key}."
    return f"The config's {key} can't be used: {first['msg'].removeprefix('Value error, ')}."


def _anchored(settings: Settings, base: Path) -> Settings:
    def at(path: Path) -> Path:
        return base / path.expanduser()

    models = {
        name: model.model_copy(update={"path": at(model.path)}) if hasattr(model, "path") else model
        for name, model in settings.models.items()
    }
    folders = tuple(
        folder.model_copy(
            update={
                "path": at(folder.path),
                # `.` has a name too: that of the folder that it means.
                "name": folder.name or Path(os.path.normpath(at(folder.path))).name,
            }
        )
        for folder in settings.folders
    )
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):
        raise SettingsError("Two watched folders have the same name: give each its own `name`.")
    cache = settings.models_cache
    return settings.model_copy(
        update={
            "models": models,
            "folders": folders,
            "data": at(settings.data),
            "models_cache": cache and at(cache),
            "templates": settings.templates and at(settings.templates),
        }
    )
