"""The first ChatGLM-6B on transformers' base classes, computing as its published code does.

What is special about it: the prompt up to its last two tokens, `[gMASK] <sop>`, is read in both
directions; a position has two numbers, where a token stands in the prompt and how far it is behind
`<sop>`, each turning half of every head; and a layer's residual is the norm's output, scaled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional
from transformers import Cache, DynamicCache, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from rag.errors import ModelFailed

# The residual's scale has this number of layers in it however many the model has.
_LAYERS_OF_ALPHA = 28


class ChatGLM6BConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """The published config.json of a ChatGLM-6B."""

    model_type = "chatglm-6b"

    def __init__(
        self,
        vocab_size: int = 130528,
        hidden_size: int = 4096,
        inner_hidden_size: int = 16384,
        num_layers: int = 28,
        num_attention_heads: int = 32,
        layernorm_epsilon: float = 1e-5,
        max_sequence_length: int = 2048,
        mask_token_id: int = 130000,
        gmask_token_id: int = 130001,
        **kwargs: Any,
    ) -> None:
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.inner_hidden_size = inner_hidden_size
        self.num_hidden_layers = num_layers
        self.num_attention_heads = num_attention_heads
        self.layernorm_epsilon = layernorm_epsilon
        self.max_position_embeddings = max_sequence_length
        self.mask_token_id = mask_token_id
        self.gmask_token_id = gmask_token_id
        tokens = {"bos_token_id": 130004, "eos_token_id": 130005, "pad_token_id": 3}
        super().__init__(**tokens | {"tie_word_embeddings": True} | kwargs)


_SETTINGS = (
    "vocab_size",
    "hidden_size",
    "inner_hidden_size",
    "num_layers",
    "num_attention_heads",
    "layernorm_epsilon",
    "max_sequence_length",
    "mask_token_id",
    "gmask_token_id",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
)


def chatglm6b_config(original: Mapping[str, Any]) -> ChatGLM6BConfig:
    """Translate an original config.json; raise `ModelFailed` with the reason if it can't be run."""
    if not original.get("position_encoding_2d", True):
        raise ModelFailed("This checkpoint has position_encoding_2d: false, which isn't supported.")
    if original.get("pre_seq_len"):
        raise ModelFailed("This checkpoint has a P-tuning prefix (pre_seq_len): not supported.")
    known = {name: original[name] for name in _SETTINGS if name in original}
    return ChatGLM6BConfig(**known)


class Reading:
    """How a batch of prompts is read: where each begins, where its answer does, and its mask.

    A cache keeps it from the prompt for the tokens that follow, each of which is a step further.
    """

    def __init__(
        self, tokens: torch.Tensor, padding: torch.Tensor | None, config: ChatGLM6BConfig
    ) -> None:
        begins = tokens == config.bos_token_id
        gmask, mask = (tokens == t for t in (config.gmask_token_id, config.mask_token_id))
        masked = torch.where(gmask.any(1, keepdim=True), gmask, mask)
        if not (begins.any(1) & masked.any(1)).all():
            raise ModelFailed("A prompt for ChatGLM-6B ends with [gMASK] and <sop>: one is absent.")
        self.pads = (
            torch.zeros(len(tokens), 1, dtype=torch.long, device=tokens.device)
            if padding is None
            else (padding == 0).sum(1, keepdim=True)
        )
        self.context = begins.int().argmax(1, keepdim=True)
        """The index of `<sop>` in each row: what is before it is read in both directions."""
        self.place = masked.int().argmax(1, keepdim=True) - self.pads
        """The first position of everything from `<sop>` on."""

    def positions(self, start: int, count: int) -> torch.Tensor:
        """Return (batch, 2, count): the positions of the tokens from index `start` on."""
        index = torch.arange(start, start + count, device=self.pads.device)[None]
        behind = index >= self.context
        first = torch.where(behind, self.place, (index - self.pads).clamp(min=0))
        second = torch.where(behind, index - self.context + 1, 0)
        return torch.stack((first, second), 1)

    def visible(self, start: int, count: int) -> torch.Tensor:
        """Return (batch, 1, count, start + count): which tokens each of the last ones sees."""
        rows = torch.arange(start, start + count, device=self.pads.device)[:, None]
        columns = torch.arange(start + count, device=self.pads.device)[None]
        seen = (columns <= rows)[None] | (columns[None] < self.context[:, :, None])
        seen = seen & (columns[None] >= self.pads[:, :, None])
        # A padding token would see nothing, and so average nothing: it sees itself.
        visible: torch.Tensor = (seen | (columns == rows)[None])[:, None]
        return visible


