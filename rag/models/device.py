"""Where a model runs, and in which precision."""

from __future__ import annotations

import torch

from rag.errors import ModelFailed


def pick_device(name: str) -> torch.device:
    """Return the device of this name, the best there is for `auto`; raise `ModelFailed`."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelFailed(f"This machine has no device {name!r}: use auto or cpu.") from error
    return device


def pick_dtype(name: str, device: torch.device, stored: str) -> torch.dtype:
    """Return the dtype of this name; `auto` is the one the checkpoint has `stored`, but on a CPU
    and on CUDA never float16, which overflows where bfloat16 does not."""
    if name == "auto":
        name = stored if stored in {"float32", "bfloat16", "float16"} else "bfloat16"
        if name != "float32":
            old = device.type == "cuda" and not torch.cuda.is_bf16_supported()
            name = "float16" if old or device.type == "mps" else "bfloat16"
    if name not in {"float32", "bfloat16", "float16"}:
        raise ModelFailed(f"{name!r} is no dtype here: use auto, float32, bfloat16 or float16.")
    dtype: torch.dtype = getattr(torch, name)
    return dtype
