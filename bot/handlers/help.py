"""Say what the bot can do here."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from bot.messages import Language, Reply, ReplyEvent, Request
from bot.phrases import PHRASES, say


class Help:
    """Handles `help`: a line for each command that people give.

    `options["commands"]` maps the commands of a platform to how they are written there; without it
    every command is listed under its own name.
    """

    command = "help"

    def __init__(self, commands: Sequence[str]) -> None:
        self._commands = [*commands, self.command]

    def uses_chat_model(self, request: Request) -> bool:
        """Return False."""
        return False

    async def handle(
        self, request: Request, language: Language
    ) -> AsyncGenerator[ReplyEvent, None]:
        """Yield the list."""
        written = request.options.get("commands") or {name: name for name in self._commands}
        lines = [
            f"`{written[name]}`: {say(language, f'help_{name}')}"
            for name in self._commands
            if name in written and f"help_{name}" in PHRASES
        ]
        text = "\n\n".join([say(language, "help"), "\n".join(f"- {line}" for line in lines)])
        yield Reply("answer", text, language, data=[*written])
