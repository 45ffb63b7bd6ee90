"""Measure the check of sentences by their words alone, without a model.

    python bench/proof.py SETS [--half reporting] [--questions 100]

SETS is as for bench/qa.py. Each question has its own paragraph and two others as sources, and four
sentences are checked: that of the paragraph which has the answer, the answer alone, and both with
the answer to another question, of a like shape, in its place. The first two should be shown, the
others withheld. A sentence of twenty words with one of them exchanged is a harder case than what a
model makes up.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from pathlib import Path

from langchain_core.embeddings import Embeddings

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from qa import SETS, Paragraph, read  # noqa: E402

from rag.citations import Source  # noqa: E402
from rag.keywords import rarity, term_id, terms  # noqa: E402
from rag.language import language_of  # noqa: E402
from rag.proof import Proof  # noqa: E402
from rag.records import Passage  # noqa: E402
from rag.sentences import sentence_spans  # noqa: E402

SEED = 3
CASES = ("its sentence", "its answer", "another answer in its sentence", "another answer")


class NoMeaning(Embeddings):
    """Finds every text as near as any other, so that words alone decide."""

    def embed_query(self, text: str) -> list[float]:
        """Embed a question."""
        return [1.0]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages."""
        return [[1.0] for _ in texts]


def measure(paragraphs: list[Paragraph], half: str, count: int) -> dict[str, str]:
    """Return for each kind of sentence how many of how many were supported."""
    chance = random.Random(SEED)  # noqa: S311
    frequencies = Counter(
        term for each in paragraphs for term in {term_id(term) for term in terms(each.text)}
    )
    asked = [(p, q, a[0]) for p in paragraphs if p.half == half for _, q, a in p.questions]
    chance.shuffle(asked)
    shown: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    for paragraph, question, answer in asked[:count]:
        at = paragraph.text.find(answer)
        spans = [(s, e) for s, e in sentence_spans(paragraph.text) if s <= at < e]
        if not spans:
            continue
        start, end = spans[0]
        read_too = chance.sample([each for each in paragraphs if each is not paragraph], 2)
        sources = [_source(n, each) for n, each in enumerate([paragraph, *read_too], 1)]
        known = {term_id(term) for source in sources for term in terms(source.passage.text)}
        rare = {term: rarity(frequencies[term], len(paragraphs)) for term in known}
        proof = Proof(question, sources, rare, NoMeaning())
        alike = [
            other
            for p, _, other in asked
            if p is not paragraph
            and _shape(other) == _shape(answer)
            and other not in paragraph.text
        ]
        sentences = {CASES[0]: paragraph.text[start:end], CASES[1]: answer}
        if alike:
            other = chance.choice(alike)
            before, after = paragraph.text[start:at], paragraph.text[at + len(answer) : end]
            sentences |= {CASES[2]: before + other + after, CASES[3]: other}
        for case, sentence in sentences.items():
            tried[case] += 1
            shown[case] += proof.check(sentence).supported
    return {case: f"{shown[case]} of {tried[case]}" for case in CASES}


def _source(number: int, paragraph: Paragraph) -> Source:
    text, file = paragraph.text, paragraph.file
    language = language_of(text)
    return Source(
        number,
        Passage(file, file, file, "public", 0, text, 0, len(text), None, None, language),
    )


def _shape(answer: str) -> tuple[bool, bool, bool]:
    digits = any(character.isdigit() for character in answer)
    return digits, len(answer.split()) > 2, len(answer) > 4


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("sets", type=Path)
    parser.add_argument("--half", choices=("tuning", "reporting"), default="reporting")
    parser.add_argument("--questions", type=int, default=100)
    options = parser.parse_args()
    print(f"| shown, {options.half} half | {' | '.join(CASES)} |\n|---|---|---|---|---|")
    for name, file in SETS.items():
        found = measure(list(read(options.sets / file)), options.half, options.questions)
        print(f"| {name} | {' | '.join(found.values())} |", flush=True)


if __name__ == "__main__":
    main()
