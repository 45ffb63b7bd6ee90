"""Values out of texts: a JSON Schema is filled in part by part, and each value is looked up again.

A model's word is not taken for a value: where the text has it, the value is cited; else it is
marked.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator, SchemaError
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from rag.author import Author, Voice
from rag.citations import Citation, Source
from rag.errors import TeamglmError
from rag.language import Language
from rag.pipeline import Progress
from rag.priority import Priority
from rag.records import Passage
from rag.skill_prompts import extraction_prompt, once_more
from rag.summaries import Text, parts_of, spread

_KEYWORDS = frozenset(
    {
        "type",
        "properties",
        "required",
        "items",
        "enum",
        "title",
        "description",
        "additionalProperties",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "$schema",
        "$id",
    }
)
"""What a schema may say: nothing here is slow to check, refers elsewhere or is a pattern."""
_MOST_FIELDS = 60
_TOKENS = 8
_TRIES = 3
_FIELDS = re.compile(r"\s*[,，、;；\n]\s*")

Json = Any
Scalar = str | int | float | bool | None


class SchemaUnusable(TeamglmError):
    """A JSON Schema that can't be filled in; the text says why."""


class NotExtracted(TeamglmError):
    """The model wrote nothing that fits the schema, as often as it was asked."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value, where in the result it stands and which passage has it."""

    path: tuple[str | int, ...]
    value: Scalar
    citation: Citation | None
    """None where the text doesn't have the value word for word, or it is no word: a boolean."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """What one text has of a schema; `read` of its `of` parts were read."""

    text: Text
    result: Json
    values: tuple[Value, ...]
    read: int
    of: int


class Extraction:
    """Fills in schemas."""

    def __init__(self, author: Author, priority: Priority) -> None:
        self._author = author
        self._priority = priority

    def speaking(self, voice: Voice) -> Extraction:
        """Return the same with another voice."""
        return Extraction(self._author.speaking(voice), self._priority)

    async def stream(
        self, text: Text, schema: dict[str, Any]
    ) -> AsyncGenerator[Progress | Extracted, None]:
        """Yield `Progress`, then what a text has of a schema; raise `NotExtracted`."""
        with self._priority.question():
            parts = await asyncio.to_thread(parts_of, text.passages, self._author)
            chosen = spread(parts, self._author.limits.most_parts)
            finder = Finder(text.passages)
            result: Json = None
            for done, part in enumerate(chosen, 1):
                yield Progress(done, len(chosen))
                found = await self._part(text.name, part, schema)
                result = found if done == 1 else merged(result, found, finder.has)
            values = tuple(
                Value(path, value, None if isinstance(value, bool) else finder.find(value))
                for path, value in leaves(result)
            )
            yield Extracted(text, result, values, len(chosen), len(parts))

    async def _part(self, name: str, part: Sequence[Passage], schema: dict[str, Any]) -> Json:
        whole = "\n".join(passage.text for passage in part)
        language = part[0].language
        messages = extraction_prompt(name, whole, json.dumps(schema, ensure_ascii=False), language)
        return await filled_in(self._author, messages, schema, language)


async def filled_in(
    author: Author, messages: Sequence[BaseMessage], schema: dict[str, Any], language: Language
) -> Json:
    """Return what the model fills a schema in with, asked again where it doesn't fit; raise
    `NotExtracted`."""
    validator = Draft202012Validator(schema)
    asked = list(messages)
    for _ in range(_TRIES):
        written = await author.json(asked, schema, tokens=_TOKENS)
        try:
            result = first_json(written)
        except ValueError:
            problem = "no JSON"
        else:
            error = next(iter(validator.iter_errors(result)), None)
            if error is None:
                return result
            problem = error.message[:200]
        again = HumanMessage(once_more(problem, language))
        asked = [*messages, AIMessage(written[:2000] or "{}"), again]
    raise NotExtracted("The model wrote nothing that fits: name fewer fields, or simpler ones.")


class Finder:
    """Looks values up in a text's passages, as they are written there."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        self._found: dict[Scalar, Citation | None] = {}

    def has(self, value: Scalar) -> bool:
        """Tell whether the text has a value."""
        return self.find(value) is not None

    def find(self, value: Scalar) -> Citation | None:
        """Return the sentence of the first passage that has a value; None if none has."""
        if value not in self._found:
            self._found[value] = self._look(value)
        return self._found[value]

    def _look(self, value: Scalar) -> Citation | None:
        pattern = _written(value)
        if pattern is None:
            return None
        for number, passage in enumerate(self._passages, 1):
            if match := pattern.search(passage.text):
                source = Source(number, passage)
                ends = (n for n, (_, end) in enumerate(source.spans) if end > match.start())
                return source.cite(next(ends, 0))
        return None


