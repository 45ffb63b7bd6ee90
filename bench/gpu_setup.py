"""What bench/gpu.py measures with: a model of ChatGLM2-6B's shape, and requests that note times."""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import GlmConfig, GlmForCausalLM

sys.path.insert(0, str(Path(__file__).parent.parent))

from rag.models.engine import Engine, Request
from rag.models.engine_glm import GlmRunner, fastest_runner
from rag.models.quantisation import quantised_layers, use_quantised

REPEATS = 5
BITS = {"bf16": 16, "int8": 8, "int4": 4}


@dataclass(frozen=True)
class Size:
    """What is measured."""

    device: torch.device
    config: GlmConfig
    prompt: int
    made: int
    long_prompt: int
    crowds: tuple[int, ...]

    @property
    def length(self) -> int:
        """Tokens of a slot."""
        return 2 * self.prompt


def glm(hidden: int, inner: int, layers: int, heads: int, groups: int, words: int) -> GlmConfig:
    """Return a config in ChatGLM2's manner."""
    return GlmConfig(
        vocab_size=words,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        head_dim=hidden // heads,
        rms_norm_eps=1e-5,
        max_position_embeddings=32768,
        attention_bias=True,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 1e4,
            "partial_rotary_factor": 0.5,
        },
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=False,
    )


LARGE = Size(torch.device("cuda"), glm(4096, 13696, 28, 32, 2, 65024), 512, 256, 2000, (32, 64))
TINY = Size(torch.device("cpu"), glm(64, 96, 2, 4, 2, 512), 16, 8, 40, (3,))


def build(size: Size, bits: int) -> GlmForCausalLM:
    """Return a model with random weights, made on its device."""
    torch.manual_seed(0)
    with torch.device("meta"):
        model = GlmForCausalLM(size.config).bfloat16()  # nothing is ever made in float32
    if bits != 16:
        use_quantised(model.model.layers, 4 if bits == 4 else 8, torch.bfloat16)
    for module in model.modules():
        for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
            if tensor is None or not tensor.is_meta:
                continue
            made = torch.empty(tensor.shape, dtype=tensor.dtype, device=size.device)
            if tensor.dtype == torch.int8:
                made.random_(-128, 128)
            elif "norm" in type(module).__name__.lower():
                made.fill_(1)
            elif name == "weight_scale":
                made.fill_(0.02 / (5 if bits == 4 else 73))
            else:
                made.normal_(std=0.02)
            if name in module._parameters:
                module._parameters[name] = torch.nn.Parameter(made, requires_grad=False)
            else:
                module._buffers[name] = made
    rotary = model.model.rotary_emb
    model.model.rotary_emb = type(rotary)(size.config).to(size.device)
    for layer in quantised_layers(model):
        layer.prepare(torch.bfloat16)
    model.config.dtype = torch.bfloat16
    return model


def settle(size: Size) -> None:
    """Wait until the GPU has done all that it was given."""
    if size.device.type == "cuda":
        torch.cuda.synchronize()


def clear(size: Size) -> None:
    """Give memory back."""
    import gc

    gc.collect()
    if size.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def median(measure: Callable[[], float]) -> float:
    """Return the median of five."""
    return statistics.median(measure() for _ in range(REPEATS))


def copy_bandwidth(size: Size) -> float:
    """Return bytes a second, read and written, of a large copy on the device."""
    source = torch.empty((1 << 31) if size.device.type == "cuda" else 1 << 20, dtype=torch.uint8)
    source = source.to(size.device)
    target = torch.empty_like(source)

    def once() -> float:
        settle(size)
        began = time.perf_counter()
        for _ in range(10):
            target.copy_(source)
        settle(size)
        return 20 * source.numel() / (time.perf_counter() - began)

    once()
    return median(once)


def step_bytes(model: GlmForCausalLM, size: Size, count: int, context: int) -> int:
    """Return the fewest bytes that a step reads: all weights but the embedding's, and the keys and
    values of `count` requests."""
    embedding = {id(model.model.embed_tokens.weight)}
    seen: dict[int, int] = {}
    for tensor in [*model.parameters(), *model.buffers()]:
        if id(tensor) not in embedding:
            seen[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
    config: Any = size.config
    a_token = 2 * 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
    return int(sum(seen.values()) + count * context * a_token)


@contextmanager
def engine(model: GlmForCausalLM, size: Size, slots: int, length: int) -> Iterator[Engine]:
    """Yield an engine whose kernels are compiled."""
    runner = fastest_runner(model, slots=slots, length=length)
    if isinstance(runner, GlmRunner):
        assert runner.ready.wait(300), "the kernels were not compiled"  # noqa: S101
    one = Engine(runner, queue=1000)
    try:
        yield one
    finally:
        one.close()
        clear(size)


def prompt(size: Size, length: int, seed: int) -> list[int]:
    """Return random tokens."""
    chance = torch.Generator().manual_seed(seed)
    return torch.randint(3, size.config.vocab_size, (length,), generator=chance).tolist()


@dataclass
class Answer:
    """When a request was made and when its tokens came."""

    asked: float
    times: list[float]
    ended: threading.Event
    error: BaseException | None = None


def ask(one: Engine, tokens: Sequence[int], limit: int, user: str) -> Answer:
    """Queue a request that notes when its tokens come."""
    answer = Answer(time.perf_counter(), [], threading.Event())

    def put(item: int | BaseException | None) -> None:
        if isinstance(item, int):
            answer.times.append(time.perf_counter())
            return
        answer.error = item
        answer.ended.set()

    one.submit(Request(tokens, limit, put, user=user))
    return answer
