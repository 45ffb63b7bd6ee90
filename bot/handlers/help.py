"""Say what the bot can do here."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from bot.commands import COMMANDS
from bot.messages import Language, Reply, ReplyEvent, Request
from bot.phrases import say


class Help:
    """Handles `help`: a line for each command, with `options["prefix"]` before its name."""

    command = "help"

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield the list."""
        prefix, zh = request.options.get("prefix", ""), language == "zh"
        lines = [f"- `{prefix}{each.usage(language)}`: {each.about[zh]}" for each in COMMANDS]
        text = "\n\n".join([say(language, "help"), "\n".join(lines)])
        yield Reply("answer", text, language, data=[each.name for each in COMMANDS])
