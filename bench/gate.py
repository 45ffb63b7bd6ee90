"""Fit the gate of rag/gate.py: is the answer among the passages found?

    python bench/gate.py SETS FOLDER

SETS is as for bench/qa.py, FOLDER the embedding model's. Indexes of three sizes are made of each
set's articles, a quarter of the articles left out, and every question is put to them: those of
articles left out have no answer. The gate is fitted on the questions of the tuning half, and its
rates are printed for those of the reporting half. Nothing is written.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from qa import SETS, Paragraph, read
from sklearn.linear_model import LogisticRegression

from rag.gate import Gate, signals
from rag.keywords import MAX_WEIGHT, passage_weights, query_weights
from rag.models.embeddings import SentenceTransformerEmbeddings

ARTICLES = {"all": None, "a quarter": 0.25, "a tenth": 0.1}
BACKGROUND = 256
MOST_QUESTIONS = 600

Matrix = npt.NDArray[np.float32]


def _vectors(embed: object, texts: Sequence[str]) -> Matrix:
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    vectors: dict[int, list[float]] = {}
    for start in range(0, len(order), 8):
        batch = order[start : start + 8]
        vectors.update(zip(batch, embed([texts[at] for at in batch]), strict=True))  # type: ignore[operator]
    return np.array([vectors[at] for at in range(len(texts))], np.float32)


def _cases(
    paragraphs: Sequence[Paragraph], passages: Matrix, questions: Matrix, share: float | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return signals, whether there is an answer, and whether it is of the tuning half."""
    chance = random.Random(5)  # noqa: S311
    titles = sorted({paragraph.title for paragraph in paragraphs})
    chosen = set(titles if share is None else chance.sample(titles, int(share * len(titles))))
    kept = [at for at, p in enumerate(paragraphs) if p.title in chosen and not p.withheld]
    weights = [passage_weights(paragraphs[at].text) for at in kept]
    frequencies = Counter(term for passage in weights for term in passage)
    background = passages[chance.sample(kept, min(BACKGROUND, len(kept)))]
    asked = [(p, text) for p in paragraphs for _, text, _ in p.questions]
    usable = [at for at, (p, _) in enumerate(asked) if p.title in chosen or p.withheld]
    rows, answerable, tuning = [], [], []
    for at in chance.sample(usable, min(MOST_QUESTIONS, len(usable))):
        paragraph, text = asked[at]
        rarities = query_weights(text, frequencies, len(kept))
        scores = np.array(
            [sum(rarities.get(t, 0.0) * w for t, w in passage.items()) for passage in weights]
        )
        possible = sum(rarities.values()) * MAX_WEIGHT
        found = signals(
            passages[kept] @ questions[at], scores, background @ questions[at], possible
        )
        rows.append((found.standing, found.keywords, found.lead))
        answerable.append(not paragraph.withheld)
        tuning.append(paragraph.half == "tuning")
    return np.array(rows), np.array(answerable), np.array(tuning)


def main(sets: Path, folder: Path) -> None:
    """Fit and print."""
    embeddings = SentenceTransformerEmbeddings("embedding model", folder)
    embeddings.load()
    cases = {}
    for name, file in SETS.items():
        paragraphs = list(read(sets / file))
        passages = _vectors(embeddings.embed_documents, [p.text for p in paragraphs])
        texts = [text for p in paragraphs for _, text, _ in p.questions]
        questions = np.array([embeddings.embed_query(text) for text in texts], np.float32)
        for size, share in ARTICLES.items():
            cases[f"{name}, {size}"] = _cases(paragraphs, passages, questions, share)
    rows = np.concatenate([x[tuning] for x, _, tuning in cases.values()])
    labels = np.concatenate([y[tuning] for _, y, tuning in cases.values()])
    model = LogisticRegression(class_weight="balanced", C=100, max_iter=1000).fit(rows, labels)
    gate = Gate(round(float(model.intercept_[0]), 2), *(round(float(c), 2) for c in model.coef_[0]))
    print(gate)
    print("| index | refuse below | refused wrongly | refused rightly |\n|---|---|---|---|")
    for name, (x, y, tuning) in cases.items():
        chances = model.predict_proba(x[~tuning])[:, 1]
        there = y[~tuning]
        for bar in (0.3, 0.4, 0.5):
            wrongly, rightly = (chances[there] < bar).mean(), (chances[~there] < bar).mean()
            print(f"| {name} | {bar} | {100 * wrongly:.1f} % | {100 * rightly:.1f} % |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
