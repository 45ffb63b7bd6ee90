"""What the engine answers with a model is what the model answers alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GlmConfig, GlmForCausalLM, MistralConfig, MistralForCausalLM

from rag.models.engine_slots import SingleRunner, SlotRunner, runner_for
from rag.models.glm_weights import open_glm
from tests.rag.models.engine_doubles import Listener

SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "chatglm"
pytestmark = pytest.mark.usefixtures("one_thread")
VOCABULARY = 64


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    return GlmForCausalLM(
        GlmConfig(
            vocab_size=VOCABULARY,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            initializer_range=0.5,
            pad_token_id=0,
            eos_token_id=1,
        )
    )


def alone(model: Any, prompt: Sequence[int], limit: int) -> list[int]:
    made = model.generate(
        torch.tensor([list(prompt)]), max_new_tokens=limit, do_sample=False, eos_token_id=None
    )
    tokens: list[int] = made[0, len(prompt) :].tolist()
    return tokens


def test_answers_in_a_batch_are_those_of_each_alone(model: Any, engine: Any) -> None:
    prompts = [
        [7 + at % 50 for at in range(150)],
        [3],
        [9, 8, 7],
        [7 + at % 50 for at in range(99)],
    ]
    expected = [alone(model, prompt, 12) for prompt in prompts]
    batch = engine(SlotRunner(model, slots=3, length=400))
    for _ in range(2):  # the second time out of what the slots still have
        listeners = [Listener(batch, prompt, limit=12) for prompt in prompts]
        assert [listener.answer() for listener in listeners] == expected


@pytest.mark.parametrize("name", ["chatglm2-tiny", "chatglm3-tiny", "chatglm2-tiny-int4"])
def test_golden_answers_are_the_same_in_a_batch(name: str, engine: Any) -> None:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"the golden checkpoint {name} is not beside the repository")
    reference = json.loads((folder / "reference.json").read_text())
    glm = open_glm(
        folder,
        "chatglm3" if "chatglm3" in name else "chatglm2",
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    batch = engine(SlotRunner(glm, slots=4, length=512))
    listeners = [Listener(batch, prompt, limit=24) for prompt in reference["prompts"]]
    assert [listener.answer() for listener in listeners] == reference["greedy"]


def test_model_with_a_sliding_window_answers_many_too(engine: Any) -> None:
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        sliding_window=8,
        initializer_range=0.5,
        pad_token_id=0,
    )
    mistral: Any = MistralForCausalLM(config)
    prompts = [[7 + at % 50 for at in range(60)], [3, 4], [9, 8, 7]]
    expected = [alone(mistral, prompt, 12) for prompt in prompts]
    runner = runner_for(mistral, slots=2, length=200)
    assert isinstance(runner, SingleRunner)
    batch = engine(runner)
    listeners = [Listener(batch, prompt, limit=12) for prompt in prompts]
    assert [listener.answer() for listener in listeners] == expected


def test_an_end_token_is_the_last(model: Any, engine: Any) -> None:
    batch = engine(SlotRunner(model, slots=1, length=100))
    expected = alone(model, [9, 8], 8)
    tokens = Listener(batch, [9, 8], limit=8, ends=frozenset({expected[3]})).answer()
    assert tokens == expected[: expected.index(expected[3]) + 1]


def test_sampling_repeats_with_its_seed_whoever_else_is_there(model: Any, engine: Any) -> None:
    batch = engine(SlotRunner(model, slots=3, length=100))

    def sampled(seed: int | None) -> Listener:
        return Listener(batch, [3], limit=20, temperature=2.0, seed=seed)

    single = sampled(1).answer()
    others = [sampled(2), sampled(None)]
    assert sampled(1).answer() == single
    assert [other.answer() for other in others] != [single, single]


def test_sampling_follows_the_chances_that_the_model_gives() -> None:
    from rag.models.engine import _sample

    logits = torch.tensor([0.1, 0.6, 0.3]).log()
    chance = torch.Generator().manual_seed(3)
    drawn = [_sample(logits, 1.0, chance) for _ in range(3000)]
    shares = [drawn.count(token) / 3000 for token in range(3)]
    assert shares == pytest.approx([0.1, 0.6, 0.3], abs=0.05)


def test_failure_in_a_step_does_not_spoil_the_next_request(model: Any, engine: Any) -> None:
    batch = engine(SlotRunner(model, slots=1, length=100))

    def fail(*_: Any) -> None:
        raise RuntimeError("out of memory")

    Listener(batch, [5, 6, 7]).answer()
    hook = model.model.layers[1].register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        Listener(batch, [5, 6, 8]).answer()
    hook.remove()
    assert Listener(batch, [5, 6, 8]).answer() == alone(model, [5, 6, 8], 5)
