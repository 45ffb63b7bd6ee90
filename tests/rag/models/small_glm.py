"""A tiny ChatGLM checkpoint in the published layout, its tokenizer, and the original arithmetic."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from safetensors.torch import save_file
from torch.nn import functional

CONFIG: dict[str, Any] = {
    "_name_or_path": "THUDM/chatglm2-6b",
    "model_type": "chatglm",
    "auto_map": {"AutoModel": "modeling_chatglm.ChatGLMForConditionalGeneration"},
    "add_bias_linear": False,
    "add_qkv_bias": True,
    "apply_residual_connection_post_layernorm": False,
    "ffn_hidden_size": 48,
    "hidden_size": 32,
    "kv_channels": 8,
    "layernorm_epsilon": 1e-5,
    "multi_query_attention": True,
    "multi_query_group_num": 2,
    "num_attention_heads": 4,
    "num_layers": 2,
    "original_rope": True,
    "padded_vocab_size": 512,
    "post_layer_norm": True,
    "rmsnorm": True,
    "seq_length": 256,
    "torch_dtype": "float32",
}
_SENTENCES = [
    "[Round 1]\n\n问：你好\n\n答：你好，有什么可以帮助你的吗？",
    "people ask the bot, the bot reads the handbook and answers",
    "休假要提前两周申请，由组长批准。",
    "0123456789 sop eop user assistant system",
]


@cache
def sentencepiece_model() -> bytes:
    """Train pieces with the layout of the real file: unk 0, bos 1, eos 2, bytes from 3 on."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_SENTENCES * 20),
        model_writer=model,
        model_type="bpe",
        vocab_size=400,
        byte_fallback=True,
        character_coverage=0.98,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return model.getvalue()


def weights(config: dict[str, Any], seed: int = 0) -> dict[str, torch.Tensor]:
    """Return random weights under their published names."""
    chance = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=chance) * 0.2

    size, width = config["hidden_size"], config["kv_channels"]
    heads, groups = config["num_attention_heads"], config["multi_query_group_num"]
    fused, inner, words = (heads + 2 * groups) * width, config["ffn_hidden_size"], 512
    state = {
        "transformer.embedding.word_embeddings.weight": normal(words, size),
        "transformer.encoder.final_layernorm.weight": 1 + normal(size),
        "transformer.output_layer.weight": normal(words, size),
        "transformer.rotary_pos_emb.inv_freq": torch.ones(2),
    }
    for layer in range(config["num_layers"]):
        at = f"transformer.encoder.layers.{layer}."
        state |= {
            f"{at}input_layernorm.weight": 1 + normal(size),
            f"{at}post_attention_layernorm.weight": 1 + normal(size),
            f"{at}self_attention.query_key_value.weight": normal(fused, size),
            f"{at}self_attention.query_key_value.bias": normal(fused),
            f"{at}self_attention.dense.weight": normal(size, heads * width),
            f"{at}mlp.dense_h_to_4h.weight": normal(2 * inner, size),
            f"{at}mlp.dense_4h_to_h.weight": normal(size, inner),
        }
    return state


def write(folder: Path, *, shards: int = 1, seed: int = 0, **changes: Any) -> Path:
    """Write a checkpoint folder, its weights in as many files as asked."""
    config = CONFIG | changes
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.model").write_bytes(sentencepiece_model())
    state = weights(config, seed)
    if shards == 1:
        save_file(state, folder / "model.safetensors")
        return folder
    index: dict[str, str] = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        names = list(state)[shard::shards]
        save_file({name: state[name] for name in names}, folder / file)
        index |= dict.fromkeys(names, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    return folder


def original_logits(
    state: dict[str, torch.Tensor], config: dict[str, Any], tokens: list[int]
) -> torch.Tensor:
    """Compute the logits as the published code does, written down anew from its description."""
    heads, groups = config["num_attention_heads"], config["multi_query_group_num"]
    width, count = config["kv_channels"], len(tokens)

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        rms = x.pow(2).mean(-1, keepdim=True) + config["layernorm_epsilon"]
        scaled: torch.Tensor = x * rms.rsqrt() * state[name]
        return scaled

    half = width // 2
    angles = torch.arange(count)[:, None] / 1e4 ** (torch.arange(0, half, 2) / half)

    def rotate(x: torch.Tensor) -> torch.Tensor:
        turned, kept = x[..., :half], x[..., half:]
        even, odd = turned[..., 0::2], turned[..., 1::2]
        cos, sin = angles.cos()[:, None], angles.sin()[:, None]
        pairs = torch.stack((even * cos - odd * sin, odd * cos + even * sin), -1)
        return torch.cat((pairs.flatten(-2), kept), -1)

    x = state["transformer.embedding.word_embeddings.weight"][tokens]
    for layer in range(config["num_layers"]):
        at = f"transformer.encoder.layers.{layer}."
        fused = functional.linear(
            norm(x, f"{at}input_layernorm.weight"),
            state[f"{at}self_attention.query_key_value.weight"],
            state[f"{at}self_attention.query_key_value.bias"],
        ).view(count, heads + 2 * groups, width)
        query, key, value = torch.split(fused, [heads, groups, groups], 1)
        key, value = (t.repeat_interleave(heads // groups, 1) for t in (rotate(key), value))
        mixed = functional.scaled_dot_product_attention(
            rotate(query).transpose(0, 1),
            key.transpose(0, 1),
            value.transpose(0, 1),
            is_causal=True,
        )
        mixed = mixed.transpose(0, 1).reshape(count, heads * width)
        x = x + mixed @ state[f"{at}self_attention.dense.weight"].T
        inner = (
            norm(x, f"{at}post_attention_layernorm.weight")
            @ state[f"{at}mlp.dense_h_to_4h.weight"].T
        )
        gate, up = inner.chunk(2, -1)
        x = x + (functional.silu(gate) * up) @ state[f"{at}mlp.dense_4h_to_h.weight"].T
    final = norm(x, "transformer.encoder.final_layernorm.weight")
    return final @ state["transformer.output_layer.weight"].T
