"""What Slack refuses in a message or a view: its documented limits, counted in characters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

POST_LIMIT = 40_000
UPDATE_LIMIT = 4_000
STREAM_LIMIT = 12_000
SESSION_TITLE_LIMIT = 200
BLOCKS_LIMIT = 50
HOME_BLOCKS_LIMIT = 100
MARKDOWN_LIMIT = 12_000
ALL_BLOCKS_LIMIT = 13_000

_LONGEST = {
    ("section", "text"): 3000,
    ("header", "text"): 150,
    ("button", "text"): 75,
    ("modal", "title"): 24,
    ("modal", "submit"): 24,
    ("modal", "close"): 24,
    ("input", "label"): 2000,
    ("input", "hint"): 2000,
    ("plain_text_input", "placeholder"): 150,
    ("external_select", "placeholder"): 150,
    ("context", "elements"): 2000,
}
_MOST = {"actions": 25, "context": 10, "context_actions": 5}


def blocks_problem(blocks: list[dict[str, Any]], most: int = BLOCKS_LIMIT) -> str | None:
    """Return why Slack would refuse blocks; None if it wouldn't."""
    if len(blocks) > most:
        return f"{len(blocks)} blocks"
    markdown = sum(len(block["text"]) for block in blocks if block["type"] == "markdown")
    if markdown > MARKDOWN_LIMIT:
        return f"{markdown} characters of Markdown"
    if most == BLOCKS_LIMIT and (whole := _text_length(blocks)) > ALL_BLOCKS_LIMIT:
        return f"{whole} characters in all blocks"
    return next(_problems(blocks), None)


def view_problem(view: dict[str, Any]) -> str | None:
    """Return why Slack would refuse a view; None if it wouldn't."""
    if len(view.get("private_metadata", "")) > 3000:
        return "private_metadata is too long"
    title = {key: value for key, value in view.items() if key != "blocks"}
    return next(_problems([title]), None) or blocks_problem(view["blocks"], HOME_BLOCKS_LIMIT)


def _text_length(node: Any) -> int:
    if isinstance(node, list):
        return sum(map(_text_length, node))
    if isinstance(node, dict):
        return sum(
            len(value) if key == "text" and isinstance(value, str) else _text_length(value)
            for key, value in node.items()
        )
    return 0


def _problems(nodes: list[Any]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, list):
            yield from _problems(node)
        if not isinstance(node, dict):
            continue
        kind = node.get("type", "")
        if len(node.get("elements", ())) > _MOST.get(kind, 1000):
            yield f"{len(node['elements'])} elements in {kind}"
        for key, value in node.items():
            text = value.get("text") if isinstance(value, dict) else None
            if isinstance(text, str):
                if len(text) > _LONGEST.get((kind, key), 1_000_000):
                    yield f"{key} of a {kind} has {len(text)} characters"
                if not text:
                    yield f"{key} of a {kind} is empty"
        if len(str(node.get("value", ""))) > 2000:
            yield f"a button's value has {len(node['value'])} characters"
        if any(len(str(node.get(key, ""))) > 255 for key in ("action_id", "block_id")):
            yield f"an id of a {kind} is too long"
        ids = [each.get("action_id") for each in node.get("elements", ()) if isinstance(each, dict)]
        ids = [each for each in ids if each is not None]
        if len(set(ids)) < len(ids):
            yield f"two elements of a {kind} have the same action_id"
        if len(node.get("options", ())) > 100:
            yield "too many options"
        yield from _problems([value for value in node.values() if isinstance(value, dict | list)])
