from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import GlmConfig, GlmForCausalLM

from rag.models.generation import Generator, TextStream

NEVER = lambda: False  # noqa: E731


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    return GlmForCausalLM(
        GlmConfig(
            vocab_size=64,
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


def fed(model: Any) -> list[int]:
    """Return a list that grows by the number of tokens of each step."""
    sizes: list[int] = []
    model.model.embed_tokens.register_forward_pre_hook(
        lambda _, inputs: sizes.append(inputs[0].shape[1])
    )
    return sizes


def greedy(generator: Generator, prompt: Sequence[int], limit: int = 8) -> list[int]:
    return list(generator.tokens(prompt, limit=limit, ends=frozenset(), cancelled=NEVER))


def test_prompt_read_in_steps_and_from_the_cache_is_answered_as_if_read_at_once(model: Any) -> None:
    prompt = [7 + at % 50 for at in range(150)]
    with torch.inference_mode():
        expected = model.generate(
            torch.tensor([prompt]), max_new_tokens=8, do_sample=False, eos_token_id=None
        )[0, 150:].tolist()
    generator = Generator(model)
    assert greedy(generator, prompt) == expected
    other = [*prompt[:100], 3, 4, 5]
    assert greedy(generator, other) == greedy(Generator(model), other)
    assert greedy(generator, prompt) == expected


def test_what_two_prompts_share_is_read_once(model: Any) -> None:
    generator, sizes = Generator(model), fed(model)
    greedy(generator, [*range(2, 50), 60], limit=1)
    greedy(generator, [*range(2, 50), 61, 62], limit=1)
    assert sizes == [49, 2]


def test_same_prompt_again_needs_one_step(model: Any) -> None:
    generator, sizes = Generator(model), fed(model)
    first = greedy(generator, range(2, 40), limit=1)
    assert greedy(generator, range(2, 40), limit=1) == first
    assert sizes == [38, 1]


def test_cancelling_while_the_prompt_is_read_ends_it_after_that_step(model: Any) -> None:
    generator, sizes = Generator(model), fed(model)
    long = [5] * 1000
    tokens = generator.tokens(long, limit=9, ends=frozenset(), cancelled=lambda: len(sizes) >= 2)
    assert list(tokens) == []
    assert sizes == [64, 64]
    assert greedy(generator, long) == greedy(Generator(model), long)


def test_failure_in_a_step_does_not_spoil_the_next_request(model: Any) -> None:
    generator = Generator(model)

    def fail(*_: Any) -> None:
        raise RuntimeError("out of memory")

    greedy(generator, [5, 6, 7])
    hook = model.model.layers[1].register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        greedy(generator, [5, 6, 8])
    hook.remove()
    assert greedy(generator, [5, 6, 8]) == greedy(Generator(model), [5, 6, 8])


def test_an_end_token_is_the_last(model: Any) -> None:
    expected = greedy(Generator(model), [9, 8])
    ends = frozenset({expected[3]})
    tokens = list(Generator(model).tokens([9, 8], limit=8, ends=ends, cancelled=NEVER))
    assert tokens == expected[: expected.index(expected[3]) + 1]


def test_sampling_with_a_seed_repeats_itself(model: Any) -> None:
    generator = Generator(model)

    def sampled(seed: int) -> list[int]:
        return list(
            generator.tokens(
                [3], limit=20, ends=frozenset(), cancelled=NEVER, temperature=2.0, seed=seed
            )
        )

    assert sampled(1) == sampled(1)
    assert sampled(1) != sampled(2)


def utf8(tokens: Sequence[int]) -> str:
    return bytes(tokens).decode(errors="replace")


def pieces(text: str, stops: Sequence[str] = ()) -> list[str]:
    stream = TextStream(utf8, stops)
    parts = []
    for byte in text.encode():
        parts.append(stream.add(byte))
        if stream.stopped:
            return parts
    return [*parts, stream.finish()]


def test_character_of_several_tokens_comes_whole() -> None:
    assert [piece for piece in pieces("é汉🀄") if piece] == ["é", "汉", "🀄"]


def test_half_a_character_at_the_end_is_not_lost() -> None:
    stream = TextStream(utf8, [])
    assert stream.add("汉".encode()[0]) == ""
    assert stream.finish() == "\ufffd"


def test_text_ends_before_a_stop_text() -> None:
    assert "".join(pieces("one\nUser: two", ["\nUser:", "never"])) == "one"


def test_what_looked_like_a_stop_text_is_given_back() -> None:
    assert "".join(pieces("one\nUse it\nUs", ["\nUser:"])) == "one\nUse it\nUs"


def test_white_space_before_the_first_word_is_dropped() -> None:
    assert "".join(pieces("\n  a b ")) == "a b "
