"""Measure the engine on a GPU at ChatGLM2-6B's shape, with random weights: nothing is downloaded.

    python bench/gpu.py [--golden DIR] [--out DIR] [PART …]     parts: see PARTS, all by default
    python bench/gpu.py --tiny                                  on a CPU, to try the program itself

DIR of --golden holds the golden checkpoints (chatglm2-tiny …), which are compared in bfloat16.
Needs torch, transformers, safetensors and Triton. Every figure is the median of five.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import traceback
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_setup import (
    BITS,
    LARGE,
    REPEATS,
    TINY,
    Size,
    ask,
    build,
    clear,
    copy_bandwidth,
    engine,
    median,
    prompt,
    settle,
    step_bytes,
)

from rag.models.engine import Engine
from rag.models.engine_glm import GlmRunner, fastest_runner
from rag.models.engine_slots import SlotRunner
from rag.models.glm_weights import open_glm


def crowd(one: Engine, size: Size, count: int, seed: int) -> tuple[float, float]:
    """Ask `count` at once; return tokens a second in all, and while all are being answered."""
    answers = [
        ask(one, prompt(size, size.prompt, seed * 1000 + at), size.made, str(at))
        for at in range(count)
    ]
    for answer in answers:
        assert answer.ended.wait(300)  # noqa: S101
        if answer.error:
            raise answer.error
    first = min(answer.asked for answer in answers)
    last = max(answer.times[-1] for answer in answers)
    total = sum(len(answer.times) for answer in answers) / (last - first)
    all_from = max(answer.times[0] for answer in answers)
    all_to = min(answer.times[-1] for answer in answers)
    while_all = sum(all_from < t <= all_to for answer in answers for t in answer.times)
    return total, while_all / max(all_to - all_from, 1e-9)


def decode_rate(runner: SlotRunner, size: Size, count: int, context: int) -> float:
    """Return tokens a second of bare steps, at the given context."""
    slots = list(range(count))
    tokens = prompt(size, count, 1)

    def once() -> float:
        steps = 2 if size.device.type == "cpu" else 64
        settle(size)
        began = time.perf_counter()
        for at in range(steps):
            logits = runner.step(slots, tokens, [context + at] * count)
            logits.argmax(-1).tolist()
        return count * steps / (time.perf_counter() - began)

    once()
    return median(once)


def table(size: Size, report: dict[str, Any]) -> None:
    """Measure speed, for weights of each width."""
    bandwidth = report["copy bandwidth"]
    for kind, bits in BITS.items():
        model = build(size, bits)
        row: dict[str, Any] = {}
        report[kind] = row
        began = time.perf_counter()
        most = max(size.crowds)
        runner = fastest_runner(model, slots=most, length=size.length)
        if isinstance(runner, GlmRunner):
            assert runner.ready.wait(300)  # noqa: S101
            row["seconds to compile"] = round(time.perf_counter() - began, 1)
        assert isinstance(runner, SlotRunner)  # noqa: S101
        for count in (1, 8, *size.crowds):
            if count > most:
                continue
            rate = decode_rate(runner, size, count, size.prompt)
            limit = count * bandwidth / step_bytes(model, size, count, size.prompt)
            row[f"steps {count}"] = {"tokens/s": rate, "limit": limit, "ratio": rate / limit}
            print(kind, f"steps {count}", row[f"steps {count}"], flush=True)
        runner.close()
        del runner
        clear(size)
        for count in (1, *size.crowds):
            with engine(model, size, count, size.length) as one:
                crowd(one, size, count, 99)
                rates = [crowd(one, size, count, at) for at in range(REPEATS)]
            total, answering = (statistics.median(column) for column in zip(*rates, strict=True))
            row[f"engine {count}"] = {"tokens/s": total, "while all are answered": answering}
            print(kind, f"engine {count}", row[f"engine {count}"], flush=True)
        with engine(model, size, 1, size.long_prompt + 64) as one:

            def first_token(one: Engine = one) -> float:
                answer = ask(one, prompt(size, size.long_prompt, time.time_ns() % 10**6), 1, "")
                assert answer.ended.wait(300)  # noqa: S101
                return answer.times[0] - answer.asked

            first_token()
            row["first token"] = median(first_token)
        print(kind, "first token", row["first token"], flush=True)
        del model
        clear(size)


def memory(size: Size, report: dict[str, Any]) -> None:
    """Measure what one conversation of 2,048 tokens needs, prompt and answer."""
    for kind, bits in BITS.items():
        model = build(size, bits)
        with engine(model, size, 1, size.long_prompt + 48) as one:
            clear(size)  # the peak begins anew: what building took is none of the engine's
            ask(one, prompt(size, size.long_prompt, 1), 47, "").ended.wait(300)
            if size.device.type == "cuda":
                free, whole = torch.cuda.mem_get_info()
                report[f"memory {kind}"] = {
                    "allocated at most": torch.cuda.max_memory_allocated(),
                    "of the GPU": whole - free,
                }
        print(kind, report.get(f"memory {kind}"), flush=True)
        del model, one


def waiting(size: Size, report: dict[str, Any]) -> None:
    """Measure what is served while the kernels are being compiled."""
    model = build(size, 16)
    began = time.perf_counter()
    runner = fastest_runner(model, slots=4, length=size.length)
    one = Engine(runner)
    answer = ask(one, prompt(size, size.prompt, 5), size.made, "")
    answer.ended.wait(300)
    ready = getattr(runner, "ready", None)
    if ready is not None:
        ready.wait(300)
    report["at once"] = {
        "first token": answer.times[0] - answer.asked,
        "answer of so many tokens": len(answer.times),
        "took": answer.times[-1] - answer.asked,
        "longest wait for a token": max(np.diff(answer.times)),
        "kernels ready after": time.perf_counter() - began,
    }
    print(report["at once"], flush=True)
    one.close()
    del model, runner, one
    clear(size)


def profile(size: Size, report: dict[str, Any]) -> None:
    """Say where a step's time goes."""
    for kind, counts in (("bf16", (1, *size.crowds)), ("int4", (1, *size.crowds))):
        model = build(size, BITS[kind])
        runner = fastest_runner(model, slots=max(size.crowds), length=size.length)
        if isinstance(runner, GlmRunner):
            runner.ready.wait(300)
        assert isinstance(runner, SlotRunner)  # noqa: S101
        for count in counts:
            decode_rate(runner, size, count, size.prompt)
            activity = torch.profiler.ProfilerActivity
            with torch.profiler.profile(activities=[activity.CPU, activity.CUDA]) as profiler:
                settle(size)
                began = time.perf_counter()
                for at in range(16):
                    logits = runner.step(
                        list(range(count)), [5] * count, [size.prompt + at] * count
                    )
                    logits.argmax(-1).tolist()
                settle(size)
                wall = (time.perf_counter() - began) / 16
            events = [e for e in profiler.key_averages() if e.self_device_time_total > 0]
            events.sort(key=lambda e: -e.self_device_time_total)
            lines = {e.key[:60]: round(e.self_device_time_total / 16, 1) for e in events[:14]}
            entry = {
                "wall µs": wall * 1e6,
                "kernels µs": round(sum(e.self_device_time_total for e in events) / 16, 1),
                **lines,
            }
            report[f"profile {kind} {count}"] = entry
            print(f"profile {kind} {count}", json.dumps(entry, indent=1), flush=True)
        runner.close()
        del runner, model
        clear(size)


