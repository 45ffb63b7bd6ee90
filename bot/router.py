"""What a plain message wants: a small classifier that learns from `bot/intents.yaml` when it opens.

Meaning comes from the embedding that finds passages anyway, wording from words and cues; a softmax
regression weighs both. It learns in a second, the same each time, and tells in a millisecond.
"""

from __future__ import annotations

import json
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import yaml
from scipy.optimize import minimize
from scipy.sparse import csr_array

from bot.cues import cued, without_lead
from rag.language import simplified

Intent = Literal["question", "summary", "table", "reminder", "small_talk"]
INTENTS: tuple[Intent, ...] = ("question", "summary", "table", "reminder", "small_talk")

_Matrix = npt.NDArray[np.float64]
Embed = Callable[[list[str]], Sequence[Sequence[float]]]

_VERSION = 2
"""Of `wording`: what was learned with another one is learned again."""
_READ = 600
"""Characters of a message that tell what it wants."""
_HASHED = 4096
_SPREAD = 5e-4
"""How far the weights are held together: the more, the less it trusts single words."""
_MEANING = 4.0
_WORDING = 2.0
_CUED = 0.5

_MARKS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (f" {mark} ", re.compile(pattern))
    for mark, pattern in (
        ("xlink", r"https?://[!-~]+"),
        ("xsheet", r"[\w.-]+\.(?:csv|tsv|xlsx?|xlsb|ods)\b"),
        ("xfile", r"[\w.-]+\.(?:pdf|docx?|pptx?|md|txt|html?|epub|odt|odp|rtf|eml|msg)\b"),
        ("xchannel", r"#[a-z][\w-]*"),
        ("xtime", r"\b\d{1,2}(?::\d{2})?\s?(?:am|pm|o'clock)\b|\b\d{1,2}:\d{2}\b"),
        ("xtime", r"[一二两三四五六七八九十\d]{1,3}(?:点半?|时半?)(?!钟?工)"),
        ("xpercent", r"\d+\s?%"),
        ("xnumber", r"\d+"),
    )
)
_HAN = re.compile(r"[\u4e00-\u9fff]")
_TOKEN = re.compile(r"x[a-z]+|[a-z']+|[\u4e00-\u9fff]|[?!]")


def marked(text: str) -> str:
    """Return a message in small letters and simplified characters, with marks for what varies."""
    said = simplified(unicodedata.normalize("NFKC", text[:_READ])).casefold()
    for mark, pattern in _MARKS:
        said = pattern.sub(mark, said)
    return without_lead(said.strip())


def wording(said: str) -> Iterator[str]:
    """Yield what the words of a marked message are known by: words, pairs, where they stand."""
    words = _TOKEN.findall(said)
    if not words:
        yield "<nothing>"
    yield from words
    yield from (f"{one} {other}" for one, other in pairwise(words))
    han = [word for word in words if _HAN.match(word)]
    yield from ("".join(run) for run in zip(han, han[1:], han[2:], strict=False))
    yield from (f"< {word}" for word in words[:1])
    yield from (f"{word} >" for word in words[-1:])
    yield f"<{min(len(words) // 4, 6)}>"


def worded(said: str) -> _Matrix:
    """Return the words of a marked message as one row of length one."""
    row = np.zeros(_HASHED)
    for token in wording(said):
        row[zlib.crc32(token.encode()) % _HASHED] += 1
    row = np.sqrt(row)
    return np.asarray(row / np.linalg.norm(row))


class Router:
    """Tells the intent of a message; `embed` returns what texts mean as questions."""

    def __init__(self, embed: Embed, examples: Mapping[Intent, Sequence[str]]) -> None:
        self._embed = embed
        self._examples = examples
        self._mean: _Matrix = np.zeros(1)
        self._weights: _Matrix = np.zeros((1, len(INTENTS)))

    def learn(self, kept: Path, embedder: str) -> None:
        """Learn from the examples, or read what was learned from them before; blocking.

        `kept` is the file that keeps it for this `embedder`; it can be deleted at any time.
        """
        about = [_VERSION, embedder, _HASHED, _SPREAD, _MEANING, _WORDING, _CUED, self._examples]
        digest = sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        if kept.is_file():
            with suppress(OSError, ValueError, KeyError), np.load(kept, allow_pickle=False) as old:
                if str(old["digest"]) == digest:
                    self._mean, self._weights = old["mean"], old["weights"]
                    return
        self._learn()
        with suppress(OSError):  # it is learned again next time
            np.savez(kept, digest=digest, mean=self._mean, weights=self._weights)

    def _learn(self) -> None:
        texts = [text for intent in INTENTS for text in self._examples[intent]]
        truth = np.repeat(range(len(INTENTS)), [len(self._examples[each]) for each in INTENTS])
        meant = np.array(self._embed(texts), np.float64)
        self._mean = meant.mean(axis=0)
        rows = np.stack([self._row(*each) for each in zip(meant, texts, strict=True)])
        self._weights = fitted(rows, truth)

    def tell(self, text: str) -> dict[Intent, float]:
        """Return how likely each intent is, the likeliest first; blocking."""
        row = self._row(np.asarray(self._embed([text])[0], np.float64), text)
        shares = softmax(row[None] @ self._weights)[0]
        order = np.argsort(-shares)
        return {INTENTS[at]: float(shares[at]) for at in order}

    def _row(self, meant: _Matrix, text: str) -> _Matrix:
        meaning = meant - self._mean
        meaning = meaning / max(float(np.linalg.norm(meaning)), 1e-9)
        said = marked(text)
        cues = np.array([*cued(said), 1 / _CUED])  # the last is the same for all
        return np.concatenate([_MEANING * meaning, _CUED * cues, _WORDING * worded(said)])


def examples() -> dict[Intent, list[str]]:
    """Return the messages that come with the bot, by what they want."""
    known = yaml.safe_load(files("bot").joinpath("intents.yaml").read_text(encoding="utf-8"))
    return {intent: [str(text) for text in known[intent]] for intent in INTENTS}


def softmax(scores: _Matrix) -> _Matrix:
    """Return shares that sum to one, row by row."""
    grown = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def fitted(rows: _Matrix, truth: npt.NDArray[np.intp], spread: float = _SPREAD) -> _Matrix:
    """Return the weights of a softmax regression; each intent weighs the same in all."""
    kinds = len(INTENTS)
    wanted = np.eye(kinds)[truth]
    counts = np.bincount(truth, minlength=kinds)
    weight = (len(truth) / kinds / np.maximum(counts, 1))[truth][:, None]
    full, words = rows[:, :-_HASHED], csr_array(rows[:, -_HASHED:])  # most words aren't said

    def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        weights = flat.reshape(rows.shape[1], kinds)
        shares = softmax(full @ weights[:-_HASHED] + words @ weights[-_HASHED:])
        miss = -(weight * wanted * np.log(np.maximum(shares, 1e-12))).sum() / len(truth)
        off = weight * (shares - wanted) / len(truth)
        slope = np.concatenate([full.T @ off, words.T @ off]) + 2 * spread * weights
        return float(miss + spread * (weights**2).sum()), slope.ravel()

    start = np.zeros(rows.shape[1] * kinds)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return np.asarray(found.x).reshape(rows.shape[1], kinds)
