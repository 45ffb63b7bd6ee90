"""Compare our int4 with llama.cpp's q4_0 on a CPU: layers of ChatGLM2-6B's shape, random weights.

    pip install gguf && python bench/cpu_int4.py [FOLDER]     400 MB are written below FOLDER

Both have the same shapes, threads and work, by turns in one process: a prompt is read, then tokens
are written one by one. Every figure is the median of five; the vocabulary is small, so that layers
are what is measured.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gguf
import numpy as np
import torch
from transformers import GlmForCausalLM

sys.path.insert(0, str(Path(__file__).parent.parent))

from rag.models.engine_slots import SlotRunner
from rag.models.glm_weights import glm_config
from rag.models.quantisation import quantised_layers, use_quantised

LAYERS, WORDS, SIZE, INNER, HEADS, GROUPS = 4, 2048, 4096, 13696, 32, 2
FUSED = SIZE + 2 * GROUPS * (SIZE // HEADS)
PROMPT, MADE, THREADS, REPEATS = 128, 32, 2, 5
Rates = tuple[float, float]
"""Tokens a second, read and written."""


def ours() -> SlotRunner:
    """Return our runner of an int4 model."""
    config = glm_config(
        {
            "num_layers": LAYERS,
            "padded_vocab_size": WORDS,
            "hidden_size": SIZE,
            "ffn_hidden_size": INNER,
            "num_attention_heads": HEADS,
            "multi_query_attention": True,
            "multi_query_group_num": GROUPS,
            "kv_channels": SIZE // HEADS,
            "layernorm_epsilon": 1e-5,
            "seq_length": 4096,
            "add_qkv_bias": True,
        },
        "chatglm2",
    )
    config.dtype = torch.bfloat16
    with torch.device("meta"):
        model = GlmForCausalLM(config)
        use_quantised(model.model.layers, 4, torch.bfloat16)
    model = model.to_empty(device="cpu")
    model.model.rotary_emb = type(model.model.rotary_emb)(config)
    for parameter in model.parameters():
        parameter.data = torch.randn_like(parameter).mul_(0.02).bfloat16()
    for layer in quantised_layers(model):
        layer.weight.random_(-128, 128)
        layer.weight_scale.fill_(0.004)
        layer.prepare(torch.bfloat16)
    return SlotRunner(model, slots=1, length=PROMPT + MADE)


def our_rates(runner: SlotRunner, tokens: list[int]) -> Rates:
    """Read a prompt at once, then write."""
    began = time.perf_counter()
    runner.read(0, tokens, 0)
    read = time.perf_counter()
    for place in range(PROMPT, PROMPT + MADE):
        runner.step([0], [tokens[0]], [place]).argmax(-1).tolist()
    return PROMPT / (read - began), MADE / (time.perf_counter() - read)


def write_gguf(file: Path) -> None:
    """Write the same shapes in q4_0: blocks of 32 weights, a float16 scale and 16 bytes each."""
    chance = np.random.default_rng(0)
    writer = gguf.GGUFWriter(file, "chatglm")
    writer.add_context_length(4096)
    writer.add_embedding_length(SIZE)
    writer.add_feed_forward_length(INNER)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(GROUPS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(SIZE // HEADS // 2)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    words += [f"▁w{at}" for at in range(WORDS - len(words))]
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2, *[gguf.TokenType.BYTE] * 256]
    kinds += [gguf.TokenType.NORMAL] * (WORDS - len(kinds))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(words)
    writer.add_token_scores([0.0] * WORDS)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)

    def packed(name: str, rows: int, columns: int) -> None:
        blocks = chance.integers(0, 256, (rows, columns // 32, 18), dtype=np.uint8)
        blocks[..., :2] = np.frombuffer(np.float16(0.004).tobytes(), np.uint8)
        tensor = blocks.reshape(rows, -1)
        writer.add_tensor(f"{name}.weight", tensor, raw_dtype=gguf.GGMLQuantizationType.Q4_0)

    def whole(name: str, *shape: int) -> None:
        writer.add_tensor(name, chance.normal(1, 0.02, shape).astype(np.float32))

    packed("token_embd", WORDS, SIZE)
    packed("output", WORDS, SIZE)
    whole("output_norm.weight", SIZE)
    for at in range(LAYERS):
        whole(f"blk.{at}.attn_norm.weight", SIZE)
        whole(f"blk.{at}.attn_qkv.bias", FUSED)
        whole(f"blk.{at}.ffn_norm.weight", SIZE)
        packed(f"blk.{at}.attn_qkv", FUSED, SIZE)
        packed(f"blk.{at}.attn_output", SIZE, SIZE)
        packed(f"blk.{at}.ffn_up", 2 * INNER, SIZE)
        packed(f"blk.{at}.ffn_down", SIZE, INNER)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def theirs(file: Path) -> Any:
    """Return llama.cpp's server of the file."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx, params.n_parallel = 512, 1
    params.n_batch = params.n_ubatch = PROMPT
    params.warmup = params.fit_params = params.ui = False
    params.cache_ram_mib = 0
    params.verbosity = -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = THREADS
    return xllamacpp.Server(params)


def their_rates(server: Any, tokens: list[int]) -> Rates:
    """Have llama.cpp do the same; the times are its own."""
    said: list[dict[str, Any]] = []
    server.handle_completions(
        {
            "prompt": tokens,
            "n_predict": MADE,
            "temperature": 0,
            "ignore_eos": True,
            "cache_prompt": False,
        },
        said.append,
    )
    times = said[-1]["timings"]
    assert (times["prompt_n"], times["predicted_n"]) == (PROMPT, MADE), times  # noqa: S101
    return times["prompt_per_second"], times["predicted_per_second"]


def main() -> int:
    """Measure by turns; print rates and ratios."""
    torch.set_num_threads(THREADS)
    rates: dict[str, list[Rates]] = {"ours": [], "llama.cpp": []}
    with TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as folder:
        file = Path(folder) / "q4_0.gguf"
        write_gguf(file)
        turns: dict[str, Callable[[list[int]], Rates]] = {
            "ours": partial(our_rates, ours()),
            "llama.cpp": partial(their_rates, theirs(file)),
        }
        for at in range(REPEATS + 1):
            chance = np.random.default_rng(at)
            tokens = chance.integers(300, WORDS, PROMPT).tolist()
            for name, measure in turns.items():
                measured = measure(tokens)
                if at:  # the first round warms up
                    rates[name].append(measured)
    middle = {
        name: {
            "read": statistics.median(read for read, _ in rows),
            "written": statistics.median(written for _, written in rows),
        }
        for name, rows in rates.items()
    }
    ratios = {
        what: round(middle["ours"][what] / middle["llama.cpp"][what], 2)
        for what in ("read", "written")
    }
    report = {"layers": LAYERS, "threads": THREADS, "tokens/s": middle, "ours to theirs": ratios}
    print(json.dumps({**report, "all": rates}, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
