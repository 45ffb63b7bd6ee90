from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rag.errors import ModelFailed, ModelMissing
from rag.models.embeddings import SentenceTransformerEmbeddings
from rag.models.manifest import default_cache, load_manifest, locate

EMBEDDED = next(entry for entry in load_manifest().values() if entry.role == "embedding")
FOLDER = locate(EMBEDDED, default_cache())
needs_model = pytest.mark.skipif(FOLDER is None, reason="the embedded embedder is not pulled")


@pytest.fixture(scope="module")
def e5() -> SentenceTransformerEmbeddings:
    assert FOLDER is not None
    embeddings = SentenceTransformerEmbeddings("e5", FOLDER, device="cpu")
    embeddings.load()
    return embeddings


def likeness(e5: SentenceTransformerEmbeddings, question: str, *passages: str) -> list[float]:
    vectors = np.array(e5.embed_documents(list(passages)))
    return [float(cosine) for cosine in vectors @ np.array(e5.embed_query(question))]


class TestWithoutAModel:
    def test_a_missing_folder_is_told_with_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(ModelMissing, match=r"little.*models pull little"):
            SentenceTransformerEmbeddings("little", tmp_path / "nowhere").load()

    def test_a_folder_of_something_else_is_told_by_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "modules.json").write_text("[{}]")
        with pytest.raises(ModelFailed, match="little") as error:
            SentenceTransformerEmbeddings("little", tmp_path).load()
        assert str(tmp_path) in str(error.value)

    def test_what_is_not_loaded_says_so(self, tmp_path: Path) -> None:
        embeddings = SentenceTransformerEmbeddings("little", tmp_path)
        with pytest.raises(ModelFailed, match="not loaded"):
            embeddings.embed_query("x")
        with pytest.raises(ModelFailed, match="not loaded"):
            embeddings.embed_documents(["x"])
        with pytest.raises(ModelFailed, match="not loaded"):
            embeddings.count_tokens("x")
        with pytest.raises(ModelFailed, match="not loaded"):
            _ = embeddings.dimension


@needs_model
class TestTheEmbeddedModel:
    def test_gives_unit_vectors_of_its_dimension(self, e5: SentenceTransformerEmbeddings) -> None:
        vectors = [e5.embed_query("年假"), *e5.embed_documents(["leave", "", "word " * 600])]
        assert {len(vector) for vector in vectors} == {e5.dimension}
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)

    def test_gives_plain_numbers(self, e5: SentenceTransformerEmbeddings) -> None:
        assert type(e5.embed_query("x")[0]) is float
        assert type(e5.embed_documents(["x"])[0][0]) is float
        assert e5.embed_documents([]) == []

    def test_finds_the_same_meaning_in_the_other_language(
        self, e5: SentenceTransformerEmbeddings
    ) -> None:
        parallel, unrelated = likeness(
            e5, "How many days of annual leave?", "每年有多少天年假？", "打印机在二楼。"
        )
        assert parallel > unrelated
        parallel, unrelated = likeness(
            e5, "餐费每天报销多少？", "Meals are reimbursed per day.", "The garden opens at eight."
        )
        assert parallel > unrelated

    def test_embeds_a_question_and_a_passage_differently(
        self, e5: SentenceTransformerEmbeddings
    ) -> None:
        assert e5.embed_query("leave") != pytest.approx(e5.embed_documents(["leave"])[0], abs=1e-3)

    @pytest.mark.parametrize("mark", ["<s>", "</s>", "<unk>", "<pad>", "<mask>"])
    def test_takes_its_own_marks_in_a_text_for_nothing(
        self, e5: SentenceTransformerEmbeddings, mark: str
    ) -> None:
        assert e5.embed_query(f"leave {mark} ahead") == pytest.approx(
            e5.embed_query("leave   ahead"), abs=1e-5
        )

    def test_counts_tokens_without_its_marks(self, e5: SentenceTransformerEmbeddings) -> None:
        assert e5.count_tokens("") == 0
        assert e5.count_tokens("word") == 1
        assert e5.count_tokens(" ".join(["word"] * 1000)) == 1000

    def test_gives_a_text_the_same_vector_in_any_batch(
        self, e5: SentenceTransformerEmbeddings
    ) -> None:
        texts = ["leave", "Meals are paid up to thirty euros a day.", *["filler"] * 10]
        together = e5.embed_documents(texts)
        alone = e5.embed_documents(texts[:1])
        assert together[0] == pytest.approx(alone[0], abs=1e-5)
        assert len(together) == len(texts)

    def test_may_be_used_from_many_threads(self, e5: SentenceTransformerEmbeddings) -> None:
        texts = [f"text number {n}" for n in range(6)]
        expected = [e5.embed_query(text) for text in texts]
        with ThreadPoolExecutor(4) as pool:
            vectors = list(pool.map(e5.embed_query, texts))
            counts = list(pool.map(e5.count_tokens, texts))
        assert np.allclose(vectors, expected, atol=1e-5)
        assert counts == [e5.count_tokens(text) for text in texts]

    def test_that_is_loaded_again_stays_as_it_is(self, e5: SentenceTransformerEmbeddings) -> None:
        before = e5.embed_query("x")
        e5.load()
        assert e5.embed_query("x") == before
