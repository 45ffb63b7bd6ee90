"""Checkpoint folders written anew: `teamglm models convert` and `teamglm models quantise`.

Both read and write tensor by tensor, and their folder appears whole or not at all.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from safetensors.torch import save_file

from rag.errors import ModelFailed, ModelMissing
from rag.models.chatglm import sure_generation
from rag.models.checkpoint import INDEX, listed, read_config, shards, tensors
from rag.models.glm_weights import (
    Generation,
    first_generation_tensors,
    glm_config,
    is_first_generation,
    native_tensors,
)
from rag.models.native_tokenizer import native_tokenizer
from rag.models.quantisation import Bits, quantise_rows

_SHARD_BYTES = 2_000_000_000
_PICKLE_INDEX = "pytorch_model.bin.index.json"
# What belongs to the original code, which is never run, and what is written anew.
_LEFT = {"config.json", INDEX, _PICKLE_INDEX, "quantization_kernels.c"}
_LEFT_ENDS = (".py", ".bin", ".safetensors", ".so", ".c", ".pt", ".pth")

_Weights = Iterable[tuple[str, torch.Tensor]]


def convert(source: Path, target: Path, *, generation: Generation | None = None) -> str:
    """Write `target`, a folder of safetensors in transformers' layout, from a published ChatGLM
    folder, or from any folder of pickles; return a sentence that says what it is.

    Pickles are read without running what is in them. Raise `ModelMissing` or `ModelFailed`.
    """
    original = read_config(source)
    weights = _read(source)
    if original.get("model_type") != "chatglm":
        if any(source.glob("*.safetensors")):
            raise ModelFailed(
                f"{source} is not ChatGLM but {original.get('model_type')!r}, in safetensors: "
                "there is nothing to convert."
            )
        _write(source, target, original, weights)
        return f"{target} has the same weights in safetensors."
    if is_first_generation(original):
        config = {name: value for name, value in original.items() if name != "auto_map"}
        _write(source, target, config, first_generation_tensors(weights))
        return (
            f"{target} is ChatGLM-6B in safetensors, for chat_model: {target}. Its architecture is "
            "TeamGLM's own: vLLM and SGLang don't know it."
        )
    generation = generation or sure_generation(source, original)
    native = glm_config(original, generation)
    native.architectures = ["GlmForCausalLM"]
    native.dtype = str(original.get("torch_dtype", "float16"))
    config = native.to_dict()
    vocabulary = source / "tokenizer.model"
    if not vocabulary.is_file():
        raise ModelMissing(f"{source} has no tokenizer.model: get it from the published folder.")
    tokenizer = native_tokenizer(vocabulary, generation)
    core = tokenizer.backend_tokenizer
    marks = [2]
    if generation == "chatglm3":
        roles = ("<|user|>", "<|observation|>")
        marks += [at for role in roles if (at := core.token_to_id(role)) is not None]
    config["eos_token_id"] = marks
    bits = original.get("quantization_bit")
    if bits:
        config["quantization_bit"] = bits

    def finish(folder: Path) -> None:
        tokenizer.save_pretrained(folder)
        settings = {"eos_token_id": marks, "pad_token_id": 0, "do_sample": True}
        settings |= {"temperature": 0.8, "top_p": 0.8}
        _dump(folder / "generation_config.json", settings)

    _write(source, target, config, native_tensors(weights, native), finish)
    if bits:
        return (
            f"{target} is {generation} with {bits}-bit weights, for chat_model: {target}. vLLM and "
            "SGLang don't read this kind of weights: convert the float16 folder for them."
        )
    return (
        f"{target} is {generation} in transformers' own layout: for chat_model: {target}, vLLM or "
        "SGLang."
    )


def quantise(source: Path, target: Path, bits: Bits) -> str:
    """Write `target` from a ChatGLM or Glm folder of safetensors, the weights of its layers in
    int4 or int8; return a sentence that says what it is. Raise `ModelMissing` or `ModelFailed`."""
    config = read_config(source)
    if config.get("model_type") not in {"chatglm", "glm"}:
        raise ModelFailed(
            f"{source} is {config.get('model_type')!r}: only ChatGLM and Glm can be quantised; "
            "take a GGUF file of other models."
        )
    if config.get("quantization_bit") or config.get("quantization_config"):
        raise ModelFailed(f"{source} is quantised already: quantise the float16 folder.")
    weights = tensors(shards(source))
    _write(source, target, {**config, "quantization_bit": bits}, _quantised(weights, bits))
    size = sum(file.stat().st_size for file in target.glob("*.safetensors"))
    return f"{target} has int{bits} weights, {size / 1e9:,.1f} GB: for chat_model: {target}."


def _quantised(weights: _Weights, bits: Bits) -> Iterator[tuple[str, torch.Tensor]]:
    for name, tensor in weights:
        if ".layers." in name and tensor.ndim == 2 and tensor.is_floating_point():
            packed, scale = quantise_rows(tensor, bits)
            yield name, packed
            yield f"{name}_scale", scale
        else:
            yield name, tensor


def _read(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield a folder's tensors; pickles are opened as data only."""
    if not any(folder.glob("*.bin")) or any(folder.glob("*.safetensors")):
        yield from tensors(shards(folder))
        return
    for file in listed(folder, _PICKLE_INDEX) or sorted(folder.glob("*.bin")):
        try:
            state = _load(file)
        except FileNotFoundError as error:
            raise ModelMissing(f"The model in {folder} is incomplete: get {file.name}.") from error
        except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
            raise ModelFailed(
                f"{file} is broken, or holds more than weights, and wasn't read: get it anew from "
                "whom you trust."
            ) from error
        for name in list(state):
            # A copy: two names of one tensor can't be written, and the file may be mapped.
            yield name, state.pop(name).clone()