def golden(size: Size, report: dict[str, Any], folder: Path | None) -> None:
    """Compare the golden checkpoints' likeliest tokens with those of the original code in fp32."""
    for path in sorted(folder.glob("chatglm[23]-*")) if folder else []:
        generation: Any = "chatglm3" if "chatglm3" in path.name else "chatglm2"
        model = open_glm(path, generation, device=size.device, dtype=torch.bfloat16)
        runner = fastest_runner(model, slots=4, length=512)
        if isinstance(runner, GlmRunner):
            assert runner.ready.wait(300)  # noqa: S101
        reference = json.loads((path / "reference.json").read_text())
        logits = np.load(path / "logits.npz")
        agree = {"in the model's own code": 0, "in prompts": 0, "in steps": 0}
        places = 0
        for at, tokens in enumerate(reference["prompts"]):
            best = torch.tensor(logits[f"prompt{at}"]).argmax(-1)
            places += len(tokens)
            with torch.inference_mode():
                ids = torch.tensor([tokens], device=size.device)
                own = model(input_ids=ids).logits[0].argmax(-1).cpu()
                agree["in the model's own code"] += int((own == best).sum())
                if isinstance(runner, GlmRunner):
                    states = runner.logits(0, tokens, 0).argmax(-1).cpu()
                    agree["in prompts"] += int((states == best).sum())
            slots = [1, 3] if at % 2 else [2]  # steps of one and of several are other kernels
            for place, token in enumerate(tokens):
                count = len(slots)
                made = runner.step(slots, [token] * count, [place] * count)
                agree["in steps"] += int(made[-1].argmax(-1).item() == best[place])
        one = Engine(runner)
        same = 0
        for tokens, wanted in zip(reference["prompts"], reference["greedy"], strict=True):
            pairs = zip(one.tokens(tokens, limit=len(wanted)), wanted, strict=False)
            same += sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        one.close()
        entry = {name: f"{count}/{places}" for name, count in agree.items()}
        entry["greedy up to the first other"] = f"{same}/{sum(map(len, reference['greedy']))}"
        report[f"golden {path.name}"] = entry
        print(path.name, entry, flush=True)


PARTS = ("golden", "waiting", "table", "memory", "profile")


def main() -> int:
    """Run the parts asked for; a part that fails doesn't stop the next."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS)
    parser.add_argument("--golden", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    size = TINY if options.tiny else LARGE
    report: dict[str, Any] = {
        "device": "CPU" if options.tiny else torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "copy bandwidth": copy_bandwidth(size),
    }
    print(report, flush=True)
    failed = 0
    for part in options.parts:
        began = time.perf_counter()
        try:
            if part == "golden":
                golden(size, report, options.golden)
            else:
                {"waiting": waiting, "table": table, "memory": memory, "profile": profile}[part](
                    size, report
                )
        except Exception:
            failed = 1
            traceback.print_exc()
        clear(size)
        print(f"-- {part}: {time.perf_counter() - began:.0f} s", flush=True)
        if options.out:
            (options.out / "gpu.json").write_text(json.dumps(report, indent=1, default=str))
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
