"""ChatGLM checkpoints as published: the second and third generation are transformers' own Glm."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import torch
from transformers import GlmConfig, GlmForCausalLM, PreTrainedModel

from rag.errors import ModelFailed
from rag.models.chatglm6b import ChatGLM6B, Rotary, chatglm6b_config
from rag.models.checkpoint import read_config, shards, tensors
from rag.models.placing import Place, fill
from rag.models.quantisation import use_quantised

Generation = Literal["chatglm", "chatglm2", "chatglm3"]

# What the original code could be told to do, and Glm does not do: setting, the value it must have.
_ONLY: Mapping[str, Any] = {
    "rmsnorm": True,
    "apply_residual_connection_post_layernorm": False,
    "post_layer_norm": True,
    "add_bias_linear": False,
    "original_rope": True,
    "pre_seq_len": None,
}
_NAMES = (
    (re.compile(r"^transformer\.embedding\.word_embeddings\."), "model.embed_tokens."),
    (re.compile(r"^transformer\.encoder\.final_layernorm\."), "model.norm."),
    (re.compile(r"^transformer\.output_layer\."), "lm_head."),
    (re.compile(r"^transformer\.encoder\.layers\."), "model.layers."),
    (re.compile(r"\.self_attention\.dense\."), ".self_attn.o_proj."),
    (re.compile(r"\.mlp\.dense_h_to_4h\."), ".mlp.gate_up_proj."),
    (re.compile(r"\.mlp\.dense_4h_to_h\."), ".mlp.down_proj."),
)
_FUSED = ".self_attention.query_key_value."
_DROPPED = "transformer.rotary_pos_emb.inv_freq"


def glm_config(original: Mapping[str, Any], generation: Generation) -> GlmConfig:
    """Translate an original config.json; raise `ModelFailed` with the reason if Glm differs."""
    _check(original)
    try:
        heads = original["num_attention_heads"]
        grouped = original.get("multi_query_attention", False)
        return GlmConfig(
            vocab_size=original["padded_vocab_size"],
            hidden_size=original["hidden_size"],
            intermediate_size=original["ffn_hidden_size"],
            num_hidden_layers=original["num_layers"],
            num_attention_heads=heads,
            num_key_value_heads=original["multi_query_group_num"] if grouped else heads,
            head_dim=original["kv_channels"],
            rms_norm_eps=original["layernorm_epsilon"],
            max_position_embeddings=original["seq_length"],
            attention_bias=original.get("add_qkv_bias", False),
            rope_parameters=_rope(float(original.get("rope_ratio") or 1), generation),
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            tie_word_embeddings=False,
        )
    except KeyError as error:
        raise ModelFailed(f"This checkpoint's config.json has no {error}.") from error
    except (TypeError, ValueError) as error:
        raise ModelFailed(f"This checkpoint's config.json cannot be used: {error}") from error


def _check(original: Mapping[str, Any]) -> None:
    if "num_layers" not in original or is_first_generation(original):
        raise ModelFailed(
            "This is not a ChatGLM2 or ChatGLM3 checkpoint: the first ChatGLM-6B is another "
            "architecture, and GLM-4 and other models load with provider: transformers."
        )
    for name, value in _ONLY.items():
        if original.get(name, value) != value:
            raise ModelFailed(
                f"This checkpoint cannot be loaded: its config.json has {name}: "
                f"{original[name]!r}, only {value!r} is supported."
            )
    _bits(original)


def _bits(config: Mapping[str, Any]) -> Literal[0, 4, 8]:
    """Return to how many bits a checkpoint is quantised, 0 for not at all."""
    bits = config.get("quantization_bit") or 0
    if bits not in {0, 4, 8}:
        raise ModelFailed(
            f"This checkpoint is quantised to {bits} bits: only 4, 8 or none can be loaded."
        )
    return cast(Literal[0, 4, 8], bits)


def is_first_generation(config: Mapping[str, Any]) -> bool:
    """Tell whether an original config.json is the first ChatGLM-6B's."""
    return "position_encoding_2d" in config or "inner_hidden_size" in config


