"""Read-only HTTP tools: an address with places for values, and what may stand in them.

The host is fixed text. A value is percent-encoded and stays where its place is: in one segment of
the path, or in one value of the query.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal
from urllib.parse import quote

import httpx

from rag.errors import TeamglmError
from rag.fetch import FetchError, check_address, origin

Kind = Literal["string", "integer", "number", "boolean"]
NONE = "none"
"""What the model chooses where no tool fits; no tool may be called so."""
Value = str | int | float | bool | None

_ADDRESS = re.compile(
    r"(?P<host>https?://[^/?#{}\\\s]+)(?P<path>/[^?#\s]*)?(?:\?(?P<query>[^#\s]*))?", re.I
)
_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LONGEST = 200
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "upgrade"}
)
"""Headers that belong to how a request is made."""


class ToolUnusable(ValueError):
    """A declaration that can't be meant; the text says why."""


class ValueUnusable(TeamglmError):
    """A value that may not stand in a tool's address, or that is lacking: `parameter` is its
    name."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(f"{parameter}: {detail}")
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a tool has to be told: what it means, and what it may be."""

    about: str
    type: Kind = "string"
    choices: tuple[Value, ...] = ()
    pattern: str | None = None
    required: bool = True

    @property
    def schema(self) -> dict[str, Any]:
        """Return its JSON Schema; null is what the question doesn't say."""
        # Words, since not every server that is held to a schema knows every pattern.
        about = f"{self.about}; fits {self.pattern}" if self.pattern else self.about
        about += "" if self.required else "; null if the question doesn't say it"
        schema: dict[str, Any] = {"type": [self.type, "null"], "description": about}
        return schema | ({"enum": [*self.choices, None]} if self.choices else {})

    def written(self, name: str, value: Value) -> str | None:
        """Return a value as text, None for none; raise `ValueUnusable`."""
        if value is None or (isinstance(value, str) and not value.strip()):
            if self.required:
                raise ValueUnusable(name, "nothing says it")
            return None
        if self.choices and value not in self.choices:
            raise ValueUnusable(name, "it is none of the choices")
        text = str(value).lower() if isinstance(value, bool) else str(value).strip()
        if len(text) > _LONGEST or not text.isprintable():
            raise ValueUnusable(name, "it is too long, or has characters that nobody sees")
        if self.pattern is not None and not re.fullmatch(self.pattern, text):
            raise ValueUnusable(name, f"{text!r} doesn't fit {self.pattern}")
        return text


@dataclass(frozen=True)
class Tool:
    """A tool as it is declared; `hosts` are those that it may ask. Raise `ToolUnusable`."""

    name: str
    about: str
    url: str
    hosts: Collection[str]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent along, and never shown."""
    scope: str = "public"
    private: bool = False
    """It may be http, and on a host inside a private network."""

    def __post_init__(self) -> None:
        parts = _ADDRESS.fullmatch(self.url)
        if parts is None:
            raise ToolUnusable(
                "its url must be an address whose host is fixed text: parameters may stand in the "
                "path and the query only"
            )
        try:
            check_address(_PLACE.sub("x", self.url), own=self.own)
        except (FetchError, httpx.InvalidURL) as error:
            raise ToolUnusable(f"its url can't be asked: {error}") from error
        if self.host not in self.hosts:
            raise ToolUnusable(f"its host {self.host} is not in the list of hosts")
        names = _PLACE.findall(self.url)
        if "{" in (rest := _PLACE.sub("", self.url)) or "}" in rest:
            raise ToolUnusable("its url has a brace that belongs to no parameter")
        if unlike := set(names) ^ self.parameters.keys():
            raise ToolUnusable(f"its url and its parameters differ in {', '.join(sorted(unlike))}")
        if any(_PLACE.search(key) for key, _ in self._pairs):
            raise ToolUnusable("a parameter may stand only behind the = of its query")
        for name in _PLACE.findall(self._path):
            if not self.parameters[name].required:
                raise ToolUnusable(f"its parameter {name} is in the path and must be required")
        for name, value in self.headers.items():
            if not _NAME.fullmatch(name) or name.lower() in _OURS:
                raise ToolUnusable(f"a header may not be called {name!r}")
            if not (value.isascii() and value.isprintable()):
                raise ToolUnusable(f"its header {name} has characters that no header may have")

    @cached_property
    def host(self) -> str:
        """Return its host, with a port that doesn't go without saying."""
        return origin(self._parts["host"]).partition("://")[2]

    @property
    def own(self) -> frozenset[str]:
        """Return the origins that may be asked although they are private."""
        return frozenset({origin(self._parts["host"])} if self.private else ())

    @property
    def origins(self) -> frozenset[str]:
        """Return the origins that may be asked."""
        return frozenset(f"https://{host}" for host in self.hosts)

    @property
    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of its values."""
        return {
            "type": "object",
            "properties": {name: each.schema for name, each in self.parameters.items()},
            "required": list(self.parameters),
            "additionalProperties": False,
        }

    def unusable(self, values: Mapping[str, Value]) -> ValueUnusable | None:
        """Return what is wrong with a value that is given, if anything is."""
        try:
            for name, each in self.parameters.items():
                if values.get(name) is not None:
                    each.written(name, values[name])
        except ValueUnusable as error:
            return error
        return None

    def address(self, values: Mapping[str, Value]) -> str:
        """Return the address with the values in their places; raise `ValueUnusable`."""
        written = {
            name: each.written(name, values.get(name)) for name, each in self.parameters.items()
        }
        segments = [self._segment(segment, written) for segment in self._path.split("/")]
        pairs = []
        for key, template in self._pairs:
            names = _PLACE.findall(template)
            if any(written[name] is None for name in names):
                continue  # an optional one that nothing says
            equals = "=" if template or names else ""
            pairs.append(key + equals + _PLACE.sub(lambda m: _encoded(m[1], written), template))
        query = f"?{'&'.join(pairs)}" if pairs else ""
        return self._parts["host"] + "/".join(segments) + query

    def _segment(self, template: str, written: Mapping[str, str | None]) -> str:
        names = _PLACE.findall(template)
        for name in names:
            # What a server may undo once more, and read as another path.
            if re.search(r"[/\\%]", written[name] or ""):
                raise ValueUnusable(name, "it may not have / \\ or %")
        segment = _PLACE.sub(lambda m: _encoded(m[1], written), template)
        if names and segment in (".", ".."):
            raise ValueUnusable(names[0], "it may not lead to another path")
        return segment

    @cached_property
    def _parts(self) -> Mapping[str, str]:
        parts = _ADDRESS.fullmatch(self.url)
        return {name: text or "" for name, text in (parts.groupdict() if parts else {}).items()}

    @property
    def _path(self) -> str:
        return self._parts["path"]

    @property
    def _pairs(self) -> list[tuple[str, str]]:
        pairs = [pair.partition("=") for pair in self._parts["query"].split("&") if pair]
        return [(key, value) for key, _, value in pairs]


def host_of(text: str) -> str:
    """Return a host of the list as tools name theirs; raise `ToolUnusable`."""
    try:
        url = check_address(f"https://{text}")
    except FetchError as error:
        raise ToolUnusable(f"{text!r} is no host: write status.example.com or …:8443") from error
    if re.search(r"[/?#\\]", text):
        raise ToolUnusable(f"{text!r} is no host: write status.example.com or …:8443")
    return origin(url).partition("://")[2]


def _encoded(name: str, written: Mapping[str, str | None]) -> str:
    return quote(written[name] or "", safe="")
