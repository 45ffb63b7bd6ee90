"""The 4-bit file becomes a folder that sentence-transformers loads as one of its own."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from rag.errors import ModelFailed
from rag.models.e5 import unpack
from rag.models.manifest import default_cache, load_manifest, locate

HIDDEN, INNER, ROWS, POSITIONS = 32, 64, 16, 8
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁hi", "h", "i", "é", "▁a", "<mask>"]
CHARACTERS = {"Ａ": "a", "\u3000": " ", "\u00ad": ""}
LAYER: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("q.w", "k.w", "v.w", "ao.w"), (HIDDEN, HIDDEN)),
    **dict.fromkeys(("q.b", "k.b", "v.b", "ao.b", "fo.b"), (HIDDEN,)),
    **dict.fromkeys(("aln.w", "aln.b", "oln.w", "oln.b"), (HIDDEN,)),
    "fi.w": (INNER, HIDDEN),
    "fi.b": (INNER,),
    "fo.w": (HIDDEN, INNER),
}


def quantised(nibbles: npt.NDArray[np.uint8], scale: float) -> bytes:
    """Return blocks of 32 values: the scale, then value j below value j + 16 in a byte."""
    blocks = nibbles.reshape(-1, 32)
    pairs = blocks[:, :16] | blocks[:, 16:] << 4
    return b"".join(struct.pack("<e", scale) + pair.tobytes() for pair in pairs)


def tiny_file(path: Path) -> Path:
    """Write a model of one layer whose matrices count up and whose other numbers are 1."""
    header = b"E5S1" + struct.pack("<8i", 1, HIDDEN, 1, 2, INNER, ROWS, POSITIONS, 2)
    header += struct.pack("<fi", 1e-12, 32)
    blob = "".join(PIECES).encode()
    ends = np.cumsum([0, *(len(piece.encode()) for piece in PIECES)])
    scores = [0.0 if piece.startswith("<") else -1.0 for piece in PIECES]
    header += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(blob))
    header += ends.astype("<u4").tobytes() + np.array(scores, "<f4").tobytes() + blob
    records = b"".join(
        struct.pack(f"<IB{len(target)}I", ord(source), len(target), *map(ord, target))
        for source, target in sorted(CHARACTERS.items())
    )
    header += struct.pack("<iI", len(CHARACTERS), len(records)) + records

    tensors: dict[str, tuple[int, ...]] = {"emb.word": (ROWS, HIDDEN)}
    tensors |= {"emb.pos": (POSITIONS, HIDDEN), "emb.type": (2, HIDDEN)}
    tensors |= {"emb.ln.w": (HIDDEN,), "emb.ln.b": (HIDDEN,)}
    tensors |= {f"l0.{name}": shape for name, shape in LAYER.items()}
    bodies = []
    for name, shape in tensors.items():
        size = int(np.prod(shape))
        if len(shape) == 2 and name not in {"emb.pos", "emb.type"}:
            bodies.append((name, 1, size, quantised(np.arange(size, dtype=np.uint8) % 16, 0.5)))
        else:
            bodies.append((name, 0, size, np.ones(size, "<f4").tobytes()))
    directory_length = 4 + sum(2 + len(name) + 21 for name, *_ in bodies)
    offset = len(header) + directory_length
    directory = struct.pack("<i", len(bodies))
    for name, kind, size, body in bodies:
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", kind, size, offset, len(body))
        offset += len(body)
    path.write_bytes(header + directory + b"".join(body for *_, body in bodies))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    unpack(tiny_file(tmp_path / "tiny.bin"), tmp_path / "models" / "tiny")
    return tmp_path / "models" / "tiny"


def test_four_bits_become_numbers_in_torchs_order(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")

    row = (np.arange(HIDDEN) % 16 - 8) * 0.5
    np.testing.assert_array_equal(weights["embeddings.word_embeddings.weight"][0], row)
    layer = "encoder.layer.0"
    assert weights["embeddings.word_embeddings.weight"].shape == (ROWS, HIDDEN)
    assert weights[f"{layer}.attention.self.query.weight"].shape == (HIDDEN, HIDDEN)
    assert weights[f"{layer}.intermediate.dense.weight"].shape == (INNER, HIDDEN)
    assert weights[f"{layer}.output.dense.weight"].shape == (HIDDEN, INNER)
    assert weights[f"{layer}.attention.output.LayerNorm.bias"].tolist() == [1.0] * HIDDEN
    assert not weights["pooler.dense.weight"].any()


def test_the_tokenizer_normalises_as_the_file_says(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    assert tokenizer.encode("hi").tokens == ["<s>", "▁hi", "</s>"]
    assert tokenizer.encode("Ａ\u3000 h\u00adi").tokens == ["<s>", "▁a", "▁hi", "</s>"]
    # Composed sequences are not in the file, but every text from a Mac has them.
    assert tokenizer.encode("he\u0301").tokens == ["<s>", "▁", "h", "é", "</s>"]


def test_the_folder_names_its_prompts_and_modules(folder: Path) -> None:
    settings = json.loads((folder / "config_sentence_transformers.json").read_text())
    modules = json.loads((folder / "modules.json").read_text())

    assert settings["prompts"] == {
        "query": "query: ",
        "passage": "passage: ",
        "document": "passage: ",
    }
    kinds = [module["type"].rsplit(".")[-1] for module in modules]
    assert kinds == ["Transformer", "Pooling", "Normalize"]


def test_an_older_folder_is_replaced_and_nothing_else_is_left(folder: Path, tmp_path: Path) -> None:
    (folder / "stale").write_text("from before")

    unpack(tmp_path / "tiny.bin", folder)

    assert not (folder / "stale").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


@pytest.mark.parametrize("content", [b"", b"GGUF", b"E5S1" + b"\1\0\0\0" + b"\0" * 20])
def test_another_file_is_refused_and_leaves_nothing(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "other.bin"
    file.write_bytes(content)

    with pytest.raises(ModelFailed, match=r"other\.bin is not the multilingual-e5-small file"):
        unpack(file, tmp_path / "models" / "other")

    assert list((tmp_path / "models").iterdir()) == []


def test_the_real_model_puts_translations_side_by_side() -> None:
    path = locate(load_manifest()["multilingual-e5-small"], default_cache())
    if path is None:
        pytest.skip("the embedding model is not in the cache: run `teamglm models pull`")
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(path), device="cpu", local_files_only=True)
    english, chinese, other = model.encode(
        ["How do I install the bot?", "怎么安装这个机器人？", "The cat sat on the mat."],
        prompt_name="query",
    )

    assert english @ chinese > english @ other + 0.1
    assert english @ english == pytest.approx(1, abs=1e-5)
