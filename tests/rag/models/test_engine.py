"""The engine's contract, driven on the CPU."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GlmConfig, GlmForCausalLM, MistralConfig, MistralForCausalLM

from rag.errors import ModelBusy, ModelFailed
from rag.models.engine import Engine, Request
from rag.models.engine_slots import SingleRunner, SlotRunner, runner_for
from rag.models.glm_weights import open_glm

SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "chatglm"
pytestmark = pytest.mark.usefixtures("one_thread")
VOCABULARY = 64


class CountingRunner:
    """Answers each token with the next number; waits before each step if it is told to."""

    rewinds, whole, chunk = True, False, 8

    def __init__(self, slots: int = 2, length: int = 1000) -> None:
        self.slots, self.length = slots, length
        self.log: list[Any] = []
        self.open = threading.Event()
        self.open.set()
        self.reached = threading.Event()
        self.poison: set[int] = set()

    def _pass(self, *entry: Any) -> None:
        self.log.append(entry)
        self.reached.set()
        assert self.open.wait(30)

    def _row(self, token: int) -> torch.Tensor:
        row = torch.zeros(10_000)
        row[token + 1] = 1
        return row

    def read(self, slot: int, tokens: Sequence[int], start: int) -> torch.Tensor:
        self._pass("read", slot, len(tokens), start)
        if self.poison & set(tokens):
            raise RuntimeError("poisoned")
        return self._row(tokens[-1])

    def step(
        self, slots: Sequence[int], tokens: Sequence[int], places: Sequence[int]
    ) -> torch.Tensor:
        self._pass("step", tuple(slots), tuple(tokens), tuple(places))
        if self.poison & set(tokens):
            raise RuntimeError("poisoned")
        return torch.stack([self._row(token) for token in tokens])

    def copy(self, source: int, target: int, count: int) -> None:
        self.log.append(("copy", source, target, count))

    def close(self) -> None:
        self.log.append(("closed",))

    def steps(self) -> list[tuple[int, ...]]:
        """Return which slots each step had."""
        return [entry[1] for entry in self.log if entry[0] == "step"]


class Listener:
    """Someone who waits for an answer."""

    def __init__(self, engine: Engine, prompt: Sequence[int], **options: Any) -> None:
        self.engine = engine
        self.arrived: queue.SimpleQueue[int | BaseException | None] = queue.SimpleQueue()
        self.request = Request(prompt, options.pop("limit", 5), self.arrived.put, **options)
        engine.submit(self.request)

    def next(self) -> int | BaseException | None:
        return self.arrived.get(timeout=30)

    def answer(self) -> list[int]:
        tokens: list[int] = []
        while (item := self.next()) is not None:
            if isinstance(item, BaseException):
                raise item
            tokens.append(item)
        return tokens

    def cancel(self) -> None:
        self.engine.cancel(self.request)


@pytest.fixture
def engine() -> Iterator[Callable[..., Engine]]:
    made: list[Engine] = []

    def make(runner: Any, **options: Any) -> Engine:
        made.append(Engine(runner, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


# Who runs, who waits


def test_requests_join_and_leave_between_the_steps_of_others(engine: Any) -> None:
    runner = CountingRunner(slots=2)
    batch = engine(runner)
    long = Listener(batch, [1, 2], limit=100)
    assert long.next() == 3
    assert Listener(batch, [50, 51], limit=3).answer() == [52, 53, 54]
    assert Listener(batch, [70, 71], limit=3).answer() == [72, 73, 74]
    assert long.answer() == list(range(4, 103))
    assert {(0,), (0, 1)} <= set(runner.steps())


def test_cancelled_request_frees_its_slot_after_the_step_that_runs(engine: Any) -> None:
    runner = CountingRunner(slots=1)
    batch = engine(runner)
    first = Listener(batch, [1, 2], limit=500)
    assert first.next() == 3
    runner.open.clear()
    second = Listener(batch, [8, 9], limit=2)
    seen = len(runner.log)
    first.cancel()
    runner.open.set()
    assert second.answer() == [10, 11]
    assert len(runner.log) <= seen + 4
    while first.next() is not None:
        pass


def test_prompt_that_is_cancelled_is_not_read_to_its_end(engine: Any) -> None:
    runner = CountingRunner(slots=1)
    batch = engine(runner, clock=lambda: 0.0, pace=0.0)
    runner.open.clear()
    listener = Listener(batch, range(900))
    assert runner.reached.wait(30)
    listener.cancel()
    runner.open.set()
    assert listener.answer() == []
    assert len(runner.log) == 1


def test_request_cancelled_while_it_waits_never_runs(engine: Any) -> None:
    runner = CountingRunner(slots=1)
    batch = engine(runner)
    runner.open.clear()
    first = Listener(batch, [1, 2])
    assert runner.reached.wait(30)
    second = Listener(batch, [5, 6])
    second.cancel()
    runner.open.set()
    assert first.answer() == [3, 4, 5, 6, 7]
    assert second.answer() == []
    assert sum(entry[0] == "read" for entry in runner.log) == 1


def test_more_than_may_wait_are_told_that_it_is_busy(engine: Any) -> None:
    runner = CountingRunner(slots=1)
    batch = engine(runner, queue=4)
    runner.open.clear()
    first = Listener(batch, [1, 2], user="z")
    assert runner.reached.wait(30)
    waiting = [Listener(batch, [1, 2], user=user) for user in "abcd"]
    with pytest.raises(ModelBusy):
        Listener(batch, [1, 2], user="e")
    waiting[0].cancel()
    waiting[0] = Listener(batch, [1, 2], user="e")
    runner.open.set()
    assert all(listener.answer() == [3, 4, 5, 6, 7] for listener in [first, *waiting])


def test_nobody_fills_the_queue_alone(engine: Any) -> None:
    runner = CountingRunner(slots=1)
    batch = engine(runner, queue=4)
    runner.open.clear()
    first = Listener(batch, [1, 2], user="ann")
    assert runner.reached.wait(30)
    waiting = [Listener(batch, [1, 2], user="ann") for _ in range(2)]
    with pytest.raises(ModelBusy):
        Listener(batch, [1, 2], user="ann")
    waiting.append(Listener(batch, [1, 2], user="bob"))
    runner.open.set()
    assert all(listener.answer() for listener in [first, *waiting])


def test_users_take_turns_however_many_requests_one_has(engine: Any) -> None:
    runner = CountingRunner(slots=1)
    batch = engine(runner)
    runner.open.clear()
    order: list[str] = []

    def listener(user: str) -> Request:
        def put(item: int | BaseException | None) -> None:
            if item is None:
                order.append(user)

        request = Request([1, 2], 2, put, user=user)
        batch.submit(request)
        return request

    listener("ann")
    assert runner.reached.wait(30)
    for user in ("ann", "ann", "ann", "bob", "bob", "cid"):
        listener(user)
    last = Listener(batch, [1, 2], user="ann")
    runner.open.set()
    last.answer()
    assert order == ["ann", "bob", "cid", "ann", "bob", "ann", "ann"]


def test_free_slot_goes_to_the_user_with_the_fewest_running_answers(engine: Any) -> None:
    runner = CountingRunner(slots=2)
    batch = engine(runner)
    runner.open.clear()
    running = Listener(batch, [1, 2], limit=400, user="ann")
    assert runner.reached.wait(30)
    second = Listener(batch, [10, 11], limit=400, user="ann")
    third = Listener(batch, [20, 21], limit=1, user="bob")
    runner.open.set()
    assert third.answer() == [22]
    assert len(running.answer()) == len(second.answer()) == 400


# What goes wrong


def test_failure_reaches_only_its_request(engine: Any) -> None:
    runner = CountingRunner(slots=3)
    runner.poison = {55}
    batch = engine(runner)
    runner.open.clear()
    good = Listener(batch, [1, 2], limit=20)
    breaks_later = Listener(batch, [51, 52], limit=20)
    breaks_at_once = Listener(batch, [55, 56], limit=20)
    runner.open.set()
    assert good.answer() == list(range(3, 23))
    with pytest.raises(RuntimeError, match="poisoned"):
        breaks_at_once.answer()
    assert [breaks_later.next() for _ in range(3)] == [53, 54, 55]
    assert isinstance(breaks_later.next(), RuntimeError)
    assert Listener(batch, [60, 61], limit=1).answer() == [62]


def test_listener_that_breaks_stops_nobody(engine: Any) -> None:
    runner = CountingRunner(slots=2)
    batch = engine(runner)

    def broken(_: Any) -> None:
        raise RuntimeError("the event loop is closed")

    batch.submit(Request([1, 2], 800, broken))
    assert Listener(batch, [5, 6], limit=50).answer() == list(range(7, 57))
    assert max(len(slots) for slots in runner.steps()) == 1


def test_closing_tells_everyone(engine: Any) -> None:
    runner = CountingRunner(slots=1)
    batch = Engine(runner)
    runner.open.clear()
    listeners = [Listener(batch, [1, 2], limit=900) for _ in range(2)]
    assert runner.reached.wait(30)
    closing = threading.Thread(target=batch.close)
    closing.start()
    assert batch._closed.wait(30)
    runner.open.set()
    closing.join(30)
    for listener in listeners:
        with pytest.raises(ModelFailed, match="closed"):
            listener.answer()
    with pytest.raises(ModelFailed, match="closed"):
        Listener(batch, [1, 2])
    assert runner.log[-1] == ("closed",)


def test_prompt_that_no_slot_has_room_for_is_refused(engine: Any) -> None:
    batch = engine(CountingRunner(length=10))
    refused: list[Sequence[int]] = [[], range(10)]
    for prompt in refused:
        with pytest.raises(ModelFailed, match="tokens"):
            Listener(batch, prompt)
    assert len(Listener(batch, range(9), limit=100).answer()) == 2


# What is read


def test_long_prompt_is_read_in_parts_between_the_steps_of_others(engine: Any) -> None:
    runner = CountingRunner(slots=2)
    batch = engine(runner, clock=lambda: 0.0, pace=0.0)
    running = Listener(batch, [1, 2], limit=300)
    assert running.next() == 3
    assert Listener(batch, range(500, 600), limit=1).answer() == [600]
    assert len(running.answer()) == 299
    kinds = [entry[0] for entry in runner.log]
    parts = [at for at, kind in enumerate(kinds) if kind == "read"][1:]
    assert len(parts) == 13
    assert all("step" in kinds[a:b] for a, b in pairwise(parts))


def test_parts_grow_where_reading_is_fast_and_shrink_where_it_is_slow(engine: Any) -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += took
        return now

    took, fast, slow = 0.001, CountingRunner(), CountingRunner()
    Listener(engine(fast, clock=clock), range(900), limit=1).answer()
    assert [entry[2] for entry in fast.log][:4] == [8, 16, 32, 64]
    took, slow.chunk = 10.0, 64
    Listener(engine(slow, clock=clock), range(900), limit=1).answer()
    assert [entry[2] for entry in slow.log][:5] == [64, 32, 16, 8, 8]


def test_what_prompts_share_is_read_once_and_copied(engine: Any) -> None:
    runner = CountingRunner(slots=2)
    batch = engine(runner, clock=lambda: 0.0, pace=0.0)
    system = list(range(100, 140))
    first = Listener(batch, [*system, 1, 2], limit=300)
    assert first.next() == 3
    assert Listener(batch, [*system, 7, 8], limit=1).answer() == [9]
    assert ("copy", 0, 1, 40) in runner.log
    assert runner.log[runner.log.index(("copy", 0, 1, 40)) + 1] == ("read", 1, 2, 40)
    assert Listener(batch, [*system, 7, 8], limit=1).answer() == [9]
    assert sum(entry[0] == "read" for entry in runner.log) == 7  # the last needed one step alone
    assert len(first.answer()) == 299


# With a model


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


def test_tokens_are_given_one_by_one_and_leaving_them_ends_the_request(engine: Any) -> None:
    runner = CountingRunner(slots=1)
    batch = engine(runner)
    stream = batch.tokens([1, 2], limit=900)
    assert next(stream) == 3
    stream.close()
    assert list(batch.tokens([5, 6], limit=2)) == [7, 8]