class Rotary(nn.Module):
    """Turns one half of each head by the first position and the other by the second."""

    inverse: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        inverse = 1 / (10000 ** (torch.arange(0, half, 2, device="cpu").float() / half))
        # The published code makes its table in half precision: its rounding is part of the model.
        self.register_buffer("inverse", inverse.half().float(), persistent=False)

    def forward(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the cosines and sines, (batch, 2, 1, count, width / 2), of positions."""
        angles = positions[:, :, None, :, None].float() * self.inverse
        angles = torch.cat((angles, angles), -1)
        return angles.cos(), angles.sin()


def rotate(states: torch.Tensor, turn: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Return (batch, heads, count, width) states, turned."""
    halves = []
    for at, half in enumerate(states.float().chunk(2, -1)):
        left, right = half.chunk(2, -1)
        halves.append(half * turn[0][:, at] + torch.cat((-right, left), -1) * turn[1][:, at])
    return torch.cat(halves, -1).to(states.dtype)


class Attention(nn.Module):
    """Self-attention; query, key and value stand side by side within each head's weights."""

    def __init__(self, config: ChatGLM6BConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.heads = layer, config.num_attention_heads
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(
        self,
        states: torch.Tensor,
        turn: tuple[torch.Tensor, torch.Tensor],
        visible: torch.Tensor,
        cache: Cache | None,
    ) -> torch.Tensor:
        """Return what each token takes from those that are visible to it."""
        batch, count, size = states.shape
        fused = self.query_key_value(states).view(batch, count, self.heads, -1).transpose(1, 2)
        query, key, value = fused.chunk(3, -1)
        query, key = rotate(query, turn), rotate(key, turn)
        if cache is not None:
            key, value = cache.update(key, value, self.layer)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        mixed = self.dense(mixed.transpose(1, 2).reshape(batch, count, size))
        return cast(torch.Tensor, mixed)


class FeedForward(nn.Module):
    """Two linear layers with GELU, in its tanh form, between them."""

    def __init__(self, config: ChatGLM6BConfig) -> None:
        super().__init__()
        self.dense_h_to_4h = nn.Linear(config.hidden_size, config.inner_hidden_size)
        self.dense_4h_to_h = nn.Linear(config.inner_hidden_size, config.hidden_size)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return each token's states, transformed."""
        inner = functional.gelu(self.dense_h_to_4h(states), approximate="tanh")
        return cast(torch.Tensor, self.dense_4h_to_h(inner))


class Layer(nn.Module):
    """Attention and feed-forward, each added to its own input *after* the norm, scaled up."""

    def __init__(self, config: ChatGLM6BConfig, layer: int) -> None:
        super().__init__()
        size, epsilon = config.hidden_size, config.layernorm_epsilon
        self.input_layernorm = nn.LayerNorm(size, eps=epsilon)
        self.attention = Attention(config, layer)
        self.post_attention_layernorm = nn.LayerNorm(size, eps=epsilon)
        self.mlp = FeedForward(config)
        self.alpha = math.sqrt(2 * _LAYERS_OF_ALPHA)

    def forward(
        self,
        states: torch.Tensor,
        turn: tuple[torch.Tensor, torch.Tensor],
        visible: torch.Tensor,
        cache: Cache | None,
    ) -> torch.Tensor:
        """Return the layer's output."""
        states = self.input_layernorm(states)
        states = self.alpha * states + self.attention(states, turn, visible, cache)
        states = self.post_attention_layernorm(states)
        return cast(torch.Tensor, self.alpha * states + self.mlp(states))


class Transformer(nn.Module):
    """The layers between the embedding and the head, under their published names."""

    def __init__(self, config: ChatGLM6BConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.rotary = Rotary(config.hidden_size // config.num_attention_heads)
        self.layers = nn.ModuleList(Layer(config, at) for at in range(config.num_hidden_layers))
        self.final_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layernorm_epsilon)

    def forward(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        visible: torch.Tensor,
        cache: Cache | None,
    ) -> torch.Tensor:
        """Return the states that the head reads."""
        turn = self.rotary(positions)
        states = self.word_embeddings(tokens)
        for layer in self.layers:
            states = layer(states, turn, visible, cache)
        return cast(torch.Tensor, self.final_layernorm(states))


class ChatGLM6B(PreTrainedModel, GenerationMixin):  # type: ignore[no-untyped-call]
    """ChatGLM-6B with its head. A prompt must come whole in the first call, with its `<sop>`."""

    config_class = ChatGLM6BConfig
    base_model_prefix = "transformer"
    _no_split_modules = ["Layer"]  # noqa: RUF012 - so in the base class
    _tied_weights_keys = {"lm_head.weight": "transformer.word_embeddings.weight"}  # noqa: RUF012
    _supports_sdpa = True
    reads_both_ways = True
    """Every token of a prompt sees those behind it: it can't be read in parts."""

    def __init__(self, config: ChatGLM6BConfig) -> None:
        super().__init__(config)
        self.transformer = Transformer(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    def get_input_embeddings(self) -> Any:
        """Return the embedding."""
        return self.transformer.word_embeddings

    def get_output_embeddings(self) -> Any:
        """Return the head."""
        return self.lm_head

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        positions: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool = False,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Return the logits; `attention_mask` tells padding on the left, (batch, tokens).

        `positions`, (batch, 2, tokens), replaces those that the tokens tell.
        """
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        start = past_key_values.get_seq_length() if past_key_values is not None else 0
        reading = getattr(past_key_values, "reading", None) if start else None
        if reading is None:
            reading = Reading(input_ids, attention_mask, cast(ChatGLM6BConfig, self.config))
            if past_key_values is not None:
                past_key_values.reading = reading  # type: ignore[attr-defined]
        count = input_ids.shape[1]
        if positions is None:
            positions = reading.positions(start, count)
        visible = reading.visible(start, count)
        states = self.transformer(input_ids, positions, visible, past_key_values)
        kept = states[:, -logits_to_keep:] if logits_to_keep else states
        return CausalLMOutputWithPast(logits=self.lm_head(kept), past_key_values=past_key_values)
