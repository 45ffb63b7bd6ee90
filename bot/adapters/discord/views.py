"""What stands on a message of ours in Discord: text, buttons, and a menu of citations.

Buttons carry all that is needed to act on them in their own ids, so that they work after a restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import discord

from bot.adapters.discord.words import word
from bot.messages import Citation, File, Language

_OURS = "teamglm"
_MOST_BUTTONS = 5
_MOST_OPTIONS = 25
_LABEL = 80
_OPTION = 100
_MOST_FILES = 10


@dataclass(frozen=True, slots=True)
class Button:
    """A button; what it does and to what is its id."""

    label: str
    does: str
    about: tuple[str, ...] = ()
    emoji: str | None = None
    danger: bool = False

    @property
    def id(self) -> str:
        """Return the custom id."""
        return "/".join((_OURS, self.does, *self.about))


@dataclass(frozen=True, slots=True)
class Shown:
    """All that one message shows."""

    text: str
    buttons: tuple[Button, ...] = ()
    citations: tuple[Citation, ...] = ()
    """Those that its menu opens."""
    language: Language = "en"
    files: tuple[File, ...] = ()

    def attached(self) -> list[discord.File]:
        """Return the files as Discord takes them, each time anew: sending one reads it."""
        return [
            discord.File(BytesIO(file.content), file.name, description=file.about[:1024] or None)
            for file in self.files[:_MOST_FILES]
        ]


def pressed(custom_id: str) -> tuple[str, tuple[str, ...]] | None:
    """Return what a button or menu does and to what; None for one that isn't ours."""
    first, *rest = custom_id.split("/")
    return (rest[0], tuple(rest[1:])) if first == _OURS and rest else None


def view_of(shown: Shown) -> discord.ui.View | None:
    """Return the buttons and menu as Discord takes them; None where there are none."""
    if not shown.buttons and not shown.citations:
        return None
    view = discord.ui.View(timeout=None)
    if options := _options(shown.citations, shown.language):
        view.add_item(
            discord.ui.Select(
                custom_id=f"{_OURS}/open",
                placeholder=word(shown.language, "sources"),
                options=options,
            )
        )
    for button in shown.buttons[:_MOST_BUTTONS]:
        danger = discord.ButtonStyle.danger if button.danger else discord.ButtonStyle.secondary
        view.add_item(
            discord.ui.Button(
                label=button.label[:_LABEL] or None,
                custom_id=button.id,
                emoji=button.emoji,
                style=danger,
            )
        )
    # What is pressed comes as an event of its own: nothing has to be kept for it in memory.
    view.stop()
    return view


def _options(citations: Sequence[Citation], language: Language) -> list[discord.SelectOption]:
    options: dict[str, discord.SelectOption] = {}
    for citation in citations:
        value = f"{citation.number}:{citation.start}:{citation.end}:{citation.document}"
        if len(value) > _OPTION:  # the end of a path is what tells documents apart
            head = f"{citation.number}:{citation.start}:{citation.end}:"
            value = head + citation.document.rpartition("/")[2]
        if len(value) > _OPTION or len(options) == _MOST_OPTIONS:
            continue
        place = word(language, "page", page=str(citation.page)) if citation.page else ""
        label = " ".join(f"[{citation.number}] {citation.document} {place}".split())
        options.setdefault(
            value,
            discord.SelectOption(
                label=_cut(label),
                value=value,
                description=_cut(" ".join(citation.quote.split())) or None,
            ),
        )
    return list(options.values())


def chosen(value: str) -> tuple[str, int, int]:
    """Return the document, start and end of the citation that was chosen in a menu."""
    _, start, end, document = value.split(":", 3)
    return document, int(start), int(end)


def _cut(text: str) -> str:
    return text if len(text) <= _OPTION else text[: _OPTION - 1] + "…"
