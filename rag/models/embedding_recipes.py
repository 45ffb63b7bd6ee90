"""How known embedding models want to be used, where their folders don't say it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Pooling = Literal["mean", "cls", "max", "lasttoken"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How tokens become one vector, and what stands before a question and a passage."""

    pooling: Pooling = "mean"
    query: str = ""
    passage: str = ""


# text2vec, m3e and ernie-3.0 are used without prefixes and with the mean, like any unknown model.
_RECIPES = (
    (
        r"\be5-.*instruct",
        Recipe(
            "mean",
            "Instruct: Given a web search query, retrieve relevant passages that answer the query\n"
            "Query: ",
        ),
    ),
    (r"\be5-", Recipe("mean", "query: ", "passage: ")),
    (r"\bbge-(small|base|large)-zh", Recipe("cls", "为这个句子生成表示以用于检索相关文章：")),
    (
        r"\bbge-(small|base|large)-en",
        Recipe("cls", "Represent this sentence for searching relevant passages: "),
    ),
    (r"\bbge-", Recipe("cls")),
)


def recipe_for(names: Iterable[str]) -> Recipe:
    """Return the recipe of a model by the names it goes by, the most usual one if none is known."""
    for name in names:
        for pattern, recipe in _RECIPES:
            if re.search(pattern, name.lower()):
                return recipe
    return Recipe()
