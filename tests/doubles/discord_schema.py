"""Discord's published OpenAPI description as a judge, where it is at hand."""

from __future__ import annotations

import json
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

DOCUMENT = Path(__file__).parents[3] / "shared" / "schemas" / "discord_openapi.json"
Json = dict[str, Any]


@cache
def document() -> Json | None:
    """Return the description, or None where this machine doesn't have it."""
    if not DOCUMENT.exists():
        return None
    loaded: Json = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    return loaded


def fault_of_request(method: str, path: str, body: Any) -> str | None:
    """Return what is wrong with a call's body, or with there being no such call."""
    if document() is None:
        return None
    for pattern, methods in _operations():
        if pattern.fullmatch(path) and method.lower() in methods:
            schema = methods[method.lower()]
            return None if schema is None else _fault(schema, json.dumps(_with_snowflakes(body)))
    return f"there is no {method} {path}"


def fault_of(name: str, payload: Any) -> str | None:
    """Return what is wrong with a payload that should be a component such as `MessageResponse`."""
    if document() is None:
        return None
    schema = {"$ref": f"#/components/schemas/{name}"}
    return _fault(json.dumps(schema), json.dumps(payload))


def _with_snowflakes(value: Any) -> Any:
    """Return a body with its ids as strings; Discord takes the numbers of its libraries too."""
    if isinstance(value, list):
        return [_with_snowflakes(each) for each in value]
    if not isinstance(value, dict):
        return value
    of_file = "filename" in value
    return {
        key: str(each)
        if isinstance(each, int) and (key.endswith("_id") or (key == "id" and of_file))
        else _with_snowflakes(each)
        for key, each in value.items()
    }


@cache
def _operations() -> list[tuple[re.Pattern[str], dict[str, str | None]]]:
    found = []
    loaded = document() or {"paths": {}}
    for template, methods in loaded["paths"].items():
        bodies: dict[str, str | None] = {}
        for method, operation in methods.items():
            if method != "parameters":
                content = operation.get("requestBody", {}).get("content", {})
                schema = content.get("application/json", {}).get("schema")
                bodies[method] = None if schema is None else json.dumps(schema)
        pattern = re.sub(r"\\{\w+\\}|\{\w+\}", "[^/]+", re.escape(template).replace(r"\@", "@"))
        found.append((re.compile(pattern), bodies))
    # The most literal first: `messages/@original` before `messages/{message_id}`.
    return sorted(found, key=lambda each: each[0].pattern.count("[^/]+"))


@cache
def _validator(schema: str) -> Validator:
    known = document() or {}
    return Draft202012Validator({**json.loads(schema), "components": known["components"]})


@lru_cache(maxsize=1024)
def _fault(schema: str, payload: str) -> str | None:
    error = next(iter(_validator(schema).iter_errors(json.loads(payload))), None)
    if error is None:
        return None
    deepest = max(_leaves(error), key=lambda each: len(each.absolute_path))
    place = "/".join(map(str, deepest.absolute_path))
    return f"{place}: {deepest.message}"[:600]


def _leaves(error: Any) -> list[Any]:
    return [leaf for each in error.context or () for leaf in _leaves(each)] or [error]
