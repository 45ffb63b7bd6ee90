"""Questions that a web API can answer: which tool is asked, with which values, and what it says."""

from __future__ import annotations

import asyncio
import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

from langchain_core.messages import AIMessage, HumanMessage

from rag.audience import Audience
from rag.author import Author, Voice
from rag.extraction import filled_in
from rag.facts import numbers
from rag.fetch import Fetcher
from rag.ingest.pages import fetched
from rag.language import Language
from rag.priority import Priority
from rag.records import Passage
from rag.skill_prompts import choosing_prompt, filling_prompt, once_more
from rag.summaries import Text
from rag.tools import NONE, Tool, Value

_LONG = re.compile(r"\d{3,}")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[,\s](?=\d)")


class Lookup:
    """Chooses among tools with the chat model, held to a JSON Schema, and asks the one chosen."""

    def __init__(
        self,
        tools: Sequence[Tool],
        author: Author,
        priority: Priority,
        fetcher: Fetcher,
        read: Callable[[Path, str], list[Passage]],
        *,
        max_bytes: int,
    ) -> None:
        self._tools = tools
        self._author = author
        self._priority = priority
        self._fetcher = fetcher
        self._read = read
        """Parses and splits what came back; blocking, raises `DocumentError`."""
        self._max_bytes = max_bytes

    def speaking(self, voice: Voice) -> Lookup:
        """Return the same with another voice."""
        other = copy(self)
        other._author = self._author.speaking(voice)
        return other

    def tools(self, audience: Audience) -> list[Tool]:
        """Return the tools whose answers an audience may see."""
        return [tool for tool in self._tools if tool.scope in audience.scopes]

    async def choose(self, question: str, tools: Sequence[Tool], language: Language) -> Tool | None:
        """Return the tool that tells what a question asks, or None; raise `NotExtracted`."""
        named = {tool.name: tool for tool in tools}
        schema = {
            "type": "object",
            "properties": {"tool": {"type": "string", "enum": [*named, NONE]}},
            "required": ["tool"],
            "additionalProperties": False,
        }
        about = {tool.name: tool.about for tool in tools}
        prompt = choosing_prompt(question, about, NONE, language)
        with self._priority.question():
            chosen = await filled_in(self._author, prompt, schema, language)
        return named.get(chosen["tool"])

    async def values(self, question: str, tool: Tool, language: Language) -> Mapping[str, Value]:
        """Return the values that a question gives a tool; raise `NotExtracted`."""
        if not tool.parameters:
            return {}
        schema = json.dumps(tool.schema, ensure_ascii=False)
        prompt = filling_prompt(question, f"{tool.name}: {tool.about}", schema, language)
        with self._priority.question():
            values = await filled_in(self._author, prompt, tool.schema, language)
            if problem := tool.unusable(values):
                told = HumanMessage(once_more(str(problem), language))
                prompt = [*prompt, AIMessage(json.dumps(values, ensure_ascii=False)), told]
                values = await filled_in(self._author, prompt, tool.schema, language)
        return {name: value if is_said(value, question) else None for name, value in values.items()}

    async def ask(self, tool: Tool, address: str) -> Text:
        """Return what a tool says at an address of its own; raise `FetchError`, or why what came
        back can't be read."""
        asked = fetched(
            self._fetcher,
            address,
            self._max_bytes,
            own=tool.own,
            origins=tool.origins,
            headers=tool.headers,
        )
        async with asked as got:
            passages = await asyncio.to_thread(self._read, got.file, got.read_as)
        return Text(address, [replace(passage, document=address) for passage in passages])


def is_said(value: Value, question: str) -> bool:
    """Tell whether a question says the long numbers of a value: nobody else knows them."""
    if value is None or isinstance(value, bool):
        return True
    said = _BETWEEN_DIGITS.sub("", unicodedata.normalize("NFKC", question))
    known = {number.value for number in numbers(said)} | set(_LONG.findall(said))
    return all(found in known for found in _LONG.findall(str(value)))
