"""What documents are called: questions find them by their file names and titles, too."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from rag.editions import Edition, edition_of
from rag.keywords import term_id, terms
from rag.language import HAN
from rag.literals import folded, has_literal
from rag.records import Opening

# What a question has to share with a title, of the weight of its own words, to mean the document.
_MEANS = 0.5
_MOST_MEANT = 3
# A first line that is longer, or ends like a sentence, is no title.
_LONGEST_TITLE = 80
_SENTENCE_END = tuple(".。!！?？;；:：,，、")
# A name of one plain word is said in passing; these are said to name a file.
_TELLING = re.compile(rf"[\w{HAN}]+(?:[-_. ]+[\w{HAN}]+)+|[a-z]+\d[\w.]*|[{HAN}]{{3,}}")


class Titles:
    """The names and titles of the documents that an audience may see."""

    def __init__(self, openings: Iterable[Opening]) -> None:
        self._openings = {opening.document_id: opening for opening in openings}
        self._terms: dict[str, frozenset[int]] = {}
        self._having: dict[int, list[str]] = {}
        self._named: dict[str, list[str]] = {}
        for identity, opening in self._openings.items():
            found = frozenset(_telling_terms(f"{stem(opening.document)} {_title(opening)}"))
            self._terms[identity] = found
            for term in found:
                self._having.setdefault(term, []).append(identity)
            for name in _spoken_names(opening.document):
                self._named.setdefault(name, []).append(identity)

    def terms_of(self, document_id: str) -> frozenset[int]:
        """Return the terms of a document's name and title."""
        return self._terms.get(document_id, frozenset())

    def edition_of(self, document_id: str) -> Edition:
        """Return what a document says of its own date and version."""
        opening = self._openings.get(document_id)
        if opening is None:
            return Edition()
        return edition_of(opening.document, f"{opening.section or ''}\n{opening.text}")

    def named_in(self, question: str) -> frozenset[str]:
        """Return the documents whose file name stands in a question."""
        text = folded(question)
        return frozenset(
            identity
            for name, identities in self._named.items()
            if name in text and has_literal(text, name)
            for identity in identities
        )

    def meant_by(self, rarities: Mapping[int, float]) -> dict[str, float]:
        """Return the few documents whose name or title has most of a question's weight.

        With them goes how much of it they have, from a half to 1.
        """
        shared: dict[str, float] = defaultdict(float)
        for term, rarity in rarities.items():
            for identity in self._having.get(term, ()):
                shared[identity] += rarity
        whole = sum(rarities.values())
        best = sorted(shared, key=lambda identity: (-shared[identity], identity))
        shares = {identity: shared[identity] / whole for identity in best[:_MOST_MEANT]}
        return {identity: share for identity, share in shares.items() if share >= _MEANS}


def stem(name: str) -> str:
    """Return a document's name without its folder and its kind."""
    path = PurePosixPath(name)
    return path.stem if 2 <= len(path.suffix) <= 6 and " " not in path.suffix else path.name


def _spoken_names(name: str) -> set[str]:
    whole, bare = folded(PurePosixPath(name).name), folded(stem(name))
    return {whole} | ({bare} if _TELLING.fullmatch(bare) else set())


def _title(opening: Opening) -> str:
    if opening.section:
        return opening.section.partition(" > ")[0]
    line, _, rest = opening.text.partition("\n")
    line = line.strip()
    is_title = rest and len(line) <= _LONGEST_TITLE and not line.endswith(_SENTENCE_END)
    return line if is_title else ""


def _telling_terms(text: str) -> Iterable[int]:
    for term in terms(text):
        # "3" and "of" are in many names and in more questions; a year tells something.
        if (len(term) > 2 and not (term.isdigit() and len(term) < 4)) or not term.isascii():
            yield term_id(term)
