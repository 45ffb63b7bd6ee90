"""BM25 as sparse vectors: term frequencies on the passage's side, rarity on the question's.

A passage's weights use a fixed average length, so that new documents never make stored vectors
stale; document frequencies come from the database at query time.
"""

from __future__ import annotations

import hashlib
import math
import re
import threading
import unicodedata
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt
import Stemmer

from rag.language import HAN, simplified

_Ids = npt.NDArray[np.uint32]
_Numbers = npt.NDArray[np.float64]

VERSION = "2"
"""Changes when a text has other terms than before: then what is stored is indexed again."""
_K1 = 0.9
_B = 0.4
_AVERAGE_TERMS = 160
MAX_WEIGHT = _K1 + 1
"""What a term's weight approaches the more often it occurs."""
_RUN = re.compile(rf"[{HAN}]+|[^\W_{HAN}]+")
_APART = {code: " " for code in range(128) if not chr(code).isalnum()}
_IS_HAN = re.compile(rf"[{HAN}]")


def terms(text: str) -> list[str]:
    """Return the terms of a text in order: bigrams of Han runs, stems of other words.

    Traditional and simplified characters, full and half width, great and small letters are alike.
    """
    if text.isascii():
        return list(map(_stem, _ascii_words(text)))
    found: list[str] = []
    for run in _RUN.findall(simplified(unicodedata.normalize("NFKC", text)).casefold()):
        if not _IS_HAN.match(run):
            found.append(_stem(run))
        elif len(run) == 1:
            found.append(run)
        else:
            found.extend(map(add, run, run[1:]))
    return found


def term_ids(text: str) -> list[int]:
    """Return the dimensions of the terms of a text, in order."""
    if text.isascii():  # as most passages in English: a word is looked up once, not twice
        return list(map(_stem_id, _ascii_words(text)))
    return list(map(term_id, terms(text)))


def _ascii_words(text: str) -> list[str]:
    return text.lower().translate(_APART).split()


@lru_cache(maxsize=200_000)
def _stem_id(word: str) -> int:
    return term_id(_stem(word))


@lru_cache(maxsize=200_000)
def _stem(word: str) -> str:
    # A stemmer isn't safe to share between threads, and cheap to make.
    return str(Stemmer.Stemmer("english").stemWord(word))


@lru_cache(maxsize=200_000)
def term_id(term: str) -> int:
    """Return the term's dimension in the sparse space: 31 bits of its hash."""
    return int.from_bytes(hashlib.blake2b(term.encode(), digest_size=4).digest(), "big") >> 1


def passage_weights(text: str) -> dict[int, float]:
    """Return the BM25 term-frequency weight of every term of a passage, by dimension."""
    counts = Counter(term_ids(text))
    often = np.fromiter(counts.values(), np.float64, len(counts))
    return dict(zip(counts, _weights(often, often.sum()).tolist(), strict=True))


def _weights(often: npt.NDArray[Any], of: npt.NDArray[Any]) -> _Numbers:
    """Return what terms weigh that occur so often in passages of so many terms."""
    return often * (_K1 + 1) / (often + _K1 * (1 - _B + _B * of / _AVERAGE_TERMS))


class Scores:
    """Scores passages by their keywords; safe from any thread.

    The terms of the passages that were scored last are kept, in about a kilobyte each.
    """

    def __init__(self, kept: int = 4096) -> None:
        self._kept = kept
        self._known: OrderedDict[str, _Ids] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, passages: Iterable[tuple[str, str]], rarities: Mapping[int, float]) -> _Numbers:
        """Return the BM25 scores of passages, each a text and an id that no other text has."""
        wanted = np.fromiter(rarities.keys(), np.uint32)
        rare = np.fromiter(rarities.values(), np.float64)
        found = [self._terms_of(row_id, text) for row_id, text in passages]
        lengths = np.array([len(ids) for ids in found], np.intp)
        whose = np.repeat(np.arange(len(found)), lengths)
        which, where = np.nonzero(np.concatenate([*found, wanted[:0]]) == wanted[:, np.newaxis])
        places = whose[where] * len(wanted) + which
        often = np.bincount(places, minlength=len(found) * len(wanted))
        shape = len(found), len(wanted)
        return _weights(often.reshape(shape), lengths[:, np.newaxis]) @ rare

    def _terms_of(self, row_id: str, text: str) -> _Ids:
        with self._lock:
            if row_id in self._known:
                self._known.move_to_end(row_id)
                return self._known[row_id]
        ids = np.array(term_ids(text), np.uint32)
        with self._lock:
            self._known[row_id] = ids
            if len(self._known) > self._kept:
                self._known.popitem(last=False)
        return ids


def rarity(frequency: int, passages: int) -> float:
    """Return BM25's idf of a term that occurs in `frequency` of `passages`; always positive."""
    return math.log(1 + (passages - frequency + 0.5) / (frequency + 0.5))


def query_weights(text: str, frequencies: Mapping[int, int], passages: int) -> dict[int, float]:
    """Return the rarity of every distinct term of a question, by dimension."""
    return {
        term: rarity(min(frequencies.get(term, 0), passages), passages)
        for term in set(term_ids(text))
    }
