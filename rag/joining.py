"""A sentence that a page cuts in two is read whole: the other half joins the passage found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from rag.audience import Audience
from rag.records import Passage, Records
from rag.retrieval import Hit
from rag.sentences import sentence_spans

_ENDED = re.compile(r"[.!?。！？…:：;；][\"'”’」』》）)\]]*\s*$")
_GOES_ON = re.compile(r"\s*[a-z,;，；、。）)]")
# What a line must have to be a sentence and not a cell or a page's number.
_LEAST_CHARACTERS = 12
# The other half was found by its neighbour, not by itself.
_SHARE = 0.9


def joined(hits: Sequence[Hit], records: Records, audience: Audience) -> list[Hit]:
    """Return the hits, each with the visible rest of its first and last sentence beside it."""
    present = {(hit.passage.document_id, hit.passage.ordinal) for hit in hits}
    result: list[Hit] = []
    for hit in hits:
        passage = hit.passage
        wanted = {at for at in _cut_at(passage) if (passage.document_id, at) not in present}
        beside = records.neighbours(passage.document_id, wanted, audience) if wanted else {}
        result.append(hit)
        for at, other in beside.items():
            half = _half(other, last=at < passage.ordinal)
            if half is not None and other.page != passage.page:
                present.add((passage.document_id, at))
                result.append(Hit(half, _SHARE * hit.score))
    return result


def _cut_at(passage: Passage) -> list[int]:
    """Return the ordinals of the neighbours that have the other half of a sentence."""
    spans = sentence_spans(passage.text)
    if passage.page is None or not spans:
        return []
    start, end = spans[-1]
    cut = []
    if _GOES_ON.match(passage.text) and passage.ordinal:
        cut.append(passage.ordinal - 1)
    if end - start >= _LEAST_CHARACTERS and not _ENDED.search(passage.text):
        cut.append(passage.ordinal + 1)
    return cut


def _half(passage: Passage, *, last: bool) -> Passage | None:
    """Return a passage's last sentence, or its first, as a passage of its own."""
    spans = sentence_spans(passage.text)
    if not spans:
        return None
    start, end = spans[-1 if last else 0]
    return replace(
        passage,
        text=passage.text[start:end],
        start=passage.start + start,
        end=passage.start + end,
    )
