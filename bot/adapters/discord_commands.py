"""The slash commands that Discord shows, in English and Chinese."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import discord
from discord import app_commands
from discord.app_commands import locale_str

Answer = Callable[[discord.Interaction, str, str, discord.Attachment | None], Awaitable[None]]
"""Answers an interaction: the command's name, its text, its file."""

_CHINESE = {
    "ask": "提问",
    "Ask a question about the team's documents": "就团队的文档提问",
    "question": "问题",
    "What you want to know": "你想知道的内容",
    "summarise": "总结",
    "Summarise a document": "总结一份文档",
    "document": "文档",
    "A document's name as /sources lists it": "/sources 列出的文档名称",
    "file": "文件",
    "A file to read and summarise": "要阅读并总结的文件",
    "sources": "资料",
    "List the documents known here": "列出这里已知的文档",
    "forget": "忘记",
    "Delete a document from the bot's memory": "让机器人忘记一份文档",
}


class Translator(app_commands.Translator):
    """Gives Discord the Chinese names and descriptions."""

    async def translate(
        self,
        string: locale_str,
        locale: discord.Locale,
        context: app_commands.TranslationContextTypes,
    ) -> str | None:
        """Return the string in the locale, or None to leave it in English."""
        return _CHINESE.get(string.message) if locale is discord.Locale.chinese else None


def command_tree(client: discord.Client, answer: Answer) -> app_commands.CommandTree[Any]:
    """Return the tree of every command; each hands over to `answer`."""
    tree = app_commands.CommandTree(
        client,
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True),
        allowed_installs=app_commands.AppInstallationType(guild=True),
    )

    @tree.command(
        name=locale_str("ask"),
        description=locale_str("Ask a question about the team's documents"),
    )
    @app_commands.rename(question=locale_str("question"))
    @app_commands.describe(question=locale_str("What you want to know"))
    async def ask(interaction: discord.Interaction, question: str) -> None:
        await answer(interaction, "ask", question, None)

    @tree.command(name=locale_str("summarise"), description=locale_str("Summarise a document"))
    @app_commands.rename(document=locale_str("document"), file=locale_str("file"))
    @app_commands.describe(
        document=locale_str("A document's name as /sources lists it"),
        file=locale_str("A file to read and summarise"),
    )
    async def summarise(
        interaction: discord.Interaction,
        document: str | None = None,
        file: discord.Attachment | None = None,
    ) -> None:
        await answer(interaction, "summarise", document or "", file)

    @tree.command(
        name=locale_str("sources"), description=locale_str("List the documents known here")
    )
    async def sources(interaction: discord.Interaction) -> None:
        await answer(interaction, "sources", "", None)

    @tree.command(
        name=locale_str("forget"),
        description=locale_str("Delete a document from the bot's memory"),
    )
    @app_commands.rename(document=locale_str("document"))
    @app_commands.describe(document=locale_str("A document's name as /sources lists it"))
    async def forget(interaction: discord.Interaction, document: str) -> None:
        await answer(interaction, "forget", document, None)

    return tree


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
    by_name = {command["name"]: command for command in theirs}
    if by_name.keys() == {command["name"] for command in ours} and all(
        _covers(by_name[command["name"]], command) for command in ours
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