def _written(value: Scalar) -> re.Pattern[str] | None:
    """Return what a value looks like in a text; None for what has no words of its own."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        whole, _, fraction = f"{value:f}".rstrip("0").partition(".")
        digits = f"{int(whole):,}".replace(",", r"[,.'\s]?")
        digits += rf"[.,]{fraction}0*" if fraction else r"(?:[.,]0+)?"
        return re.compile(rf"(?<!\d){digits}(?!\d)")
    words = value.split()
    if not words:
        return None
    pattern = r"\s+".join(map(re.escape, words))
    first = r"(?<![0-9A-Za-z])" if words[0][0].isascii() and words[0][0].isalnum() else ""
    last = r"(?![0-9A-Za-z])" if words[-1][-1].isascii() and words[-1][-1].isalnum() else ""
    return re.compile(first + pattern + last, re.IGNORECASE)


def schema_of(wanted: str) -> dict[str, Any]:
    """Return the schema of what somebody wants: field names, or a JSON Schema as such.

    Raise `SchemaUnusable`.
    """
    if not wanted.lstrip().startswith("{"):
        names = list(dict.fromkeys(name for name in _FIELDS.split(wanted.strip()) if name))
        if not names or len(names) > _MOST_FIELDS:
            raise SchemaUnusable(f"Name 1 to {_MOST_FIELDS} fields.")
        fields = {name: {"type": ["string", "null"]} for name in names}
        return {
            "type": "object",
            "properties": fields,
            "required": names,
            "additionalProperties": False,
        }
    try:
        schema = json.loads(wanted)
        _check(schema)  # first, so that no pattern and no reference is looked at
        Draft202012Validator.check_schema(schema)
    except (ValueError, SchemaError, RecursionError) as error:
        # A SchemaError's own text shows the whole schema, however deep.
        why = error.message if isinstance(error, SchemaError) else str(error)
        raise SchemaUnusable(f"That is no JSON Schema: {why[:200]}") from error
    return {key: value for key, value in schema.items() if key not in ("$schema", "$id")}


def _check(schema: object, depth: int = 0) -> None:
    if not isinstance(schema, dict) or "type" not in schema or depth > 4:
        raise SchemaUnusable("Each part of the schema needs a type; at most four are nested.")
    if unknown := schema.keys() - _KEYWORDS:
        raise SchemaUnusable(f"A schema may not say {', '.join(sorted(unknown))} here.")
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        raise SchemaUnusable("The properties of a schema are an object: a schema for each name.")
    if len(properties) > _MOST_FIELDS:
        raise SchemaUnusable(f"Name 1 to {_MOST_FIELDS} fields.")
    for inner in (*properties.values(), *([schema["items"]] if "items" in schema else ())):
        _check(inner, depth + 1)


def first_json(written: str) -> Json:
    """Return the first JSON object or array in a text; raise `ValueError`."""
    starts = [at for at in (written.find("{"), written.find("[")) if at >= 0]
    if not starts:
        raise ValueError("no JSON")
    found, _ = json.JSONDecoder().raw_decode(written, min(starts))
    return found


def merged(first: Json, second: Json, has: Callable[[Scalar], bool]) -> Json:
    """Return two parts' results as one: lists are joined; of two values the first counts that the
    text has."""
    if isinstance(first, dict) and isinstance(second, dict):
        keys = dict.fromkeys([*first, *second])
        return {key: merged(first.get(key), second.get(key), has) for key in keys}
    if isinstance(first, list) and isinstance(second, list):
        return first + [each for each in second if each not in first]
    if first is None or isinstance(first, dict | list) or isinstance(second, dict | list):
        return second if first is None else first
    return second if has(second) and not has(first) else first


def leaves(result: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, Scalar]]:
    """Yield every value of a result with where it stands."""
    if isinstance(result, dict):
        for key, value in result.items():
            yield from leaves(value, (*path, key))
    elif isinstance(result, list):
        for index, value in enumerate(result):
            yield from leaves(value, (*path, index))
    else:
        yield path, result
