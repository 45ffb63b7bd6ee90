"""Whether a checkpoint computes what the original code computed: `teamglm models check`.

The folder has, beside the model, `reference.json` (prompts, the tokens that the original code wrote
after each, alone and, where there is `batch_greedy`, padded on the left in one batch) and
`logits.npz` (its logits, `prompt0` and so on). All is computed in float32 on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from rag.errors import ModelFailed, ModelMissing
from rag.models.chatglm import generation_of
from rag.models.checkpoint import read_config, read_json, shards
from rag.models.glm_weights import is_first_generation, open_glm

_TOLERANCE = 1e-4
# The first generation's scaled residuals make the original code itself less exact than that.
_TOLERANCE_FIRST = 5e-4


def check(folder: Path) -> dict[str, Any]:
    """Return {ok, tolerance, max_abs_diff, greedy_identical, batch_identical or None}; raise
    `ModelMissing` for a folder without a reference, `ModelFailed` for a model that can't run."""
    reference = read_json(folder / "reference.json")
    if not reference or not (folder / "logits.npz").is_file():
        raise ModelMissing(
            f"{folder} has nothing to compare with: it needs reference.json and logits.npz."
        )
    config = read_config(folder)
    model = open_exact(folder, config)
    tolerance = _TOLERANCE_FIRST if is_first_generation(config) else _TOLERANCE
    try:
        prompts, greedy = reference["prompts"], reference["greedy"]
        with np.load(folder / "logits.npz") as logits:
            differences = [
                _difference(model, prompt, logits[f"prompt{at}"])
                for at, prompt in enumerate(prompts)
            ]
        alone = [
            continued(model, [prompt], len(wanted))[0]
            for prompt, wanted in zip(prompts, greedy, strict=True)
        ]
        batch = reference.get("batch_greedy")
        together = None if batch is None else continued(model, prompts, len(batch[0])) == batch
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ModelFailed(f"The reference in {folder} can't be used: {error!r}") from error
    largest = max(differences)
    return {
        "ok": largest <= tolerance and alone == greedy and together is not False,
        "tolerance": tolerance,
        "max_abs_diff": largest,
        "greedy_identical": alone == greedy,
        "batch_identical": together,
    }


def open_exact(folder: Path, config: dict[str, Any]) -> PreTrainedModel:
    """Return a folder's model in float32 on the CPU; raise `ModelMissing` or `ModelFailed`."""
    cpu, exact = torch.device("cpu"), torch.float32
    if config.get("model_type") == "chatglm" or config.get("quantization_bit"):
        generation = generation_of(folder, config) or "chatglm2"
        return open_glm(folder, generation, device=cpu, dtype=exact)
    shards(folder)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=exact,
        )
    except Exception as error:  # transformers raises what its parts happen to raise
        raise ModelFailed(f"The model in {folder} cannot be opened: {error}") from error
    return cast(PreTrainedModel, model)


@torch.inference_mode()
def _difference(model: PreTrainedModel, prompt: Sequence[int], expected: Any) -> float:
    logits = model(input_ids=torch.tensor([prompt])).logits[0].float().numpy()
    return float(np.abs(logits - expected).max())


def continued(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], count: int
) -> list[list[int]]:
    """Return the likeliest tokens after each of the prompts, padded on the left in one batch."""
    longest, pad = max(map(len, prompts)), getattr(model.config, "pad_token_id", None) or 0
    ids = torch.tensor([[pad] * (longest - len(p)) + list(p) for p in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
    made = cast(Any, model).generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=count,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=pad,
    )
    return [row[longest:].tolist() for row in made]
