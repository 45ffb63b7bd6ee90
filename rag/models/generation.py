"""Generation with a model in process: tokens one by one, and tokens as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

_UNFINISHED = "\ufffd"


class Generator:
    """Generates for one request at a time and keeps the keys and values of the last one, so that a
    prompt that begins like it is read only from where it differs."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._model.train(False)
        # Cancelling waits for one step: on a CPU a step must be short, on a GPU it is anyway.
        self._step = 64 if model.device.type == "cpu" else 512
        # Where a token sees those behind it too, a prompt is read at once, or not at all.
        self._whole = bool(getattr(model, "reads_both_ways", False))
        self._cache = DynamicCache(config=model.config)
        self._cached: list[int] = []

    def tokens(
        self,
        prompt: Sequence[int],
        *,
        limit: int,
        ends: frozenset[int],
        cancelled: Callable[[], bool],
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> Iterator[int]:
        """Yield at most `limit` tokens that follow `prompt`, the likeliest ones at temperature 0;
        end after a token of `ends`, and within one step of `cancelled` turning true."""
        chance = torch.Generator(self._model.device)
        if seed is None:
            chance.seed()
        else:
            chance.manual_seed(seed)
        rest = list(prompt[self._rewind(prompt) :])
        for _ in range(limit):
            logits = None
            while rest:
                if cancelled():
                    return
                step = len(rest) if self._whole else self._step
                logits = self._forward(rest[:step])
                rest = rest[step:]
            if logits is None or cancelled():
                return
            token = _choose(logits, temperature, chance)
            yield token
            if token in ends:
                return
            rest = [token]

    def _rewind(self, prompt: Sequence[int]) -> int:
        """Cut the cache back to what it shares with `prompt`; return how many tokens that is."""
        pairs = zip(self._cached, prompt[:-1], strict=False)  # the last one's logits are needed
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        surplus = len(self._cached) - shared
        # Sliding windows and recurrent states forget: they cannot be cut back.
        kept = all(type(layer) is DynamicLayer for layer in self._cache.layers)
        if self._whole or (surplus and not kept):
            shared = 0
        if not shared:
            self._forget()
        elif surplus:
            self._cache.crop(-surplus)
            del self._cached[shared:]
        return shared

    def _forget(self) -> None:
        self._cache = DynamicCache(config=self._model.config)
        self._cached = []

    @torch.inference_mode()
    def _forward(self, tokens: list[int]) -> torch.Tensor:
        ids = torch.tensor([tokens], device=self._model.device)
        try:
            output = self._model(
                input_ids=ids, past_key_values=self._cache, use_cache=True, logits_to_keep=1
            )
        except BaseException:
            self._forget()  # some layers may have these tokens and others not
            raise
        self._cached += tokens
        logits: torch.Tensor = output.logits[0, -1]
        return logits.float()


def _choose(logits: torch.Tensor, temperature: float, chance: torch.Generator) -> int:
    if temperature <= 0:
        return int(logits.argmax())
    chances = torch.softmax(logits / temperature, dim=-1)
    return int(torch.multinomial(chances, 1, generator=chance))


class TextStream:
    """Turns tokens into text as they come: never half a character, nothing from a stop text on, and
    no white space before the first word."""

    def __init__(self, decode: Callable[[Sequence[int]], str], stops: Sequence[str]) -> None:
        self._decode = decode
        self._stops = [stop for stop in stops if stop]
        self._tokens: list[int] = []
        self._start = 0  # tokens before this one can no longer change how the next ones read
        self._read = 0  # tokens before this one have been turned into text
        self._held = ""
        self._begun = False
        self.stopped = False
        """Whether a stop text has come: what is added later is dropped."""

    def add(self, token: int) -> str:
        """Return the text that is certain now that `token` has come."""
        self._tokens.append(token)
        known = self._decode(self._tokens[self._start : self._read])
        text = self._decode(self._tokens[self._start :])
        if text.endswith(_UNFINISHED):
            return ""
        self._start, self._read = self._read, len(self._tokens)
        return self._release(text[len(known) :])

    def finish(self) -> str:
        """Return the text that was held back, when no more tokens come."""
        known = self._decode(self._tokens[self._start : self._read])
        rest = self._decode(self._tokens[self._start :])[len(known) :]
        text = self._release(rest)
        if self.stopped:
            return text
        text, self._held = text + self._held, ""
        return text

    def _release(self, text: str) -> str:
        if self.stopped:
            return ""
        self._held += text
        if not self._begun:
            self._held = self._held.lstrip()
            self._begun = bool(self._held)
        found = [at for at in map(self._held.find, self._stops) if at >= 0]
        if found:
            self.stopped = True
            return self._held[: min(found)]
        keep = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        ready = self._held[: len(self._held) - keep]
        self._held = self._held[len(ready) :]
        return ready


def _overlap(text: str, stop: str) -> int:
    """Return how many of the last characters of `text` may be the beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
