"""The verbs of the command line that are made of declared commands."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bot.command import Argument, Command
from bot.messages import Attachment


def declare(parser: argparse.ArgumentParser, command: Command) -> None:
    """Give a verb the arguments of a command; where documents are named, files are too."""
    parser.set_defaults(command=command)
    parser.add_argument("--out", type=Path, default=Path(), help="the folder for files of a reply")
    first, *others = command.arguments
    about = first.about[0]
    if _is_named(first):
        about += "; or files, folders, a web address"
    parser.add_argument(first.name, nargs="*", help=about)
    for argument in others:
        if argument.kind == "file" and not _is_named(first):
            parser.add_argument("--file", nargs="*", default=[], help=argument.about[0])
        elif argument.kind not in ("file", "link", "since"):
            choices = "|".join(each.value for each in argument.choices)
            parser.add_argument(
                f"--{argument.name}", metavar=choices or None, help=argument.about[0]
            )


def given(options: argparse.Namespace) -> tuple[str, dict[str, Any], tuple[Attachment, ...]]:
    """Return the text, the options and the files that a verb was given."""
    command: Command = options.command
    first = command.arguments[0]
    values = dict(vars(options))
    if _is_named(first):
        paths, values[first.name] = _paths(values[first.name])
    else:
        paths, _ = _paths(values.get("file", ()))
        values[first.name] = " ".join(values[first.name])
    text, chosen = command.filled(values)
    files = [Attachment(path.name, path.stat().st_size, str(path)) for path in paths]
    return text, chosen, tuple(files)


def _is_named(argument: Argument) -> bool:
    return argument.kind in ("document", "documents")


def _paths(given: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return the files that are meant, those of folders too, and what names none."""
    files: list[Path] = []
    names = []
    for name in given:
        path = Path(name).absolute()
        if os.path.isfile(path):  # noqa: PTH113 - never raises, however long the name
            files.append(path)
        elif os.path.isdir(path):  # noqa: PTH112 - nor does this
            files += sorted(each for each in path.rglob("*") if each.is_file())
        else:
            names.append(name)
    return files, names
