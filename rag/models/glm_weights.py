"""A ChatGLM2 or ChatGLM3 checkpoint as published, opened as transformers' own Glm model."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from transformers import GlmConfig, GlmForCausalLM

from rag.errors import ModelFailed
from rag.models.checkpoint import read_config, shards

Generation = Literal["chatglm2", "chatglm3"]

_log = logging.getLogger(__name__)
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
_SCALE = "_scale"


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
    if "num_layers" not in original or "position_encoding_2d" in original:
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
    if original.get("quantization_bit", 0) not in {0, 4}:
        raise ModelFailed(
            f"This checkpoint is quantised to {original['quantization_bit']} bits: only float16 "
            "and int4 folders can be loaded."
        )


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
) -> GlmForCausalLM:
    """Return the checkpoint as a Glm model; int4 weights are unpacked to `dtype`, so that they take
    as much memory as float16 ones. Raise `ModelMissing` or `ModelFailed`."""
    original = read_config(folder, source)
    config = glm_config(original, generation)
    config.dtype = dtype
    files = shards(folder, source)
    if original.get("quantization_bit"):
        _log.warning(
            "%s: int4 weights are unpacked to %s and take as much memory as if they had never been "
            "packed",
            folder,
            dtype,
        )
    width, groups = config.head_dim or 0, config.num_key_value_heads or 0
    sizes = (config.num_attention_heads * width, groups * width, groups * width)
    # On the meta device nothing is allocated: each tensor becomes the model's own as it is read.
    with torch.device("meta"):
        model = GlmForCausalLM(config)
    try:
        scales = dict(_read(files, lambda name: name.endswith(_SCALE)))
        state: dict[str, torch.Tensor] = {}
        for name, tensor in _read(files, lambda name: not name.endswith(_SCALE)):
            if tensor.dtype == torch.int8:
                tensor = _unpack(tensor, scales[name + _SCALE], dtype)
            for native, part in _native(name, tensor, sizes):
                state[native] = part.to(device=device, dtype=dtype)
        missing, unexpected = model.load_state_dict(state, strict=False, assign=True)
    except KeyError as error:
        raise ModelFailed(f"{folder} has int4 weights without their scale {error}.") from error
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ModelFailed(f"The weights in {folder} cannot be read: {error}") from error
    if missing or unexpected:
        odd = ", ".join(sorted([*missing, *unexpected])[:3])
        raise ModelFailed(f"The weights in {folder} do not fit its config.json: {odd}…")
    # The rotary table isn't in the files: it is computed anew, off the meta device.
    rotary = model.model.rotary_emb
    model.model.rotary_emb = type(rotary)(config).to(device)
    model.requires_grad_(False)
    model.train(False)
    return model


def _read(
    files: Iterable[Path], wanted: Callable[[str], bool]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the wanted tensors, with never more than one file open."""
    for file in files:
        with safe_open(file, framework="pt") as shard:
            for name in shard.keys():  # noqa: SIM118 - not a mapping
                if name != _DROPPED and wanted(name):
                    yield name, shard.get_tensor(name)


def _native(
    name: str, tensor: torch.Tensor, sizes: Sequence[int]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what an original tensor is in Glm: the fused query, key and value are three of these
    `sizes`."""
    for pattern, replacement in _NAMES:
        name = pattern.sub(replacement, name)
    if _FUSED not in name:
        yield name, tensor
        return
    for part, piece in zip("qkv", torch.split(tensor, list(sizes)), strict=True):
        yield name.replace(_FUSED, f".self_attn.{part}_proj."), piece


def _unpack(packed: torch.Tensor, scale: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return the weights of an int4 matrix: two to a byte, the high nibble first, signed."""
    nibbles = torch.stack((packed >> 4, (packed << 4) >> 4), dim=-1).flatten(1)
    return (nibbles.float() * scale.float()[:, None]).to(dtype)
