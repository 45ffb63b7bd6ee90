"""Whether the sources say what a sentence of an answer says, and which of them does.

Decided from the texts, after the model wrote the sentence and before anybody sees it: its numbers,
names and negation have to stand in what it cites, and so have its weighty words that the question
didn't bring. Across languages meaning replaces the words.
"""

from __future__ import annotations

import re
import statistics
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from langchain_core.embeddings import Embeddings

from rag.citations import Citation, Source
from rag.facts import Number, counts, names, negated, numbers
from rag.keywords import term_id, terms
from rag.language import HAN, language_of

# Of a sentence's weighty words that the question didn't have, the share that a source must have.
_ENOUGH_WORDS = 0.6
# A sentence that only says the question again is proven by a source that says all of it.
_ENOUGH_ECHO = 0.75
# Of the question's words that a sentence repeats, the share that its passages must have anywhere:
# with fewer they are about something else.
_ENOUGH_REPEATED = 0.4
# Across languages: how many standard deviations a source's sentence has to be nearer than usual.
_ENOUGH_MEANING = 1.0
# With fewer sentences to compare with, nothing is usual.
_FEWEST = 5
# Words in a row that no source has are made up; of Chinese, a word is two of the pairs in `terms`.
_MADE_UP = 1.5
_PAIR = 0.5
# So many words of a clause make it the one that a sentence repeats.
_REPEATED = 2
# Of several passages that support a sentence together, the share of its words that each must have.
_EACH = 0.4
# Shorter numbers in a document's name say nothing about what is in it; a year does.
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)")

_EMPTY_WORDS = (
    "a about according after all also an and answer any are as at be been being below but by can "
    "every per up "
    "could did do document does each either following for from given had has have he her here his "
    "how i if in indicate information into is it its may mention must no not of on one only or "
    "other our out please provide provided question refer said say see she should so some source "
    "state step sure such than that the their them then there these they this those to under was "
    "we were what when where which while who whom whose why will with would yes you your"
)
_EMPTY_HAN = re.compile(
    "根据|根據|资料|資料|来源|來源|文档|文檔|文件|提到|提及|以下|如下|回答|答案|问题|問題|可以|需要|应该|應該"
    "|因此|所以|但是|如果|因为|因為|没有|沒有|我们|我們|他们|他們|您好|什么|什麼|怎么|怎麼|多少|哪些"
    "|[的了是在和与與及或也都就被把由对對从從到之其这這那]"
)
# What stands before an item of a list.
_MARK = re.compile(r"^\s*(?:\d{1,2}(?:[.)]\s|、)|[-*•]\s)")
_CLAUSE = re.compile(r"[,;:，；、：]|\b(?:but|while|whereas|although)\b|但|而")


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a sentence: it claims nothing, it is cited, or it is to be withheld."""

    citations: tuple[Citation, ...] = ()
    support: float = 0.0
    """How much of it the cited sources say, from 0 to 1."""
    claims: bool = True

    @property
    def supported(self) -> bool:
        """Whether it may be shown as proven."""
        return bool(self.citations)


class _Window:
    """One sentence of a source, or two that follow each other, with what the source is called."""

    def __init__(self, source: Source, first: int, last: int) -> None:
        self.source, self.first, self.last = source, first, last
        passage = source.passage
        self.text = passage.text[source.spans[first][0] : source.spans[last][1]]
        self.called = f"{passage.document} {passage.section or ''}"
        own = source.terms[first : last + 1]
        self.terms = frozenset(map(term_id, terms(self.called))).union(*own)
        self.named = unicodedata.normalize("NFKC", f"{self.called} {self.text}").casefold()
        self.language = passage.language

    @cached_property
    def plain(self) -> str:
        return _plain(self.text)

    @cached_property
    def passage_terms(self) -> frozenset[int]:
        return self.terms.union(*self.source.terms)

    @cached_property
    def numbers(self) -> list[Number]:
        years = " ".join(_YEAR.findall(self.called))
        return numbers(f"{self.text} {years}")

    def has_name(self, name: str) -> bool:
        return re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", self.named) is not None

    def cite(self) -> Citation:
        return self.source.cite(self.first, self.last)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a sentence says that its sources have to say."""

    plain: str
    words: Mapping[int, float]
    repeated: Mapping[int, float]
    """The question's words in it."""
    order: Sequence[tuple[int, float]]
    """Its weighty words as they follow each other, and how long each is."""
    numbers: Sequence[Number]
    names: Collection[str]
    clauses: Sequence[tuple[frozenset[int], bool]]
    """Of each of its clauses, which of the words it has and whether it denies."""
    echo: bool
    """Whether it says nothing that the question didn't say."""

    def held(self, windows: Sequence[_Window]) -> int:
        """Return how many numbers and names stand in the windows."""
        found = sum(
            any(number.agrees(other) for window in windows for other in window.numbers)
            for number in self.numbers
        )
        return found + sum(any(window.has_name(name) for window in windows) for name in self.names)

    def share(self, windows: Sequence[_Window]) -> float:
        """Return the share of the words' weight that the windows have; 1 without words."""
        found = frozenset[int]().union(*(window.terms for window in windows))
        total = sum(self.words.values())
        return sum(self.words[term] for term in found & self.words.keys()) / total if total else 1.0

    def is_about(self, windows: Sequence[_Window]) -> bool:
        """Tell whether the passages are about what the sentence takes from the question."""
        found = frozenset[int]().union(*(window.passage_terms for window in windows))
        there = sum(self.repeated[term] for term in found & self.repeated.keys())
        return there >= _ENOUGH_REPEATED * sum(self.repeated.values())

    def made_up(self, windows: Sequence[_Window]) -> bool:
        """Tell whether a phrase of it stands in none of the windows."""
        found = frozenset[int]().union(*(window.terms for window in windows))
        run = 0.0
        for term, length in self.order:
            run = run + length if term in self.words and term not in found else 0.0
            if run >= _MADE_UP:
                return True
        return False


