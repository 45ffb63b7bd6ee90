"""The commands and menus that Discord shows, in English and Chinese."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import discord
from discord import app_commands
from discord.app_commands import Choice, locale_str

from bot.adapters.discord.buttons import Buttons
from bot.adapters.discord.words import COMMANDS
from bot.messages import Attachment

Interaction = discord.Interaction[Any]

WRITTEN = {
    "ask": "/ask",
    "search": "/search",
    "summarise": "/summarise",
    "learn": "/learn",
    "sources": "/sources",
    "forget": "/forget",
    "index": "/reindex",
    "status": "/status",
    "help": "/help",
}
"""How the commands are given here."""


class Translator(app_commands.Translator):
    """Gives Discord the Chinese names and descriptions."""

    async def translate(
        self,
        string: locale_str,
        locale: discord.Locale,
        context: app_commands.TranslationContextTypes,
    ) -> str | None:
        """Return the string in the locale, or None to leave it in English."""
        return COMMANDS.get(string.message) if locale is discord.Locale.chinese else None


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
    _asking(tree, begin)
    _documents(tree, begin, buttons)
    _about(tree, begin)
    _menus(tree, buttons)
    return tree


def _asking(tree: app_commands.CommandTree[Any], begin: Begin) -> None:
    @tree.command(
        name=locale_str("ask"),
        description=locale_str("Ask a question about the team's documents"),
    )
    @app_commands.rename(question=locale_str("question"), public=locale_str("public"))
    @app_commands.describe(
        question=locale_str("What you want to know"),
        public=locale_str("Answer for everybody here, and not only for you"),
    )
    async def ask(interaction: Interaction, question: str, public: bool = False) -> None:
        await begin(interaction, "ask", question, private=not public)

    @tree.command(
        name=locale_str("search"), description=locale_str("Find passages in the documents")
    )
    @app_commands.rename(words=locale_str("words"))
    @app_commands.describe(words=locale_str("What to look for"))
    async def search(interaction: Interaction, words: str) -> None:
        await begin(interaction, "search", words, private=True)


def _documents(tree: app_commands.CommandTree[Any], begin: Begin, buttons: Buttons) -> None:
    async def known(interaction: Interaction, typed: str) -> list[Choice[str]]:
        names = await buttons.suggest(interaction, typed)
        return [Choice(name=name, value=name) for name in names]

    @tree.command(name=locale_str("summarise"), description=locale_str("Summarise a document"))
    @app_commands.rename(
        document=locale_str("document"), file=locale_str("file"), link=locale_str("link")
    )
    @app_commands.describe(
        document=locale_str("A document's name as /sources lists it"),
        file=locale_str("A file to read and summarise"),
        link=locale_str("The address of a page to read and summarise"),
    )
    @app_commands.autocomplete(document=known)
    async def summarise(
        interaction: Interaction,
        document: str | None = None,
        file: discord.Attachment | None = None,
        link: str | None = None,
    ) -> None:
        files = (Attachment(file.filename, file.size, file.url),) if file else ()
        text = document or link or ""
        await begin(interaction, "summarise", text, private=False, files=files)

    @tree.command(
        name=locale_str("learn"), description=locale_str("Learn a web page for this channel")
    )
    @app_commands.rename(link=locale_str("link"))
    @app_commands.describe(link=locale_str("The page's address, beginning with https://"))
    async def learn(interaction: Interaction, link: str) -> None:
        await begin(interaction, "learn", link, private=False)

    @tree.command(
        name=locale_str("forget"),
        description=locale_str("Delete a document from the bot's memory"),
    )
    @app_commands.rename(document=locale_str("document"))
    @app_commands.describe(document=locale_str("A document's name as /sources lists it"))
    @app_commands.autocomplete(document=known)
    async def forget(interaction: Interaction, document: str) -> None:
        await begin(interaction, "forget", document, private=True)


def _about(tree: app_commands.CommandTree[Any], begin: Begin) -> None:
    for name, command, description in (
        ("sources", "sources", "List the documents known here"),
        ("reindex", "index", "Read the watched folders again"),
        ("status", "status", "What the bot knows, its model and its health"),
        ("help", "help", "What the bot can do here"),
    ):
        tree.command(name=locale_str(name), description=locale_str(description))(
            _plain(begin, command)
        )


def _plain(begin: Begin, command: str) -> Callable[[Interaction], Coroutine[Any, Any, None]]:
    """Return a command that has no options."""
    options = {"commands": WRITTEN} if command == "help" else None

    async def give(interaction: Interaction) -> None:
        await begin(interaction, command, "", private=True, options=options)

    return give


def _menus(tree: app_commands.CommandTree[Any], buttons: Buttons) -> None:
    for name, use in (
        ("Summarise", buttons.summarise),
        ("Ask about this", buttons.ask_about),
        ("Remember this thread", buttons.remember),
    ):
        tree.add_command(app_commands.ContextMenu(name=locale_str(name), callback=use))


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
