"""Whether passages of several documents say the same thing, replace one another, or disagree."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache

from rag.editions import Edition
from rag.keywords import term_id, term_ids, terms
from rag.sentences import sentence_spans

# Of the weight of the shorter sentence, what two that are about one thing have in common.
_ALIKE = 0.4
# Of the weight of the longer one, what two that contradict each other have in common.
_VERY_ALIKE = 0.5
# Of the question's weight, what the newer one has to say to stand for the older one.
_SAYS_AS_MUCH = 0.8
_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*|[一二三四五六七八九十百千两]+(?=[个個天年月日周次元人])")


@dataclass(frozen=True, slots=True)
class Statement:
    """What a passage says about a question: the sentence that shares most with it."""

    document_id: str
    edition: Edition
    words: frozenset[int]
    numbers: frozenset[str]
    covered: float
    """How much of the question's weight the passage and its title have."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What counts of statements; each is named by its place among them."""

    order: Sequence[int]
    """All of them; what is replaced stands right behind what replaces it."""
    replaced: Collection[int]
    disagreeing: Sequence[int]
    """Those that give different answers, where nothing says which of them counts."""


class Agreement:
    """Compares statements about one question, made on one day.

    `rarities` tells how rare the words of the statements are, since common ones make nothing
    alike; it is asked once, and only where two statements might matter to each other.
    """

    def __init__(self, rarities: Callable[[], Mapping[int, float]], today: date) -> None:
        self._rarities = cache(rarities)
        self._today = today

    def settle(self, said: Sequence[Statement]) -> Settlement:
        """Return which of the statements count, the best of which come first."""
        newer = [
            {at for at, new in enumerate(said) if new is not old and self.replaces(new, old)}
            for old in said
        ]
        first, *rest = [at for at in range(len(said)) if not newer[at]] or [0]
        against = [at for at in rest if self.contradicts(said[first], said[at])]
        replaced = {at for at, others in enumerate(newer) if others}
        return Settlement(_newer_first(newer), replaced, [first, *against] if against else [])

    def replaces(self, new: Statement, old: Statement) -> bool:
        """Tell whether the new one is what counts where the old one says something else."""
        return (
            new.edition.newer_than(old.edition, self._today)
            and new.covered >= _SAYS_AS_MUCH * old.covered
            and self._alike(new, old, min) >= _ALIKE
        )

    def contradicts(self, one: Statement, other: Statement) -> bool:
        """Tell whether the two give different numbers, and nothing says which one counts."""
        least, most = sorted((one.covered, other.covered))
        return (
            bool(one.numbers - other.numbers)
            and bool(other.numbers - one.numbers)
            and least >= _SAYS_AS_MUCH * most
            and not one.edition.newer_than(other.edition, self._today)
            and not other.edition.newer_than(one.edition, self._today)
            and self._alike(one, other, max) >= _VERY_ALIKE
        )

    def _alike(
        self, one: Statement, other: Statement, of: Callable[[float, float], float]
    ) -> float:
        """Return the share that two statements have in common of the shorter or the longer."""
        if one.document_id == other.document_id:
            return 0.0
        whole = of(self._weight(one.words), self._weight(other.words))
        return self._weight(one.words & other.words) / whole if whole else 0.0

    def _weight(self, words: frozenset[int]) -> float:
        rarities = self._rarities()
        return sum(rarities.get(word, 0.0) for word in words)


def _newer_first(newer: Sequence[Collection[int]]) -> list[int]:
    """Return places in their order, but each behind one that is newer than it, if there is any."""
    order: list[int] = []
    waiting = list(range(len(newer)))
    while waiting:
        free = (at for at in waiting if not newer[at] or not set(order).isdisjoint(newer[at]))
        order.append(next(free, waiting[0]))
        waiting.remove(order[-1])
    return order


def statement(
    document_id: str,
    text: str,
    title: frozenset[int],
    edition: Edition,
    rarities: Mapping[int, float],
) -> Statement:
    """Return what a passage says about a question, whose terms have these rarities."""
    asked = frozenset(rarities)
    best: frozenset[int] = frozenset()
    sentence, most = "", -1.0
    shared = set(title & asked)
    for said, found, words in _sentences(text):
        here = found & asked
        shared |= here
        weight = sum(rarities[term] for term in here & words)
        if weight > most:
            best, sentence, most = words, said, weight
    covered = sum(rarities[term] for term in shared)
    return Statement(document_id, edition, best, frozenset(_NUMBER.findall(sentence)), covered)


@lru_cache(maxsize=512)
def _sentences(text: str) -> tuple[tuple[str, frozenset[int], frozenset[int]], ...]:
    """Return each sentence of a text with the ids of its terms, and of those that are words."""
    found = []
    for start, end in sentence_spans(text):
        said = text[start:end]
        everything = frozenset(term_ids(said))
        digits = terms(said) if _DIGIT.search(said) else []
        numbers = [term_id(term) for term in digits if term.isdigit()]
        found.append((said, everything, everything.difference(numbers)))
    return tuple(found)
