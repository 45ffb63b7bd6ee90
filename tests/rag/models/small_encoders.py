"""Tiny BERT folders: an embedding model and a cross-encoder, as they are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
)

_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "query", "passage", ":", "：", "年", "假"]


def _tokenizer(folder: Path) -> None:
    letters = [chr(at) for at in range(ord("a"), ord("z") + 1)]
    words = [*_WORDS, *letters, *(f"##{letter}" for letter in letters)]
    core = Tokenizer(models.WordPiece({w: at for at, w in enumerate(words)}, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer()
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    marks = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    cast(Any, PreTrainedTokenizerFast)(
        tokenizer_object=core, model_max_length=64, **marks
    ).save_pretrained(folder)


def _config(**more: Any) -> BertConfig:
    torch.manual_seed(3)
    return BertConfig(
        vocab_size=80,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=64,
        initializer_range=0.5,
        **more,
    )


def write_encoder(folder: Path, *, pooling: str | None = None, **settings: Any) -> Path:
    """Write an embedding model; with `pooling` as sentence-transformers do, else plain."""
    BertModel(_config()).save_pretrained(folder)
    _tokenizer(folder)
    if pooling is None:
        return folder
    package = "sentence_transformers.models"
    kinds = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling")]
    modules = [
        {"idx": int(name), "name": name, "path": path, "type": f"{package}.{kind}"}
        for name, path, kind in kinds
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    kinds_of = ("cls_token", "mean_tokens", "max_tokens")
    pools: dict[str, Any] = {f"pooling_mode_{kind}": kind.startswith(pooling) for kind in kinds_of}
    pools["word_embedding_dimension"] = 16
    (folder / "1_Pooling/config.json").write_text(json.dumps(pools))
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    return folder


def write_cross_encoder(folder: Path, labels: int = 1) -> Path:
    """Write a model that scores pairs of texts."""
    BertForSequenceClassification(_config(num_labels=labels)).save_pretrained(folder)
    _tokenizer(folder)
    return folder


def states(folder: Path, text: str) -> torch.Tensor:
    """Return the last hidden states of a text's tokens, marks included."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokens = tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        output = cast(Any, BertModel.from_pretrained(folder))(input_ids=tokens["input_ids"])
    result: torch.Tensor = output.last_hidden_state[0]
    return result
