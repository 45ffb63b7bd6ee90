"""What a command is: its names, what it takes, who sees what comes of it, and how it is typed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bot.messages import Language

Words = tuple[str, str]
"""The same in English and in Chinese."""

Kind = Literal["text", "document", "documents", "link", "file", "choice", "number", "since"]
"""`documents` are several names. `since` is a time: what was said in the channel from then on comes
along as an attachment, which the platform's adapter adds."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One value that an argument may have, and what people call it."""

    value: str
    label: Words


@dataclass(frozen=True, slots=True)
class Argument:
    """Something that a command takes.

    The first of a command and a `link` are the request's text, a `file` its attachment, and all
    others are its options, by name.
    """

    name: str
    kind: Kind
    label: Words
    about: Words
    required: bool = False
    """Without it, or what stands for it (a link, a file), the command can only be refused."""
    choices: tuple[Choice, ...] = ()
    default: str = ""

    def value(self, given: str) -> str | int:
        """Return what is meant by what somebody wrote; as it is where it means nothing here."""
        wanted = given.strip()
        for choice in self.choices:
            if wanted.casefold() in (choice.value, *map(str.casefold, choice.label)):
                return choice.value
        if self.kind == "number" and wanted.isdecimal():
            return int(wanted)
        return wanted

    def allows(self, value: object) -> bool:
        """Tell whether an option may have this value."""
        if self.kind == "choice":
            return value in {choice.value for choice in self.choices}
        return self.kind != "number" or (isinstance(value, int) and value > 0)


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what it is called, what it takes and who sees what comes of it."""

    name: str
    label: Words
    about: Words
    arguments: tuple[Argument, ...] = ()
    handles: str = ""
    """The handler's command where it isn't the name."""
    aliases: tuple[str, ...] = ()
    sees: Literal["place", "person", "choice"] = "place"
    """`choice`: the person alone, unless they choose otherwise."""
    writes: bool = False
    """The chat model writes the answer: it can be stopped, shared and rated."""
    verb: bool = False
    """The command line has it too; what isn't marked has a verb of its own there, or none."""

    @property
    def handler(self) -> str:
        """Return the command of its requests."""
        return self.handles or self.name

    @property
    def lacks(self) -> bool:
        """Tell whether it can do nothing without arguments, so that a form is shown for them."""
        return any(argument.required for argument in self.arguments)

    def requires(self, argument: Argument) -> bool:
        """Tell whether an argument must be filled in: nothing else can stand for it."""
        instead = any(each.kind in ("link", "file") for each in self.arguments[1:])
        return argument.required and not (instead and argument is self.arguments[0])

    @property
    def reads(self) -> bool:
        """Tell whether it reads what is named, sent or linked: a thread will do too."""
        return any(argument.kind == "file" for argument in self.arguments)

    @property
    def looks_back(self) -> bool:
        """Tell whether what was said in the channel comes along."""
        return any(argument.kind == "since" for argument in self.arguments)

    def argument(self, name: str) -> Argument | None:
        """Return the argument of a name, or of a label."""
        wanted = name.casefold()
        for each in self.arguments:
            if wanted in (each.name, *map(str.casefold, each.label)):
                return each
        return None

    def typed(self, line: str) -> tuple[str, dict[str, Any]]:
        """Return the text and the options of a typed line; options are written `name=value`."""
        if not self.arguments:
            return line.strip(), {}
        named: dict[str, str] = {}

        def take(found: re.Match[str]) -> str:
            argument = self.argument(found["name"])
            if argument is None:
                return found[0]
            named[argument.name] = next(v for v in found.group("q", "z", "v") if v is not None)
            return " "

        rest = _OPTION.sub(take, line)
        return self.filled({self.arguments[0].name: rest.strip() or None, **named})

    def filled(self, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the text and the options of arguments that were filled in, by their names."""
        text, options = "", {}
        for number, argument in enumerate(self.arguments):
            given = values.get(argument.name)
            given = argument.default if given in (None, "", []) else given
            if argument.kind == "file" or given == "":
                continue
            if number == 0 or argument.kind == "link":
                text = text or ("\n".join(given) if isinstance(given, list) else str(given))
            else:
                options[argument.name] = argument.value(str(given))
        return text.strip(), options

    def usage(self, language: Language) -> str:
        """Return how it is written: its name and what it takes, in words."""
        zh = language == "zh"
        first = [each.label[zh].upper() for each in self.arguments[:1]]
        more = [f"[{each.name}=…]" for each in self.arguments[1:] if each.kind not in _APART]
        return " ".join([self.name, *first, *more])


_APART = ("link", "file")
_OPTION = re.compile(
    r"(?:(?<=\s)|^)(?P<name>[^\W\d]\w*)\s?[=＝]\s?(?:\"(?P<q>[^\"]*)\"|“(?P<z>[^”]*)”|(?P<v>\S+))"
)
