"""Measure how much memory loading takes, on a sharded folder of ChatGLM2-6B's shape in float16.

    python bench/loading.py [FOLDER]      12.5 GB are written below FOLDER, and deleted again

Random numbers are written shard by shard and loaded in a process of its own, as the bot loads them.
Linux only: the peak is the kernel's own (VmHWM).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parent.parent))

from rag.models.glm_weights import open_glm
from rag.models.placing import weights_of

CONFIG = {
    "model_type": "chatglm",
    "add_qkv_bias": True,
    "ffn_hidden_size": 13696,
    "hidden_size": 4096,
    "kv_channels": 128,
    "layernorm_epsilon": 1e-5,
    "multi_query_attention": True,
    "multi_query_group_num": 2,
    "num_attention_heads": 32,
    "num_layers": 28,
    "padded_vocab_size": 65024,
    "seq_length": 32768,
    "torch_dtype": "float16",
}
_A_SHARD = 4
_BLOCK = 1 << 20


def made(*shape: int) -> torch.Tensor:
    """Return numbers that no file system or memory can fold together for being zeros."""
    count = int(torch.tensor(shape).prod())
    block = torch.randn(_BLOCK).mul_(0.02).half()
    return block.repeat(-(-count // _BLOCK))[:count].reshape(shape)


def layer(at: int) -> dict[str, torch.Tensor]:
    """Return a layer's tensors under their published names."""
    name, size, inner = f"transformer.encoder.layers.{at}.", 4096, 13696
    return {
        f"{name}input_layernorm.weight": made(size),
        f"{name}post_attention_layernorm.weight": made(size),
        f"{name}self_attention.query_key_value.weight": made(4608, size),
        f"{name}self_attention.query_key_value.bias": made(4608),
        f"{name}self_attention.dense.weight": made(size, size),
        f"{name}mlp.dense_h_to_4h.weight": made(2 * inner, size),
        f"{name}mlp.dense_4h_to_h.weight": made(size, inner),
    }


def write(folder: Path) -> int:
    """Write the folder; return the weights' bytes."""
    (folder / "config.json").write_text(json.dumps(CONFIG))
    index: dict[str, str] = {}
    total = 0
    for first in range(0, 28, _A_SHARD):
        state: dict[str, torch.Tensor] = {}
        for at in range(first, first + _A_SHARD):
            state |= layer(at)
        if first == 0:
            state["transformer.embedding.word_embeddings.weight"] = made(65024, 4096)
        if first + _A_SHARD == 28:
            state["transformer.encoder.final_layernorm.weight"] = made(4096)
            state["transformer.output_layer.weight"] = made(65024, 4096)
        file = f"model-{first // _A_SHARD + 1:05}-of-00007.safetensors"
        save_file(state, folder / file)
        index |= dict.fromkeys(state, file)
        total += sum(tensor.nbytes for tensor in state.values())
        del state
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    return total


def load(folder: Path) -> None:
    """Load the folder, and say what that took."""
    before = memory("VmHWM")
    began = time.perf_counter()
    model = open_glm(folder, "chatglm2", device=torch.device("cpu"), dtype=torch.bfloat16)
    seconds = time.perf_counter() - began
    print(
        json.dumps(
            {
                "loaded": weights_of(model),
                "seconds": round(seconds, 1),
                "before": before,
                "peak": memory("VmHWM"),
                "after": memory("VmRSS"),
            }
        )
    )


def memory(what: str) -> int:
    """Return this process's memory in bytes: VmRSS now, VmHWM at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) * 1024


def main() -> int:
    """Write, load in another process, report; or be that process."""
    if sys.argv[1:2] == ["--load"]:
        load(Path(sys.argv[2]))
        return 0
    with TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as folder:
        size = write(Path(folder))
        command = [sys.executable, __file__, "--load", folder]
        told = json.loads(subprocess.check_output(command))  # noqa: S603
    print(json.dumps({"model": size, **told, "peak of the model": told["peak"] / size}, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
