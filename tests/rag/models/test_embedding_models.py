"""Embedding models by config: pooling, prefixes, keys and servers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch

from rag.errors import ModelFailed, ModelMissing
from rag.models.convert import convert
from rag.models.embedding_recipes import Recipe, recipe_for
from rag.models.embeddings import SentenceTransformerEmbeddings
from rag.models.reranker import CrossEncoderReranker
from rag.models.server_embeddings import ServerEmbeddings
from tests.rag.models.small_encoders import states, write_cross_encoder, write_encoder


def opened(folder: Path, name: str = "mine", **settings: Any) -> SentenceTransformerEmbeddings:
    embeddings = SentenceTransformerEmbeddings(name, folder, device="cpu", **settings)
    embeddings.load()
    return embeddings


def unit(vector: torch.Tensor) -> Any:
    return pytest.approx((vector / vector.norm()).tolist(), abs=1e-5)


# Recipes

TASK = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "
)


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("text2vec-large-chinese", Recipe("mean")),
        ("shibing624/text2vec-base-chinese", Recipe("mean")),
        ("moka-ai/m3e-small", Recipe("mean")),
        ("m3e-base", Recipe("mean")),
        ("nghuyong/ernie-3.0-base-zh", Recipe("mean")),
        ("BAAI/bge-m3", Recipe("cls")),
        ("BAAI/bge-large-zh-v1.5", Recipe("cls", "为这个句子生成表示以用于检索相关文章：")),
        ("intfloat/multilingual-e5-large", Recipe("mean", "query: ", "passage: ")),
        ("intfloat/multilingual-e5-small", Recipe("mean", "query: ", "passage: ")),
        ("intfloat/multilingual-e5-large-instruct", Recipe("mean", TASK)),
        ("anything", Recipe("mean")),
    ],
)
def test_known_models_are_used_as_they_were_trained(name: str, recipe: Recipe) -> None:
    assert recipe_for([name]) == recipe


# Folders


@pytest.mark.parametrize("plain", [True, False])
def test_e5_gets_its_prefixes_and_the_mean(tmp_path: Path, plain: bool) -> None:
    folder = write_encoder(tmp_path / "multilingual-e5-small", pooling=None if plain else "mean")
    e5 = opened(folder)
    assert e5.embed_query("abc") == unit(states(folder, "query: abc").mean(0))
    assert e5.embed_documents(["abc"])[0] == unit(states(folder, "passage: abc").mean(0))
    assert e5.dimension == 16


@pytest.mark.parametrize("plain", [True, False])
def test_bge_m3_is_pooled_at_its_first_token_without_prefixes(tmp_path: Path, plain: bool) -> None:
    folder = write_encoder(tmp_path / "bge-m3", pooling=None if plain else "cls")
    bge = opened(folder)
    expected = states(folder, "abc")[0]
    assert bge.embed_query("abc") == unit(expected)
    assert bge.embed_documents(["abc"])[0] == unit(expected)


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize(
    "name",
    [
        "text2vec-large-chinese",
        "text2vec-base-chinese",
        "m3e-small",
        "m3e-base",
        "ernie-3.0-base-zh",
        "of-nobody-s-name",
    ],
)
def test_most_models_are_pooled_by_the_mean_without_prefixes(
    tmp_path: Path, name: str, plain: bool
) -> None:
    folder = write_encoder(tmp_path / name, pooling=None if plain else "mean")
    embeddings = opened(folder)
    assert embeddings.embed_query("年假") == unit(states(folder, "年假").mean(0))
    assert embeddings.embed_documents(["abc"])[0] == unit(states(folder, "abc").mean(0))


def test_what_the_folder_says_of_its_prompts_stands(tmp_path: Path) -> None:
    prompts = {"query": "passage ", "document": ""}
    folder = write_encoder(tmp_path / "e5-mine", pooling="mean", prompts=prompts)
    assert opened(folder).embed_query("abc") == unit(states(folder, "passage abc").mean(0))


def test_settings_beat_folder_and_recipe(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "e5-mine", pooling="mean", prompts={"query": "query "})
    mine = opened(folder, pooling="cls", query_prefix="passage: ", passage_prefix="")
    assert mine.embed_query("abc") == unit(states(folder, "passage: abc")[0])
    assert mine.embed_documents(["abc"])[0] == unit(states(folder, "abc")[0])


def test_marks_of_the_tokenizer_in_a_text_are_nothing(tmp_path: Path) -> None:
    embeddings = opened(write_encoder(tmp_path / "m3e-base"))
    assert embeddings.embed_query("a [SEP] [CLS] b") == pytest.approx(
        embeddings.embed_query("a     b"), abs=1e-6
    )


def test_folder_of_pickles_names_the_command_that_converts_it(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "text2vec-large-chinese", pooling="mean")
    expected = opened(folder).embed_query("abc")
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelFailed, match="teamglm models convert"):
        opened(folder)
    convert(folder, tmp_path / "text2vec-large-chinese-safetensors")
    converted = opened(tmp_path / "text2vec-large-chinese-safetensors")
    assert converted.embed_query("abc") == pytest.approx(expected, abs=1e-6)


def test_key_changes_with_the_weights_and_how_they_are_used(tmp_path: Path) -> None:
    def key(folder: Path, **settings: Any) -> str:
        return SentenceTransformerEmbeddings("mine", folder, **settings).key

    folder = write_encoder(tmp_path / "one", pooling="mean")
    shutil.copytree(folder, tmp_path / "same")
    assert key(folder) == key(tmp_path / "same") == key(folder)
    keys = {key(folder), key(folder, pooling="cls"), key(folder, query_prefix="q: ")}
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\1\2\3\4")
    keys |= {key(folder), key(tmp_path / "absent")}
    assert len(keys) == 5
    assert key(folder, key="pinned") == "pinned"


# Rerankers


def test_reranker_scores_question_and_passage_together(tmp_path: Path) -> None:
    reranker = CrossEncoderReranker("mine", write_cross_encoder(tmp_path / "ce"), device="cpu")
    with pytest.raises(ModelFailed, match="not loaded"):
        reranker.score("a", ["b"])
    reranker.load()
    reranker.load()
    scores = reranker.score("abc", ["abd", "xyz", "abd"])
    assert scores[0] == pytest.approx(scores[2], abs=1e-5)
    assert scores[0] != pytest.approx(scores[1], abs=1e-5)
    assert all(0 <= score <= 1 for score in scores)


def test_folder_that_is_no_reranker_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="path"):
        CrossEncoderReranker("mine", tmp_path / "absent").load()
    with pytest.raises(ModelFailed, match="3 classes"):
        CrossEncoderReranker("mine", write_cross_encoder(tmp_path / "ce", labels=3)).load()


# Servers


class Server:
    """An embedding server on loopback: each text's vector is what `vector` makes of it."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[tuple[int, str]] = []
        """What it says instead, once each."""
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                double.asked.append(body)
                double.headers.append({k.lower(): v for k, v in self.headers.items()})
                status, answer = double.answers.pop(0) if double.answers else (200, "")
                rows = [
                    {"index": at, "object": "embedding", "embedding": [len(text), 3.0]}
                    for at, text in enumerate(body["input"])
                ]
                text = answer or json.dumps({"object": "list", "data": rows[::-1], "model": "m"})
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("retry-after-ms", "1")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"


