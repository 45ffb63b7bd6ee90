"""A tiny ChatGLM-6B checkpoint in the published layout, and its tokenizer."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from safetensors.torch import save_file

from rag.models.quantisation import Bits, quantise_rows

BLANKS = [f"<|blank_{count}|>" for count in range(2, 81)]
SPECIALS = [
    *("[MASK]", "[gMASK]", "[sMASK]", "<unused_0>", "<sop>", "<eop>", "<ENC>", "<dBLOCK>"),
    "<|tab|>",
    *BLANKS,
]
CONFIG: dict[str, Any] = {
    "model_type": "chatglm",
    "auto_map": {"AutoModel": "modeling_chatglm.ChatGLMForConditionalGeneration"},
    "hidden_size": 32,
    "inner_hidden_size": 64,
    "layernorm_epsilon": 1e-5,
    "max_sequence_length": 256,
    "num_attention_heads": 4,
    "num_layers": 3,
    "position_encoding_2d": True,
    "torch_dtype": "float32",
    "pad_token_id": 3,
}
_SENTENCES = [
    "[Round 0]\n问：你好\n答：你好，有什么可以帮助你的吗？",
    "people ask the bot, the bot reads the handbook and answers",
    "休假要提前两周申请，由组长批准。",
    "def main():\n    print('hello world')\t# greeting",
]


@cache
def sentencepiece_model() -> bytes:
    """Train pieces with the layout of the real file: pad 3, <n> 4, the marks behind them."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_SENTENCES * 20),
        model_writer=model,
        model_type="unigram",
        vocab_size=600,
        byte_fallback=True,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=3,
        user_defined_symbols=["<n>", *SPECIALS],
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return model.getvalue()


def tokens(images: int = 0) -> dict[str, int]:
    """Return the numbers of the marks."""
    pieces = sentencepiece.SentencePieceProcessor()
    pieces.LoadFromSerializedProto(sentencepiece_model())
    return {name: int(pieces.piece_to_id(name)) + images for name in ["<n>", *SPECIALS]}


def write(folder: Path, *, bits: Bits | None = None, seed: int = 0, **changes: Any) -> Path:
    """Write a checkpoint folder with random weights, quantised to `bits` if asked."""
    marks = tokens()
    config = CONFIG | {
        "vocab_size": 600,
        "mask_token_id": marks["[MASK]"],
        "gmask_token_id": marks["[gMASK]"],
        "bos_token_id": marks["<sop>"],
        "eos_token_id": marks["<eop>"],
    }
    config |= {"quantization_bit": bits} if bits else {}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config | changes))
    (folder / "tokenizer_config.json").write_text('{"num_image_tokens": 0}')
    (folder / "ice_text.model").write_bytes(sentencepiece_model())
    chance = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=chance) * 0.2

    size, inner = config["hidden_size"], config["inner_hidden_size"]
    state = {"transformer.word_embeddings.weight": normal(600, size)}
    state["lm_head.weight"] = state["transformer.word_embeddings.weight"].clone()
    state["transformer.final_layernorm.weight"] = 1 + normal(size)
    state["transformer.final_layernorm.bias"] = normal(size)
    for layer in range(config["num_layers"]):
        at = f"transformer.layers.{layer}."
        state[f"{at}attention.rotary_emb.inv_freq"] = torch.ones(2)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            state[f"{at}{norm}.weight"], state[f"{at}{norm}.bias"] = 1 + normal(size), normal(size)
        for name, rows, columns in (
            ("attention.query_key_value", 3 * size, size),
            ("attention.dense", size, size),
            ("mlp.dense_h_to_4h", inner, size),
            ("mlp.dense_4h_to_h", size, inner),
        ):
            weight = normal(rows, columns)
            state[f"{at}{name}.bias"] = normal(rows)
            if bits:
                weight, state[f"{at}{name}.weight_scale"] = quantise_rows(weight, bits)
            state[f"{at}{name}.weight"] = weight
    save_file(state, folder / "model.safetensors")
    return folder
