"""Templates of texts: those that ship with the bot, and files that a team adds in a folder."""

from __future__ import annotations

from pathlib import Path

from bot.messages import Language

_SHIPPED = Path(__file__).with_name("templates")
_SUFFIXES = (".md", ".txt")
_LONGEST = 4000


class Templates:
    """Templates by name; `NAME.zh.md` is the Chinese one of `NAME.md`, and the team's go first.

    Files are looked up each time, so that one that is added works at once.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folders = [folder, _SHIPPED] if folder else [_SHIPPED]

    def names(self) -> list[str]:
        """Return the names of all templates; blocking."""
        found = {
            file.name.split(".")[0]
            for folder in self._folders
            if folder.is_dir()
            for file in folder.iterdir()
            if file.suffix in _SUFFIXES
        }
        return sorted(found)

    def text(self, name: str, language: Language) -> str | None:
        """Return a template in the language where there is one in it; None for none of that name.

        Blocking; raise `OSError` or `UnicodeError` for a file that can't be read.
        """
        if name not in self.names():  # which also keeps paths out
            return None
        for folder in self._folders:
            for stem in (f"{name}.{language}", name):
                for suffix in _SUFFIXES:
                    file = folder / f"{stem}{suffix}"
                    if file.is_file():
                        return file.read_text(encoding="utf-8")[:_LONGEST].strip()
        return None
