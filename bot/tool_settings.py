"""The settings of read-only HTTP tools; as shipped there are none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, PositiveInt, SecretStr, field_validator, model_validator

from bot.model_settings import Section
from bot.source_settings import Scoped
from rag.tools import NONE, Kind, Parameter, Tool, host_of

_NAME = re.compile(r"\w[\w-]{0,31}")
_VARIABLE = re.compile(r"\$([A-Z][A-Z0-9_]*)")


class ParameterSettings(Section):
    """What a tool has to be told, taken from the question."""

    about: str = Field(min_length=1)
    type: Kind = "string"
    choices: tuple[str | int | float, ...] = ()
    pattern: str | None = None
    required: bool = True

    @field_validator("pattern")
    @classmethod
    def _known_pattern(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression") from error
        return pattern


class ToolSettings(Scoped):
    """A tool: what it tells, and the address that is asked."""

    about: str = Field(min_length=1)
    url: str
    parameters: Mapping[str, ParameterSettings] = {}
    headers: Mapping[str, str] = {}
    """Values may name variables of the environment, as `Bearer $STATUS_TOKEN`."""
    private: bool = False


class ToolsSettings(Section):
    """The tools, and the hosts that they may ask."""

    hosts: tuple[str, ...] = ()
    timeout_seconds: float = Field(15, gt=0, le=120)
    max_kilobytes: PositiveInt = 512
    declared: Mapping[str, ToolSettings] = {}

    @field_validator("hosts")
    @classmethod
    def _known_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(host_of, hosts))

    @model_validator(mode="after")
    def _askable(self) -> Self:
        for name in self.declared:
            if not _NAME.fullmatch(name) or name.casefold() == NONE:
                raise ValueError(f"a tool may not be called {name!r}")
            self.tool(name, {})
        return self

    def tool(self, name: str, variables: Mapping[str, SecretStr]) -> Tool:
        """Return a tool with the environment's variables in its headers; raise `ValueError`."""
        said = self.declared[name]

        def value(variable: re.Match[str]) -> str:
            secret = variables.get(variable[1])
            return secret.get_secret_value() if secret else variable[0]

        try:
            return Tool(
                name,
                said.about,
                said.url,
                frozenset(self.hosts),
                {each: Parameter(**dict(given)) for each, given in said.parameters.items()},
                {each: _VARIABLE.sub(value, text) for each, text in said.headers.items()},
                said.scope,
                said.private,
            )
        except ValueError as error:
            raise ValueError(f"the tool {name} is no good: {error}") from error


def variables(tools: object) -> set[str]:
    """Return the variables that the headers of a section's tools name, before it is checked."""
    declared = tools.get("declared") if isinstance(tools, dict) else None
    each: list[Any] = list(declared.values()) if isinstance(declared, dict) else []
    headers = [one.get("headers") for one in each if isinstance(one, dict)]
    values = [text for one in headers if isinstance(one, dict) for text in one.values()]
    return {name for text in values for name in _VARIABLE.findall(str(text))}
