"""Glm on CUDA: a step of few kernels, captured once and replayed.

The keys and values are those of `SlotRunner`, which answers until the kernels are compiled.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, cast

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import GlmForCausalLM, PreTrainedModel

from rag.models.engine_slots import SingleRunner, SlotRunner, runner_for

_log = logging.getLogger(__name__)
_CHUNK = 512
# cuDNN's attention was seen to fail on some shapes.
_BACKENDS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


@dataclass(frozen=True, slots=True)
class _Layer:
    first_norm: torch.Tensor
    query_key_value: Any
    out: Any
    second_norm: torch.Tensor
    gate_up: Any
    down: Any


@dataclass(frozen=True, slots=True)
class _Graph:
    """A captured step: `inputs` are its tokens, slots and places [3, count]."""

    graph: torch.cuda.CUDAGraph
    inputs: torch.Tensor
    logits: torch.Tensor


class GlmRunner(SlotRunner):
    """Runs a `GlmForCausalLM` on CUDA in bfloat16, its layers whole or quantised; a `Runner`.

    Kernels are compiled on a thread of its own, `ready` is set when they are (`failed` if they
    can't be); steps are captured as CUDA graphs when first needed, which takes a moment.
    """

    def __init__(self, model: PreTrainedModel, *, slots: int, length: int) -> None:
        super().__init__(model, slots=slots, length=length)
        self.chunk = _CHUNK
        config = model.config
        self._heads = config.num_attention_heads
        self._epsilon = config.rms_norm_eps
        # A slot more, for the rows of a step that nobody needs.
        shape = (slots + 1, config.num_key_value_heads, length, config.head_dim)
        for stored in (self.cache.keys, self.cache.values):
            stored.extend(
                torch.zeros(shape, dtype=model.dtype, device=model.device)
                for _ in range(config.num_hidden_layers)
            )
        self._inverse = model.model.rotary_emb.inv_freq.float()
        self._layers = [_layer(layer) for layer in model.model.layers]
        self._head = _matrix([model.lm_head])
        self._sizes = sorted({*(2**n for n in range(slots.bit_length())), slots})
        self._graphs: dict[int, _Graph] = {}
        self._pool: Any = None
        self.ready = threading.Event()
        self.failed = False
        self._closing = False
        self._compiler = threading.Thread(target=self._compile, name="kernels", daemon=True)

    def start(self) -> None:
        """Begin to compile; until that is done, the model's own code answers."""
        self._compiler.start()

    def close(self) -> None:
        """Wait for the kernel that is being compiled, if any."""
        self._closing = True
        if self._compiler.is_alive():
            self._compiler.join()
        self._graphs.clear()

    @torch.inference_mode()
    def read(self, slot: int, tokens: Sequence[int], start: int) -> torch.Tensor:
        """Read a part of one slot's prompt; see `Runner`."""
        if not self.ready.is_set():
            return super().read(slot, tokens, start)
        return self._head_of(self._prefill(slot, tokens, start)[-1:])[0]

    @torch.inference_mode()
    def step(
        self, slots: Sequence[int], tokens: Sequence[int], places: Sequence[int]
    ) -> torch.Tensor:
        """Put one token into each slot; see `Runner`."""
        if not self.ready.is_set():
            return super().step(slots, tokens, places)
        size = next(size for size in self._sizes if size >= len(slots))
        graph = self._graphs.get(size) or self._capture(size)
        idle = size - len(slots)
        rows = [[*tokens, *[0] * idle], [*slots, *[self.slots] * idle], [*places, *[0] * idle]]
        graph.inputs.copy_(torch.tensor(rows).pin_memory(), non_blocking=True)
        graph.graph.replay()
        return graph.logits[: len(slots)]

    @torch.inference_mode()
    def logits(self, slot: int, tokens: Sequence[int], start: int) -> torch.Tensor:
        """Read a part of one slot's prompt; return the logits that follow each token."""
        return self._head_of(self._prefill(slot, tokens, start))

    def _prefill(self, slot: int, tokens: Sequence[int], start: int) -> torch.Tensor:
        """Read tokens into a slot; return what the head reads of each, before the last norm."""
        end = start + len(tokens)
        inputs = torch.tensor([tokens, range(start, end)]).to(self.device, non_blocking=True)
        slots = torch.full_like(inputs[0], slot)
        mask = None
        if start:
            seen = torch.arange(end, device=self.device)
            mask = seen[None] <= inputs[1][:, None]

        def attend(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
            shared = self._heads // keys.shape[1]
            with sdpa_kernel(_BACKENDS):
                mixed = functional.scaled_dot_product_attention(
                    query.transpose(0, 1)[None],
                    keys[slot, :, :end].repeat_interleave(shared, 0)[None],
                    values[slot, :, :end].repeat_interleave(shared, 0)[None],
                    attn_mask=mask,
                    is_causal=mask is None,
                )
            return mixed[0].transpose(0, 1).reshape(len(tokens), -1)

        return self._through(inputs[0], slots, inputs[1], attend)

    def _decode(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits after one token for each slot; `inputs` as in `_Graph`."""
        from rag.models import engine_kernels as kernels

        tokens, slots, places = inputs

        def attend(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
            return kernels.attend(query, keys, values, slots, places)

        return self._head_of(self._through(tokens, slots, places, attend))

    def _head_of(self, states: torch.Tensor) -> torch.Tensor:
        norm: Any = self.model.model.norm
        logits: torch.Tensor = self._head(states, norm=norm.weight, epsilon=self._epsilon)
        return logits

    def _through(
        self, tokens: torch.Tensor, slots: torch.Tensor, places: torch.Tensor, attend: Any
    ) -> torch.Tensor:
        from rag.models import engine_kernels as kernels

        x = functional.embedding(tokens, self.model.model.embed_tokens.weight)
        epsilon = self._epsilon
        stored = zip(self._layers, self.cache.keys, self.cache.values, strict=True)
        for layer, keys, values in stored:
            fused = layer.query_key_value(x, norm=layer.first_norm, epsilon=epsilon)
            query = kernels.turn_and_keep(
                fused, keys, values, slots, places, self._inverse, self._heads
            )
            x = layer.out(attend(query, keys, values), residual=x)
            inner = layer.gate_up(x, norm=layer.second_norm, epsilon=epsilon, gated=True)
            x = layer.down(inner, residual=x)
        return x

    def _compile(self) -> None:
        """Run every kind of step once, in the slot that nobody has."""
        try:
            with torch.inference_mode(), torch.cuda.stream(torch.cuda.Stream(self.device)):  # type: ignore[no-untyped-call]
                for size in self._sizes:
                    if self._closing:
                        return
                    inputs = torch.zeros(3, size, dtype=torch.long, device=self.device)
                    inputs[1] = self.slots
                    self._decode(inputs)
                self.logits(self.slots, [0] * min(16, self.length), 0)
                torch.cuda.current_stream().synchronize()
            self.ready.set()
        except Exception:
            self.failed = True
            _log.exception("the model's kernels can't be compiled: its own code answers, slower")

    def _capture(self, size: int) -> _Graph:
        inputs = torch.zeros(3, size, dtype=torch.long, device=self.device)
        inputs[1] = self.slots
        self._decode(inputs)  # what is made at the first call must not be made while capturing
        torch.cuda.synchronize(self.device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            logits = self._decode(inputs)
        self._pool = self._pool or graph.pool()
        self._graphs[size] = _Graph(graph, inputs, logits)
        return self._graphs[size]


def _layer(layer: Any) -> _Layer:
    attention, mlp = layer.self_attn, layer.mlp
    return _Layer(
        layer.input_layernorm.weight.detach(),
        _matrix([attention.q_proj, attention.k_proj, attention.v_proj]),
        _matrix([attention.o_proj]),
        layer.post_attention_layernorm.weight.detach(),
        _matrix([mlp.gate_up_proj]),
        _matrix([mlp.down_proj]),
    )


def _matrix(layers: Sequence[Any]) -> Any:
    """Return linear layers as one matrix; their weights become views of its."""
    from rag.models.engine_matrix import Matrix

    bits = getattr(layers[0], "bits", 16)
    weight = _joined(layers, "weight")
    scale = _joined(layers, "weight_scale") if bits != 16 else None
    bias = _joined(layers, "bias") if layers[0].bias is not None else None
    return Matrix(weight, scale, bias, bits)


def _joined(layers: Sequence[Any], name: str) -> torch.Tensor:
    tensors = [getattr(layer, name).detach() for layer in layers]
    if len(tensors) == 1:
        return cast(torch.Tensor, tensors[0].contiguous())
    whole = torch.cat(tensors)
    parts = torch.split(whole, [len(tensor) for tensor in tensors])
    for layer, part in zip(layers, parts, strict=True):
        getattr(layer, name).data = part
    return whole


def fastest_runner(model: PreTrainedModel, *, slots: int, length: int) -> SlotRunner | SingleRunner:
    """Return the fastest runner that a model has on its device, begun to compile if it must."""
    fits = isinstance(model, GlmForCausalLM) and model.dtype == torch.bfloat16
    if fits and model.device.type == "cuda" and not _scattered(model) and find_spec("triton"):
        runner = GlmRunner(model, slots=slots, length=length)
        runner.start()
        return runner
    return runner_for(model, slots=slots, length=length)


def _scattered(model: PreTrainedModel) -> bool:
    """Return whether the model has parts on several devices."""
    return len({parameter.device for parameter in model.parameters()}) > 1
