from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GlmForCausalLM

from rag.errors import ModelFailed, ModelMissing
from rag.models.check import check, continued, open_exact
from rag.models.engine import Engine
from rag.models.engine_slots import runner_for
from rag.models.glm_weights import glm_config, open_glm
from rag.models.quantisation import QuantisedLinear, quantised_layers
from tests.rag.models import small_glm

SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "chatglm"
pytestmark = pytest.mark.usefixtures("one_thread")
GOLDEN = ["chatglm-tiny", "chatglm-tiny-int4", "chatglm2-tiny", "chatglm2-tiny-int4"]
PROMPTS = [[3, 77, 400, 12, 9], [5, 6]]


def golden(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"the golden checkpoint {name} is not beside the repository")
    return folder


@pytest.mark.parametrize("name", [*GOLDEN, "chatglm3-tiny"])
def test_golden_checkpoint_agrees_with_the_original_code(name: str) -> None:
    report = check(golden(name))
    first = not name.startswith(("chatglm2", "chatglm3"))
    assert report.keys() == {
        *("ok", "tolerance", "max_abs_diff", "greedy_identical", "batch_identical")
    }
    assert report["ok"] is report["greedy_identical"] is True
    assert report["max_abs_diff"] < report["tolerance"] == (5e-4 if first else 1e-4)
    assert report["batch_identical"] is (None if name == "chatglm2-tiny-int4" else True)


def test_int4_batch_padded_on_the_left_writes_what_the_original_code_wrote_alone() -> None:
    """Its reference has no batch."""
    folder = golden("chatglm2-tiny-int4")
    reference = json.loads((folder / "reference.json").read_text())
    model = open_exact(folder, json.loads((folder / "config.json").read_text()))
    length = len(reference["greedy"][0])
    assert continued(model, reference["prompts"], length) == reference["greedy"]


@pytest.mark.parametrize("name", [*GOLDEN, "chatglm3-tiny"])
def test_engine_writes_the_tokens_that_the_original_code_wrote(name: str) -> None:
    folder = golden(name)
    model = open_glm(folder, "chatglm2", device=torch.device("cpu"), dtype=torch.float32)
    reference = json.loads((folder / "reference.json").read_text())
    engine = Engine(runner_for(model, slots=2, length=512))
    for prompt, wanted in zip(reference["prompts"], reference["greedy"], strict=True):
        assert list(engine.tokens(prompt, limit=len(wanted))) == wanted
    engine.close()


@pytest.mark.parametrize("name", [name for name in GOLDEN if name.endswith("int4")])
def test_packed_kernels_choose_the_original_tokens_as_often_as_unpacked_weights(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both in bfloat16, so that close calls differ from the float32 of the original."""
    packed = agreement(golden(name), "int4 cpu")
    monkeypatch.setattr(QuantisedLinear, "prepare", lambda *_: None)
    assert packed > 0.6
    assert packed > agreement(golden(name), "") - 0.05


def agreement(folder: Path, prepared: str) -> float:
    model: Any = open_glm(folder, "chatglm2", device=torch.device("cpu"), dtype=torch.bfloat16)
    assert {layer.prepared for layer in quantised_layers(model)} == {prepared}
    expected = np.load(folder / "logits.npz")
    agreed = []
    for at, prompt in enumerate(json.loads((folder / "reference.json").read_text())["prompts"]):
        with torch.inference_mode():
            chosen = model(input_ids=torch.tensor([prompt])).logits[0].argmax(-1)
        agreed += (chosen.numpy() == expected[f"prompt{at}"].argmax(-1)).tolist()
    return float(np.mean(agreed))


def with_reference(folder: Path) -> Path:
    """Write beside the model what the original arithmetic says of it."""
    state, config = small_glm.weights(small_glm.CONFIG), small_glm.CONFIG
    greedy = []
    for prompt in PROMPTS:
        tokens = list(prompt)
        for _ in range(4):
            tokens.append(int(small_glm.original_logits(state, config, tokens)[-1].argmax()))
        greedy.append(tokens[len(prompt) :])
    reference = {"prompts": PROMPTS, "greedy": greedy, "batch_greedy": greedy}
    (folder / "reference.json").write_text(json.dumps(reference))
    first, second = (small_glm.original_logits(state, config, prompt) for prompt in PROMPTS)
    np.savez(folder / "logits.npz", prompt0=first.numpy(), prompt1=second.numpy())
    return folder


def test_any_folder_with_a_reference_can_be_checked(tmp_path: Path) -> None:
    published = with_reference(small_glm.write(tmp_path / "glm"))
    assert check(published)["ok"] is True
    native = GlmForCausalLM(glm_config(small_glm.CONFIG, "chatglm2"))
    native.load_state_dict(
        open_glm(
            published, "chatglm2", device=torch.device("cpu"), dtype=torch.float32
        ).state_dict()
    )
    native.save_pretrained(tmp_path / "native")
    report = check(with_reference(tmp_path / "native"))
    assert report["ok"] is report["batch_identical"] is True


def test_other_weights_are_found_out(tmp_path: Path) -> None:
    report = check(with_reference(small_glm.write(tmp_path / "glm", seed=1)))
    assert report["ok"] is report["greedy_identical"] is report["batch_identical"] is False
    assert report["max_abs_diff"] > 1


def test_folder_without_a_reference_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"reference\.json and logits\.npz"):
        check(small_glm.write(tmp_path / "glm"))


def test_broken_reference_is_told(tmp_path: Path) -> None:
    folder = with_reference(small_glm.write(tmp_path / "glm"))
    (folder / "reference.json").write_text('{"prompts": [[1, 2]]}')
    with pytest.raises(ModelFailed, match="reference"):
        check(folder)
