"""BM25 as sparse vectors: term frequencies on the passage's side, rarity on the question's.

A passage's weights use a fixed average length, so that new documents never make stored vectors
stale; document frequencies come from the database at query time.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

import Stemmer

from rag.language import HAN

_K1 = 0.9
_B = 0.4
_AVERAGE_TERMS = 160
MAX_WEIGHT = _K1 + 1
"""What a term's weight approaches the more often it occurs."""
_RUN = re.compile(rf"(?P<han>[{HAN}]+)|[^\W_{HAN}]+")


def terms(text: str) -> list[str]:
    """Return the terms of a text in order: bigrams of Han runs, stems of other words."""
    stemmer = Stemmer.Stemmer("english")  # not safe to share between threads, cheap to make
    found: list[str] = []
    for match in _RUN.finditer(unicodedata.normalize("NFKC", text).casefold()):
        run = match.group()
        if not match["han"]:
            found.append(stemmer.stemWord(run))
        elif len(run) == 1:
            found.append(run)
        else:
            found.extend(run[i : i + 2] for i in range(len(run) - 1))
    return found


@lru_cache(maxsize=200_000)
def term_id(term: str) -> int:
    """Return the term's dimension in the sparse space: 31 bits of its hash."""
    return int.from_bytes(hashlib.blake2b(term.encode(), digest_size=4).digest(), "big") >> 1


def passage_weights(text: str) -> dict[int, float]:
    """Return the BM25 term-frequency weight of every term of a passage, by dimension."""
    counts = Counter(term_id(term) for term in terms(text))
    norm = _K1 * (1 - _B + _B * counts.total() / _AVERAGE_TERMS)
    return {term: count * (_K1 + 1) / (count + norm) for term, count in counts.items()}


def rarity(frequency: int, passages: int) -> float:
    """Return BM25's idf of a term that occurs in `frequency` of `passages`; always positive."""
    return math.log(1 + (passages - frequency + 0.5) / (frequency + 0.5))


def query_weights(text: str, frequencies: Mapping[int, int], passages: int) -> dict[int, float]:
    """Return the rarity of every distinct term of a question, by dimension."""
    return {
        term: rarity(min(frequencies.get(term, 0), passages), passages)
        for term in {term_id(term) for term in terms(text)}
    }
