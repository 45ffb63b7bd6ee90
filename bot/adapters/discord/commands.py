"""The commands and menus that Discord shows, in English and Chinese."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import discord
from discord import app_commands
from discord.app_commands import Choice, locale_str

from bot.adapters.discord.buttons import Buttons
from bot.command import Argument, Command
from bot.commands import COMMANDS
from bot.messages import Attachment
from bot.since import moment

Interaction = discord.Interaction[Any]

_MOST_DOCUMENTS = 4
_TYPES: dict[str, Any] = {"file": discord.Attachment, "number": int}


class Translator(app_commands.Translator):
    """Gives Discord the Chinese names and descriptions."""

    async def translate(
        self,
        string: locale_str,
        locale: discord.Locale,
        context: app_commands.TranslationContextTypes,
    ) -> str | None:
        """Return the string in the locale, or None to leave it in English."""
        return string.extras.get("zh") if locale is discord.Locale.chinese else None


class Begin(Protocol):
    """Keeps what a command asks, and begins to answer it."""

    async def __call__(
        self,
        interaction: Interaction,
        command: str,
        text: str,
        *,
        private: bool,
        files: tuple[Attachment, ...] = (),
        options: dict[str, Any] | None = None,
    ) -> None:
        """Return when it is kept."""
        ...


def command_tree(
    client: discord.Client, begin: Begin, buttons: Buttons
) -> app_commands.CommandTree[Any]:
    """Return the tree of every command and menu of the bot."""
    tree = app_commands.CommandTree(
        client,
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True),
        allowed_installs=app_commands.AppInstallationType(guild=True),
    )
    for command in COMMANDS:
        tree.add_command(_native(command, begin, buttons))
    _menus(tree, buttons)
    return tree


def _native(
    declared: Command, begin: Begin, buttons: Buttons
) -> app_commands.Command[Any, ..., Any]:
    """Return a declared command as Discord has them, with an option for each argument."""
    options = [option for argument in declared.arguments for option in _options(declared, argument)]
    of_documents = declared.reads and declared.arguments[0].kind in ("document", "documents")

    async def known(interaction: Interaction, typed: str) -> list[Choice[str]]:
        names = await buttons.suggest(interaction, typed)
        return [Choice(name=name, value=name) for name in names]

    async def given(interaction: Interaction, public: bool = False, **values: Any) -> None:
        files = [value for value in values.values() if isinstance(value, discord.Attachment)]
        for argument in declared.arguments:
            if argument.kind == "documents":
                names = [values.get(name) for name in _names(argument)]
                values[argument.name] = [name for name in names if name]
        text, chosen = declared.filled(values)
        attached = [Attachment(file.filename, file.size, file.url) for file in files]
        if declared.looks_back:
            attached += _looking_back(interaction, text)
        elif of_documents and not (text or attached):
            attached += _thread(interaction)
        if declared.name == "help":
            chosen["prefix"] = "/"
        await begin(
            interaction,
            declared.handler,
            text,
            private=declared.sees == "person" or (declared.sees == "choice" and not public),
            files=tuple(attached),
            options=chosen,
        )

    first = inspect.Parameter("interaction", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [first, *(option.parameter for option in options)]
    about = {option.parameter.name: option.about for option in options}
    names = {option.parameter.name: option.name for option in options}
    if declared.sees == "choice":
        parameters.append(_parameter("public", bool, False))
        names["public"] = locale_str("public", zh="公开")
        everybody = "Answer for everybody here, and not only for you"
        about["public"] = locale_str(everybody, zh="让这里所有人都能看到回答")
    given.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    callback = app_commands.rename(**names)(app_commands.describe(**about)(given))
    if named := {o.parameter.name: known for o in options if o.is_document}:
        callback = app_commands.autocomplete(**named)(callback)
    if choices := {o.parameter.name: o.choices for o in options if o.choices}:
        callback = app_commands.choices(**choices)(callback)
    return app_commands.Command(
        name=locale_str(declared.name, zh=declared.label[1]),
        description=locale_str(declared.about[0], zh=declared.about[1]),
        callback=callback,
    )


def _looking_back(interaction: Interaction, text: str) -> list[Attachment]:
    """Return what was said here since a time, where the person may read that."""
    since, channel = moment(text, datetime.now(UTC)), interaction.channel
    if since is None or channel is None or not interaction.permissions.read_message_history:
        return []
    name = f"#{getattr(channel, 'name', None) or 'chat'}"
    return [Attachment(name, None, f"channel#{channel.id}/{int(since.timestamp())}")]


def _thread(interaction: Interaction) -> list[Attachment]:
    """Return the thread that somebody is in, where they may read it."""
    thread = interaction.channel
    if not isinstance(thread, discord.Thread) or not interaction.permissions.read_message_history:
        return []
    return [Attachment(thread.name, None, f"thread#{thread.id}")]


@dataclass(frozen=True, slots=True)
class _Option:
    """One option of a native command."""

    parameter: inspect.Parameter
    name: locale_str
    about: locale_str
    is_document: bool
    choices: list[Choice[str]]


def _options(declared: Command, argument: Argument) -> list[_Option]:
    """Return the options of an argument: one, but for several documents, which are one each."""
    required = declared.requires(argument)
    return [
        _Option(
            _parameter(
                name,
                _TYPES.get(argument.kind, str),
                *(() if required and number < 2 else (None,)),
            ),
            locale_str(name, zh=argument.label[1] + name.removeprefix(argument.name)),
            locale_str(argument.about[0], zh=argument.about[1]),
            argument.kind in ("document", "documents"),
            [
                Choice(name=locale_str(each.label[0], zh=each.label[1]), value=each.value)
                for each in argument.choices
            ],
        )
        for number, name in enumerate(_names(argument))
    ]


def _names(argument: Argument) -> list[str]:
    if argument.kind != "documents":
        return [argument.name]
    return [argument.name, *(f"{argument.name}{n}" for n in range(2, _MOST_DOCUMENTS + 1))]


def _parameter(name: str, kind: Any, *default: Any) -> inspect.Parameter:
    annotation = kind | None if default == (None,) else kind
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default[0] if default else inspect.Parameter.empty,
        annotation=annotation,
    )


def _menus(tree: app_commands.CommandTree[Any], buttons: Buttons) -> None:
    for name, chinese, use in (
        ("Summarise", "总结", buttons.summarise),
        ("Ask about this", "就此提问", buttons.ask_about),
        ("Remember this thread", "记住这个子区", buttons.remember),
    ):
        named = locale_str(name, zh=chinese)
        tree.add_command(app_commands.ContextMenu(name=named, callback=use))


async def sync_commands(client: discord.Client, tree: app_commands.CommandTree[Any]) -> bool:
    """Register the tree's commands if Discord's copy differs; return whether it did."""
    translator = Translator()
    await tree.set_translator(translator)
    ours = [
        await command.get_translated_payload(tree, translator) for command in tree.get_commands()
    ]
    for command in ours:
        command.pop("dm_permission")  # `contexts` says it; Discord may leave this one out
    route = discord.http.Route(
        "GET", "/applications/{application_id}/commands", application_id=client.application_id
    )
    theirs = await client.http.request(route, params={"with_localizations": "true"})
    by_name = {(command["name"], command["type"]): command for command in theirs}
    if by_name.keys() == {(command["name"], command["type"]) for command in ours} and all(
        _covers(by_name[command["name"], command["type"]], command) for command in ours
    ):
        return False
    await tree.sync()
    return True


def _covers(theirs: Any, ours: Any) -> bool:
    """Tell whether Discord's copy says all that ours does; it adds ids and leaves out defaults."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return all(_covers(theirs.get(key), value) for key, value in ours.items())
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_covers, theirs, ours))
    return ours == theirs or not (ours or theirs)
