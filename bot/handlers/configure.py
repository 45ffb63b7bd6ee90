"""Show and change what a channel has chosen, and say who changed what and when."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bot.channels import Change, Channels, Value
from bot.commands import SETTINGS
from bot.messages import Language, Reply, ReplyEvent, Request
from bot.phrases import say
from bot.rights import Who, is_direct, may, within

_HISTORY = 20
_BETWEEN = re.compile(r"\s*[,;，、；\n]\s*")
_NAMED = re.compile(r"(\w*)\s*[:：]?\s*(.*)", re.DOTALL)
_DEFAULTS = frozenset({"", "default", "默认", "auto", "自动", "all", "全部"})
_RIGHTS = {"anyone": "anyone", "任何人": "anyone", "admins": "admins", "管理员": "admins"}


class _Wrong(Exception):
    """A value that can't be meant; the text says what can."""


class Configure:
    """Handles `settings`: shows them, or changes those in `options` or named in `request.text`.

    `folders` are the scopes of the watched folders by their names, `models` what may be chosen,
    the usual one first; whoever `may_change` may, and anyone in a direct message of their own.
    """

    command = "settings"

    def __init__(
        self,
        channels: Channels,
        *,
        folders: Mapping[str, str],
        models: Sequence[str],
        may_change: Who,
        may_teach: Who,
    ) -> None:
        self._channels = channels
        self._folders = folders
        self._models = models
        self._may_change = may_change
        self._may_teach = may_teach

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield the settings as they are now, what was changed, or the history."""
        try:
            wanted = self._wanted(request, language)
            values = {name: self._value(name, given, request, language) for name, given in wanted}
        except _Wrong as wrong:
            yield Reply("error", str(wrong), language)
            return
        if values and not (may(self._may_change, request) or is_direct(request)):
            yield Reply("error", say(language, "not_allowed"), language)
            return
        changed = await self._channels.change(request, values) if values else []
        history = await self._channels.history(request, _HISTORY)
        if changed and changed[0].name == "language" and changed[0].new is not None:
            language = "zh" if changed[0].new == "zh" else "en"
        lines = [f"- {_changed(each, language)}" for each in (changed if values else history)]
        if values:
            head = say(language, "settings_changed" if changed else "settings_same")
        elif _is_history(request):
            head = say(language, "settings_history" if history else "settings_no_history")
        else:
            head, lines = say(language, "settings_are"), self._lines(request, language)
            lines += [say(language, "settings_how")]
        data = {"settings": self._data(request), "history": [_row(each) for each in history]}
        yield Reply("answer", "\n".join([head, *lines]), language, data=data)

    def _wanted(self, request: Request, language: Language) -> list[tuple[str, str]]:
        """Return the settings that a request changes, with what was given for them."""
        names = [each.name for each in SETTINGS.arguments[1:]]
        wanted = [(name, str(request.options[name])) for name in names if name in request.options]
        text = request.text.strip()
        if not text or _is_history(request) or SETTINGS.arguments[0].value(text) == "show":
            return wanted
        name, given = _NAMED.fullmatch(text).groups()  # type: ignore[union-attr]
        argument = SETTINGS.argument(name)
        if argument is None or argument is SETTINGS.arguments[0] or not given.strip():
            known = ", ".join(each.label[language == "zh"] for each in SETTINGS.arguments[1:])
            raise _Wrong(say(language, "settings_unknown", given=text, known=known))
        value = argument.value(given)
        if not argument.allows(value):
            raise _wrong(argument.name, given, _labels(argument.name, language), language)
        return [*wanted, (argument.name, str(value))]

    def _value(self, name: str, given: str, request: Request, language: Language) -> Value:
        """Return a setting as it is stored; raise `_Wrong` for what isn't allowed."""
        given = given.strip()
        if given.casefold() in _DEFAULTS or (name, given) == ("tone", "plain"):
            return None
        match name:
            case "model":
                if given not in self._models:
                    raise _wrong(name, given, self._models, language)
                return None if given == self._models[0] else given
            case "folders":
                visible = self._visible(request)
                known = {each.casefold(): each for each in visible}
                chosen = [known.get(each.casefold()) for each in _BETWEEN.split(given) if each]
                if not chosen or not all(chosen):
                    raise _wrong(name, given, ["all", *visible], language)
                return sorted({each for each in chosen if each})
            case "teach":
                return self._teachers(given, language)
        return given

    def _teachers(self, given: str, language: Language) -> Value:
        named = [each for each in re.split(r"[\s,;，、；]+", given) if each]
        right = _RIGHTS.get(given.casefold())
        who: Who = frozenset(named)
        if right is not None:
            who = "anyone" if right == "anyone" else "admins"
        elif not all(re.fullmatch(r"(?:slack|discord):\w+", each) for each in named):
            raise _wrong("teach", given, [*_labels("teach", language), "slack:U012"], language)
        if not within(who, self._may_teach) and who != "anyone":
            raise _Wrong(say(language, "settings_teach_less"))
        if who == "anyone":
            return None  # of those whom the configuration lets
        return "admins" if who == "admins" else sorted(named)

    def _visible(self, request: Request) -> list[str]:
        """Return the folders whose documents may be seen here: of others nobody hears."""
        return [name for name, scope in self._folders.items() if scope in request.audience]

    def _data(self, request: Request) -> dict[str, Any]:
        """Return each setting's value and what it may be, for forms."""
        stored = self._channels.values(request)
        allowed: dict[str, Sequence[str]] = {
            "model": self._models,
            "folders": self._visible(request),
            "teach": ["anyone", "admins"],
        }
        for argument in SETTINGS.arguments[1:]:
            if argument.choices:
                allowed[argument.name] = [each.value for each in argument.choices]
        defaults = {
            "language": "auto",
            "tone": "plain",
            "model": self._models[0],
            "teach": "anyone",
        }
        return {
            name: {"value": _or(stored.get(name), defaults.get(name)), "allowed": list(values)}
            for name, values in allowed.items()
        }

    def _lines(self, request: Request, language: Language) -> list[str]:
        stored = self._channels.values(request)
        lines = []
        for argument in SETTINGS.arguments[1:]:
            value = stored.get(argument.name)
            shown = _shown(argument.name, value, language)
            if argument.name == "model" and value is None:
                shown = self._models[0]
            if argument.name == "model" and len(self._models) > 1:
                others = ", ".join(each for each in self._models if each != shown)
                shown += say(language, "settings_or", others=others)
            lines.append(f"- {argument.label[language == 'zh']}: {shown}")
        return lines


