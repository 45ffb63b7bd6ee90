"""Slots for any model that transformers knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch.nn.functional import pad
from transformers import Cache, DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

_CHUNK = 32
_FIRST = 256


class SlotCache(Cache):
    """Keys and values of all slots, per layer a tensor [slots, heads, places, width] each; they
    grow with the longest sequence."""

    def __init__(self, slots: int, length: int) -> None:
        super().__init__(layer_class_to_replicate=DynamicLayer)
        self.slots, self.length = slots, length
        self.keys: list[torch.Tensor] = []
        self.values: list[torch.Tensor] = []
        self._rows: Any = slice(0)
        self._places: Any = slice(0)
        self._end = 0

    def aim(self, rows: slice | torch.Tensor, places: slice | torch.Tensor, end: int) -> None:
        """Say where the next tokens go, and before which place all that is seen lies."""
        self._rows, self._places, self._end = rows, places, end

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return how many tokens the aimed slots have at most."""
        return self._end

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *_: Any,
        **__: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store what a layer has computed where `aim` said; return all that it may look at."""
        each = isinstance(self._places, torch.Tensor)
        seen = []
        for stored, states in ((self.keys, key_states), (self.values, value_states)):
            layer = self._roomy(stored, layer_idx, states)
            layer[self._rows, :, self._places] = states[:, :, 0] if each else states
            seen.append(layer[self._rows, :, : self._end])
        return seen[0], seen[1]

    def _roomy(
        self, stored: list[torch.Tensor], layer_idx: int, states: torch.Tensor
    ) -> torch.Tensor:
        """Return the layer's tensor with room for what was aimed at."""
        if layer_idx == len(stored):
            stored.append(states.new_zeros(self.slots, states.shape[1], 0, states.shape[3]))
        layer = stored[layer_idx]
        missing = self._end - layer.shape[2]
        if missing > 0:
            more = min(max(missing, layer.shape[2], _FIRST), self.length - layer.shape[2])
            # Zeros and not whatever is there: a masked NaN would still spoil the sum.
            layer = stored[layer_idx] = pad(layer, (0, 0, 0, more))
        return layer


class SlotRunner:
    """Runs a causal model of full attention for many slots at once; a `Runner`."""

    rewinds = True
    whole = False

    def __init__(self, model: PreTrainedModel, *, slots: int, length: int) -> None:
        self.slots, self.length = slots, length
        self.device = _device_of(model)
        self.chunk = _CHUNK if self.device.type == "cpu" else 512
        self.model = model
        self.cache = SlotCache(slots, length)
        model.train(False)

    @torch.inference_mode()
    def read(self, slot: int, tokens: Sequence[int], start: int) -> torch.Tensor:
        """Read a part of one slot's prompt; see `Runner`."""
        end = start + len(tokens)
        self.cache.aim(slice(slot, slot + 1), slice(start, end), end)
        places = torch.arange(start, end, device=self.device)[None]
        return self._forward([tokens], places, end)[0]

    @torch.inference_mode()
    def step(
        self, slots: Sequence[int], tokens: Sequence[int], places: Sequence[int]
    ) -> torch.Tensor:
        """Put one token into each slot; see `Runner`."""
        rows, at = torch.tensor([slots, places], device=self.device)
        self.cache.aim(rows, at, max(places) + 1)
        return self._forward([[token] for token in tokens], at[:, None], max(places) + 1)

    @torch.inference_mode()
    def copy(self, source: int, target: int, count: int) -> None:
        """Copy the first `count` tokens' keys and values; see `Runner`."""
        for layer in (*self.cache.keys, *self.cache.values):
            layer[target, :, :count] = layer[source, :, :count]

    def close(self) -> None:
        """Do nothing: nothing runs in the background."""

    def _forward(
        self, tokens: Sequence[Sequence[int]], places: torch.Tensor, end: int
    ) -> torch.Tensor:
        hidden = torch.arange(end, device=self.device) > places[:, None, :, None]
        mask = torch.zeros(hidden.shape, dtype=self.model.dtype, device=self.device)
        mask.masked_fill_(hidden, torch.finfo(mask.dtype).min)
        output = self.model(
            input_ids=torch.tensor(tokens, device=self.device),
            position_ids=places,
            attention_mask=mask,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits


class SingleRunner:
    """Runs a model that can't be batched by slots, each slot with a cache of the model's own kind:
    sliding windows, recurrent states, or a prompt that looks both ways (such a model says so by an
    attribute `reads_both_ways`); a `Runner`."""

    rewinds = False
    chunk = _CHUNK

    def __init__(self, model: PreTrainedModel, *, slots: int, length: int) -> None:
        self.slots, self.length = slots, length
        self.device = _device_of(model)
        self._model = model
        self.whole = getattr(model, "reads_both_ways", False)
        self._caches = [DynamicCache(config=model.config) for _ in range(slots)]
        model.train(False)

    @torch.inference_mode()
    def read(self, slot: int, tokens: Sequence[int], start: int) -> torch.Tensor:
        """Read a slot's prompt; see `Runner`."""
        if start == 0:
            self._caches[slot] = DynamicCache(config=self._model.config)
        output = self._model(
            input_ids=torch.tensor([tokens], device=self.device),
            past_key_values=self._caches[slot],
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[0, -1]
        return logits

    def step(
        self, slots: Sequence[int], tokens: Sequence[int], places: Sequence[int]
    ) -> torch.Tensor:
        """Put one token into each slot, one after the other; see `Runner`."""
        rows = zip(slots, tokens, places, strict=True)
        return torch.stack([self.read(slot, [token], place) for slot, token, place in rows])

    def copy(self, source: int, target: int, count: int) -> None:
        """Raise: it can't be done, and isn't asked for where `rewinds` is false."""
        raise NotImplementedError

    def close(self) -> None:
        """Do nothing: nothing runs in the background."""


def _device_of(model: PreTrainedModel) -> torch.device:
    """Return where a model takes its input: weights that lie on disk say no device."""
    if model.device.type != "meta":
        return model.device
    spread: dict[str, Any] = cast(Any, model).hf_device_map
    named = [device for device in spread.values() if device not in {"cpu", "disk"}]
    return torch.device(named[0] if named else "cpu")


def runner_for(model: PreTrainedModel, *, slots: int, length: int) -> SlotRunner | SingleRunner:
    """Return the runner that suits a model."""
    layers = DynamicCache(config=model.config).layers
    plain = all(type(layer) is DynamicLayer for layer in layers)
    if plain and not getattr(model, "reads_both_ways", False):
        return SlotRunner(model, slots=slots, length=length)
    return SingleRunner(model, slots=slots, length=length)
