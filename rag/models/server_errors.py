"""What can go wrong between us and an OpenAI-compatible server, in a sentence each."""

from __future__ import annotations

import openai

from rag.errors import ModelFailed, ModelMissing, ModelTrouble


def unreachable(address: str) -> ModelFailed:
    """Say that nothing answers."""
    return ModelFailed(
        f"The server at {address} can't be reached: start it, or correct base_url in config.yaml.",
        ModelTrouble.UNREACHABLE,
        where=address,
    )


def timed_out(address: str, seconds: float) -> ModelFailed:
    """Say that the server was silent for too long."""
    return ModelFailed(
        f"The server at {address} didn't answer within {seconds:g} seconds: try again, or raise "
        "the model's timeout in config.yaml.",
        ModelTrouble.TIMED_OUT,
        where=address,
    )


def broken_off(address: str) -> ModelFailed:
    """Say that an answer began and never ended."""
    return ModelFailed(
        f"The server at {address} broke off before the answer was complete: ask again, and look at "
        "the server's log if it happens often.",
        ModelTrouble.BROKEN_OFF,
        where=address,
    )


def not_understood(address: str) -> ModelFailed:
    """Say that something else than an answer came back."""
    return ModelFailed(
        f"The server at {address} answered something that isn't what OpenAI's protocol says: is "
        "base_url right?",
        ModelTrouble.SERVER,
        where=address,
    )


def refused(
    address: str, model: str, key: str, error: openai.APIStatusError
) -> ModelFailed | ModelMissing:
    """Say what a status means; `key` names the environment variable of the server's key."""
    server, status = f"The server at {address}", error.status_code
    if status in {401, 403}:
        text = f"{server} doesn't accept the key: set {key}."
        return ModelFailed(text, ModelTrouble.KEY, where=key)
    if status == 404:
        return ModelMissing(
            f"{server} has no model {model!r} (or isn't OpenAI-compatible): correct base_url and "
            "the model's name in config.yaml."
        )
    if status == 429:
        text = f"{server} is too busy or its quota is used up: try again later."
        return ModelFailed(text, ModelTrouble.OVERLOADED, where=address)
    if status >= 500:
        return ModelFailed(
            f"{server} failed (status {status}): try again, and look at the server's log.",
            ModelTrouble.SERVER,
            where=address,
        )
    return ModelFailed(
        f"{server} refused the request (status {status}): {error.message[:200]}",
        ModelTrouble.SERVER,
        where=address,
    )