class Proof:
    """Checks the sentences of one answer against its sources; blocking."""

    def __init__(
        self,
        question: str | None,
        sources: Sequence[Source],
        rarities: Mapping[int, float],
        embeddings: Embeddings,
        *,
        most: int = 2,
    ) -> None:
        self._most = most
        """Passages that may support one sentence together."""
        self._sources = [source for source in sources if source.sentences]
        self._rarities = rarities
        """How rare each term of the sources is."""
        self._usual = statistics.median(rarities.values()) if rarities else 1.0
        self._embeddings = embeddings
        self._question = question
        self._asked = _weighty(question or "")
        self._windows = [
            _Window(source, first, last)
            for source in self._sources
            for first in range(len(source.sentences))
            for last in range(first, min(first + 2, len(source.sentences)))
        ]

    def check(self, sentence: str) -> Checked:
        """Return what supports a sentence: one passage, or two that do so together."""
        sentence = _MARK.sub("", sentence)
        claim = self._claim(sentence)
        if not claim.words and not claim.numbers and not claim.names:
            return Checked(claims=False)
        if not self._windows:
            return Checked()
        checked = self._by_words(claim)
        across = [s for s in self._sources if s.passage.language != language_of(sentence)]
        # Where its words stand in its own language, what contradicts it there decides.
        contradicted = bool(claim.words) and checked.support >= _ENOUGH_WORDS
        if checked.supported or contradicted or not across:
            return checked
        meant = self._by_meaning(sentence, claim, across)
        return meant if meant.supported else max(checked, meant, key=lambda one: one.support)

    def quotation(self, *, least: float = 0.0) -> Citation | None:
        """Return the sentence of the sources that is nearest to the question.

        It has at least a share `least` of the weight of the question's words.
        """
        if not self._sources or self._question is None:
            return None
        wanted = {term: self._weight(term) for term in self._asked}
        asked = sum(wanted.values()) or 1.0
        best: tuple[float, Source, int] | None = None
        likes = [source.likeness(self._vector, self._embeddings) for source in self._sources]
        low = min(float(like.min()) for like in likes)
        spread = max(max(float(like.max()) for like in likes) - low, 1e-6)
        for source, like in zip(self._sources, likes, strict=True):
            for at, words in enumerate(source.shared(wanted)):
                worth = words / asked + (float(like[at]) - low) / spread
                if words / asked >= least and (best is None or worth > best[0]):
                    best = (worth, source, at)
        return best[1].cite(best[2]) if best else None

    def _claim(self, sentence: str) -> _Claim:
        order = _weighty_terms(sentence)
        said = frozenset(map(term_id, order))
        new = said - self._asked
        stated = numbers(sentence, certain=True)
        called = names(sentence)
        echo = not new and bool(said)
        words = said if echo else new
        return _Claim(
            plain=_plain(sentence),
            words={term: self._weight(term) for term in words},
            repeated={term: self._weight(term) for term in said & self._asked},
            order=[(term_id(term), _PAIR if _HAN.match(term) else 1.0) for term in order],
            numbers=stated,
            names=called,
            clauses=[(own & words, denied) for own, denied in _clauses(sentence)],
            echo=echo,
        )

    def _weight(self, term: int) -> float:
        return self._rarities.get(term, self._usual)

    def _by_words(self, claim: _Claim) -> Checked:
        def worth(windows: Sequence[_Window]) -> tuple[float, int]:
            # Of equals the shorter quote.
            longer = sum(window.last - window.first for window in windows)
            return claim.share(windows) + claim.held(windows), -longer

        chosen: list[_Window] = []
        for _ in range(self._most):
            more = max(self._windows, key=lambda window: worth([*chosen, window]))
            if chosen and worth([*chosen, more])[0] <= worth(chosen)[0]:
                break
            chosen.append(more)
            together = len(chosen) > 1
            if together and any(claim.share([window]) < _EACH for window in chosen):
                break
            if self._says(claim, chosen):
                return Checked(_cited(chosen), claim.share(chosen))
        return Checked(support=claim.share(chosen[:1]))

    def _says(self, claim: _Claim, windows: Sequence[_Window]) -> bool:
        if not any(self._is_about_the_question(window) for window in windows):
            return False
        if any(claim.plain in window.plain for window in windows):
            return True
        enough = _ENOUGH_ECHO if claim.echo else _ENOUGH_WORDS
        return (
            claim.share(windows) >= enough
            and claim.is_about(windows)
            and not claim.made_up(windows)
            and claim.held(windows) == len(claim.numbers) + len(claim.names)
            and self._same_polarity(claim, windows)
        )

    def _same_polarity(self, claim: _Claim, windows: Sequence[_Window]) -> bool:
        """Tell whether, clause by clause, sentence and sources both deny, or neither does."""
        denies = any(denied for _, denied in claim.clauses)
        if not denies and self._question is not None and negated(self._question):
            return True  # "What isn't paid?" is answered without a "not"
        written = [clause for window in windows for clause in _clauses(window.text)]
        for words, denied in claim.clauses:
            shared = [len(words & others) for others, _ in written]
            most = max(shared)
            # What the clause repeats: there the "not" has to be, or not.
            repeated = [no for (_, no), count in zip(written, shared, strict=True) if count == most]
            if denied != any(repeated) and (denied or most >= _REPEATED):
                return False
        return True

    def _is_about_the_question(self, window: _Window) -> bool:
        """Tell whether what is cited has to do with what was asked, by its words or its meaning."""
        if self._question is None or self._asked & window.terms:
            return True
        likes = [source.likeness(self._vector, self._embeddings) for source in self._sources]
        own = likes[self._sources.index(window.source)][window.first : window.last + 1]
        return bool(own.max() >= np.concatenate(likes).mean())

    def _by_meaning(self, sentence: str, claim: _Claim, sources: Sequence[Source]) -> Checked:
        """Check a sentence against sources in another language."""
        vector = np.asarray(self._embeddings.embed_query(sentence), np.float32)
        likes = [source.likeness(vector, self._embeddings) for source in sources]
        everything = np.concatenate(likes)
        best = max(range(len(sources)), key=lambda at: float(likes[at].max()))
        at = int(likes[best].argmax())
        usual = np.delete(everything, everything.argmax())
        standing = _ENOUGH_MEANING
        if len(everything) >= _FEWEST:
            standing = float((everything.max() - usual.mean()) / max(float(usual.std()), 1e-6))
        # How a name is written in the other script nobody can tell; a code is the same in both.
        written = [n for n in claim.names if language_of(sentence) == "zh" or re.search(r"\d", n)]
        claim = replace(claim, names=written)
        near = [
            window
            for window in self._windows
            if window.source is sources[best] and window.first <= at <= window.last
        ]
        window = max(near, key=lambda each: (claim.held([each]), each.first - each.last))
        said = claim.held([window]) == len(claim.numbers) + len(written)
        support = float(np.clip(standing / (2 * _ENOUGH_MEANING), 0, 1))
        if said and standing >= _ENOUGH_MEANING:
            return Checked((window.cite(),), support)
        return Checked(support=support if said else 0.0)

    @cached_property
    def _vector(self) -> npt.NDArray[np.float32]:
        return np.asarray(self._embeddings.embed_query(self._question or ""), np.float32)


def _cited(windows: Sequence[_Window]) -> tuple[Citation, ...]:
    return tuple(dict.fromkeys(window.cite() for window in windows))


def _clauses(text: str) -> list[tuple[frozenset[int], bool]]:
    """Return the weighty terms of each clause of a text, and whether it denies."""
    return [(_weighty(clause), negated(clause)) for clause in _CLAUSE.split(text)]


def _weighty(text: str) -> frozenset[int]:
    """Return the terms of a text that say something."""
    return frozenset(map(term_id, _weighty_terms(text)))


def _weighty_terms(text: str) -> list[str]:
    return [
        term
        for term in terms(_EMPTY_HAN.sub(" ", text))
        if term not in _EMPTY and not counts(term) and not _HAN.fullmatch(term)
    ]


def _plain(text: str) -> str:
    """Return a text as two are compared that should be the same word for word."""
    return " ".join(_NOT_WORDS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).split())


_EMPTY = frozenset(terms(_EMPTY_WORDS))
# A single one is what is left of a word between two empty ones.
_HAN = re.compile(f"[{HAN}]")
_NOT_WORDS = re.compile(r"[^\w%°€$£¥]+")