def _is_history(request: Request) -> bool:
    return SETTINGS.arguments[0].value(request.text) == "history"


def _wrong(name: str, given: str, allowed: Collection[str], language: Language) -> _Wrong:
    argument = SETTINGS.argument(name)
    label = argument.label[language == "zh"] if argument else name
    return _Wrong(say(language, "wrong_option", value=given, name=label, about=", ".join(allowed)))


def _labels(name: str, language: Language) -> list[str]:
    argument = SETTINGS.argument(name)
    if name == "teach":
        return [say(language, "settings_anyone"), say(language, "settings_admins")]
    return [each.label[language == "zh"] for each in argument.choices] if argument else []


def _shown(name: str, value: Value, language: Language) -> str:
    """Return a stored value in words."""
    if isinstance(value, list):
        return ("、" if language == "zh" else ", ").join(value) or "—"
    if name == "teach":
        return say(language, f"settings_{value or 'anyone'}")
    argument = SETTINGS.argument(name)
    wanted = value or {"language": "auto", "tone": "plain"}.get(name)
    for choice in argument.choices if argument else ():
        if choice.value == wanted:
            return choice.label[language == "zh"]
    return wanted or say(language, f"settings_no_{name}")


def _changed(change: Change, language: Language) -> str:
    argument = SETTINGS.argument(change.name)
    at = datetime.fromtimestamp(change.changed_at, UTC)
    return say(
        language,
        "settings_change",
        name=argument.label[language == "zh"] if argument else change.name,
        old=_shown(change.name, change.old, language),
        new=_shown(change.name, change.new, language),
        who=change.who or "—",
        when=f"{at:%Y-%m-%d %H:%M} UTC",
    )


def _row(change: Change) -> dict[str, Any]:
    at = datetime.fromtimestamp(change.changed_at, UTC).isoformat(timespec="seconds")
    row = {"setting": change.name, "old": change.old, "new": change.new}
    return {**row, "who": change.who, "when": at}


def _or(value: Value, default: str | None) -> Value:
    return default if value is None else value