def _load(file: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of one pickle, which may not name anything that runs."""
    try:
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError:  # the older format, which can't be mapped
        state = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not all(torch.is_tensor(t) for t in state.values()):
        raise ValueError("not a dictionary of tensors")
    return state


def _write(
    source: Path,
    target: Path,
    config: Mapping[str, Any],
    weights: _Weights,
    finish: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Write a folder: its config, its weights in shards, and the source's small files."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ModelFailed(f"{target} is there already: name a folder that isn't.")
    files = [*source.glob("*.bin"), *source.glob("*.safetensors")]
    wanted = sum(file.stat().st_size for file in files)
    target.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target.parent).free
    if free < wanted * 1.05:
        raise ModelFailed(
            f"{target.parent} has {free / 1e9:,.1f} GB free, and up to {wanted / 1e9:,.1f} GB are "
            "needed: make room."
        )
    draft = Path(mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        for file in source.iterdir():
            if file.is_file() and file.name not in _LEFT and not file.name.endswith(_LEFT_ENDS):
                shutil.copyfile(file, draft / file.name)
        # A sentence-transformers folder has its parts' settings in folders of their own.
        for file in source.glob("*/config.json"):
            (draft / file.parent.name).mkdir()
            shutil.copyfile(file, draft / file.parent.name / file.name)
        _dump(draft / "config.json", config)
        _save(draft, weights)
        finish(draft)
        draft.chmod(0o755)
        if target.exists():
            target.rmdir()
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _save(folder: Path, weights: _Weights) -> None:
    """Write tensors in files of at most `_SHARD_BYTES`, and the index of the files."""
    held: dict[str, torch.Tensor] = {}
    files: list[list[str]] = []
    total = size = 0

    def flush() -> None:
        nonlocal size
        save_file(held, folder / f"{len(files)}.part", metadata={"format": "pt"})
        files.append(list(held))
        held.clear()
        size = 0

    for name, tensor in weights:
        if held and size + tensor.nbytes > _SHARD_BYTES:
            flush()
        held[name] = tensor.contiguous()
        size, total = size + tensor.nbytes, total + tensor.nbytes
    if not held:
        raise ModelFailed("The folder's files have no weights in them.")
    flush()
    index: dict[str, str] = {}
    for at, names in enumerate(files):
        name = f"model-{at + 1:05}-of-{len(files):05}.safetensors"
        (folder / f"{at}.part").rename(folder / name)
        (folder / name).chmod(0o644)
        index |= dict.fromkeys(names, name)
    _dump(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": index})


def _dump(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