def _rope(ratio: float, generation: Generation) -> dict[str, Any]:
    """Return the rotary settings: ChatGLM2-32k divides positions, ChatGLM3-32k raises the base."""
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}
    if ratio != 1 and generation == "chatglm2":
        rope |= {"rope_type": "linear", "factor": ratio}
    elif ratio != 1:
        rope["rope_theta"] *= ratio
    return rope


def open_glm(
    folder: Path,
    generation: Generation,
    *,
    device: torch.device,
    dtype: torch.dtype,
    source: str = "",
    memory: Mapping[int | str, int | str] | None = None,
    offload: Path | None = None,
) -> PreTrainedModel:
    """Return the checkpoint's model; quantised layers stay quantised (`QuantisedLinear`).

    It is `GlmForCausalLM`, or `ChatGLM6B` for a folder of the first generation, whatever
    `generation` says. `memory` and `offload` are `Place`'s. Raise `ModelMissing` or `ModelFailed`.
    """
    original = read_config(folder, source)
    make = _first_generation if is_first_generation(original) else _glm
    place = Place(device, dtype, memory or {}, offload)
    files = shards(folder, source)
    try:
        model, weights = make(original, generation, place, tensors(files))
        fill(model, weights, place)
    except (ModelFailed, RuntimeError) as error:
        raise ModelFailed(f"The model in {folder} cannot be used: {error}") from error
    return model


_Weights = Iterator[tuple[str, torch.Tensor]]


def _glm(
    original: Mapping[str, Any], generation: Generation, place: Place, weights: _Weights
) -> tuple[PreTrainedModel, _Weights]:
    """Return an empty model of the second or third generation, and its weights by its names."""
    config = _native_config(original) or glm_config(original, generation)
    config.dtype = place.dtype
    # On the meta device nothing is allocated: each tensor becomes the model's own as it is read.
    with torch.device("meta"):
        model = GlmForCausalLM(config)
        if bits := _bits(original):
            use_quantised(model.model.layers, bits, place.dtype)
    # The rotary table isn't in the files: it is computed anew, off the meta device.
    model.model.rotary_emb = type(model.model.rotary_emb)(config).to(place.device)
    return model, native_tensors(weights, config)


def _first_generation(
    original: Mapping[str, Any], generation: Generation, place: Place, weights: _Weights
) -> tuple[PreTrainedModel, _Weights]:
    """Return an empty ChatGLM-6B, and its weights by its names."""
    config = chatglm6b_config(original)
    config.dtype = place.dtype
    with torch.device("meta"):
        model = ChatGLM6B(config)
        if bits := _bits(original):
            use_quantised(model.transformer.layers, bits, place.dtype)
    model.transformer.rotary = Rotary(config.hidden_size // config.num_attention_heads)
    model.transformer.rotary.to(place.device)
    return model, first_generation_tensors(weights)


def first_generation_tensors(
    weights: Iterable[tuple[str, torch.Tensor]],
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the first generation's tensors without what isn't read: tables, and the head, which is
    the embedding once more."""
    for name, tensor in weights:
        if name != "lm_head.weight" and not name.endswith("rotary_emb.inv_freq"):
            yield name, tensor


def _native_config(config: Mapping[str, Any]) -> GlmConfig | None:
    """Return the config of a folder that `teamglm models` wrote, or that transformers did."""
    if config.get("model_type") != "glm":
        return None
    names = {name: value for name, value in config.items() if name != "quantization_bit"}
    return GlmConfig.from_dict(names)


def native_tensors(
    weights: Iterable[tuple[str, torch.Tensor]], config: GlmConfig
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield original tensors under Glm's names, the fused query, key and value in three."""
    width, groups = config.head_dim or 0, config.num_key_value_heads or 0
    sizes = [config.num_attention_heads * width, groups * width, groups * width]
    for name, tensor in weights:
        if name == _DROPPED:
            continue
        for pattern, replacement in _NAMES:
            name = pattern.sub(replacement, name)
        if _FUSED not in name:
            yield name, tensor
            continue
        for part, piece in zip("qkv", torch.split(tensor, sizes), strict=True):
            # A copy of its own: a part of a tensor would keep the whole of it in memory.
            yield name.replace(_FUSED, f".self_attn.{part}_proj."), piece.clone()