@pytest.fixture
def server() -> Iterator[Server]:
    double = Server()
    thread = Thread(target=double.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield double
    double.http.shutdown()
    thread.join()
    double.http.server_close()


def served(server: Server, **settings: Any) -> ServerEmbeddings:
    return ServerEmbeddings("mine", **{"base_url": server.url, "model": "m"} | settings)


def test_server_gives_unit_vectors_in_order_and_in_batches(server: Server) -> None:
    embeddings = served(server, batch_size=2, api_key="hush")
    embeddings.load()
    vectors = np.array(embeddings.embed_documents(["four", "", "a"]))
    expected = np.array([[4, 3], [1, 3], [1, 3]]) / np.sqrt([[25], [10], [10]])
    assert vectors == pytest.approx(expected, abs=1e-6)
    assert [len(asked["input"]) for asked in server.asked] == [1, 2, 1]
    assert embeddings.dimension == 2
    assert server.headers[0]["authorization"] == "Bearer hush"


def test_served_e5_gets_its_prefixes(server: Server) -> None:
    embeddings = served(server, model="intfloat/multilingual-e5-large")
    embeddings.embed_query("q")
    embeddings.embed_documents(["p"])
    assert [asked["input"] for asked in server.asked] == [["query: q"], ["passage: p"]]
    assert embeddings.key != served(server, model="intfloat/multilingual-e5-base").key
    assert embeddings.key != served(server, query_prefix="").key


def test_busy_embedding_server_is_asked_again(server: Server) -> None:
    server.answers = [(429, "{}"), (503, "{}")]
    assert served(server).embed_query("q")


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        ((401, "{}"), ModelFailed, "MY_KEY"),
        ((404, "{}"), ModelMissing, "no model 'm'"),
        ((429, "{}"), ModelFailed, "too busy"),
        ((500, "{}"), ModelFailed, "status 500"),
        ((200, "<html>"), ModelFailed, "base_url"),
        ((200, '{"data": []}'), ModelFailed, "base_url"),
        ((200, '{"data": [{"index": 0, "embedding": "x"}]}'), ModelFailed, "base_url"),
    ],
)
def test_what_goes_wrong_at_an_embedding_server_is_a_sentence(
    server: Server, answer: tuple[int, str], error: type[Exception], sentence: str
) -> None:
    server.answers = [answer]
    with pytest.raises(error, match=sentence):
        served(server, max_retries=0, key_name="MY_KEY").embed_query("q")


def test_embedding_server_that_is_not_there_is_named(server: Server) -> None:
    embeddings = served(server, base_url="http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(ModelFailed, match="can't be reached"):
        embeddings.load()
    with pytest.raises(ModelFailed, match="not loaded"):
        _ = embeddings.dimension


def test_server_whose_vectors_change_their_size_is_told(server: Server) -> None:
    embeddings = served(server)
    embeddings.load()
    server.answers = [(200, '{"data": [{"index": 0, "embedding": [1.0]}]}')]
    with pytest.raises(ModelFailed, match="another size"):
        embeddings.embed_query("q")


def test_tokens_are_counted_carefully(server: Server) -> None:
    assert served(server).count_tokens("你好abc") == 3
