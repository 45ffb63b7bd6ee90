"""Models spread over memory and disk by accelerate, and what loading takes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.messages import HumanMessage

from rag.errors import ModelFailed
from rag.models.chatglm import ChatGLM
from rag.models.convert import quantise
from rag.models.glm_weights import open_glm
from rag.models.placing import weights_of
from tests.rag.models import small_chatglm6b, small_glm

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")
TOKENS = [5, 6, 300, 41, 9]


def int4(folder: Path) -> Path:
    target = folder.with_name("int4")
    quantise(small_glm.write(folder), target, 4)
    return target


def opened(folder: Path, **more: Any) -> Any:
    return open_glm(folder, "chatglm2", device=CPU, dtype=torch.float32, **more)


def logits(model: Any) -> torch.Tensor:
    # ChatGLM-6B looks for where its answer begins.
    tokens = [*TOKENS, int(model.config.bos_token_id)]
    with torch.inference_mode():
        result: torch.Tensor = model(input_ids=torch.tensor([tokens])).logits[0]
    return result


@pytest.mark.parametrize(
    ("make", "memory", "devices"),
    [
        (small_glm.write, "180KB", {"cpu", "disk"}),
        (small_glm.write, "1KB", {"disk"}),
        (int4, "1KB", {"disk"}),
        (small_chatglm6b.write, "120KB", {"cpu", "disk"}),
    ],
)
def test_a_model_that_is_partly_on_disk_computes_the_same(
    tmp_path: Path, make: Callable[[Path], Path], memory: str, devices: set[str]
) -> None:
    folder = make(tmp_path / "glm")
    spread = opened(folder, memory={"cpu": memory}, offload=tmp_path / "offload")
    assert set(spread.hf_device_map.values()) == devices
    assert any((tmp_path / "offload").glob("*.dat"))
    assert torch.equal(logits(spread), logits(opened(folder)))
    assert ", ".join(sorted(devices)) in weights_of(spread)


@pytest.mark.parametrize("memory", ["180KB", "1KB"])
async def test_a_model_that_is_on_disk_answers_as_one_in_memory(
    tmp_path: Path, memory: str
) -> None:
    folder = small_glm.write(tmp_path / "chatglm2-6b")
    answers = []
    for more in ({}, {"memory": {"cpu": memory}, "offload": tmp_path / "offload"}):
        chat = ChatGLM(folder=folder, device="cpu", max_tokens=8, **more)
        chat.load()
        answers.append((await chat.ainvoke([HumanMessage("你好")])).text)
        chat.close()
    assert answers[0] == answers[1] != ""


def test_what_fits_nowhere_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match=r"raise its `memory`, or name a folder as `offload`"):
        opened(small_glm.write(tmp_path / "glm"), memory={"cpu": "180KB"})


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_loading_shards_never_has_the_model_in_memory_twice(tmp_path: Path) -> None:
    shape = {"hidden_size": 1024, "ffn_hidden_size": 2560, "num_layers": 6, "kv_channels": 128}
    folder = small_glm.write(tmp_path / "glm", shards=4, num_attention_heads=8, **shape)
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    opened(folder)  # what is imported at the first time is none of the model's
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident("VmRSS")
    model = opened(folder)
    assert resident("VmHWM") - before < 1.15 * size
    assert model.num_parameters() * 4 > 0.99 * size


def resident(what: str) -> int:
    """Return this process's memory in bytes: VmRSS now, VmHWM at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) * 1024
