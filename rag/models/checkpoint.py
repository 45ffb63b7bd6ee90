"""A checkpoint folder on disk: what is in it, and the sentence for what is not."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import ModelFailed, ModelMissing

if TYPE_CHECKING:
    import torch  # seconds: a folder is looked at without it

INDEX = "model.safetensors.index.json"
_MAKES_A_MODEL = {".json", ".safetensors", ".model", ".txt"}
_BLOCK, _BLOCKS = 1 << 16, 32


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in `path`, {} if there is no such file; raise `ModelFailed`."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelFailed(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelFailed(f"{path} cannot be read: a JSON object was expected.")
    return value


def read_config(folder: Path, source: str = "") -> dict[str, Any]:
    """Return the folder's config.json; raise `ModelMissing` that says how to get it from `source`,
    the name that the checkpoint is published under."""
    config = read_json(folder / "config.json")
    if not config:
        raise ModelMissing(f"There is no model in {folder}{_remedy(folder, source)}")
    return config


def shards(folder: Path, source: str = "") -> list[Path]:
    """Return the folder's safetensors files; raise `ModelMissing` for one that is absent and
    `ModelFailed`, which names the command that converts them, where there are only pickles."""
    files = listed(folder, INDEX) or sorted(folder.glob("*.safetensors"))
    absent = [file.name for file in files if not file.is_file()]
    if absent:
        names = ", ".join(absent)
        raise ModelMissing(
            f"The model in {folder} is incomplete, {names} isn't there{_remedy(folder, source)}"
        )
    if not files and any(folder.glob("*.bin")):
        converted = folder.with_name(f"{folder.name}-safetensors")
        raise ModelFailed(
            f"{folder} has its weights only as pickles (.bin), which are never loaded: convert "
            f"them once with `teamglm models convert {shlex.quote(str(folder))} "
            f"{shlex.quote(str(converted))}` and use that folder."
        )
    if not files:
        raise ModelMissing(f"There are no weights in {folder}{_remedy(folder, source)}")
    return files


def listed(folder: Path, index: str) -> list[Path]:
    """Return the files that an index in the folder names, if it has one."""
    named = read_json(folder / index).get("weight_map", {})
    # An index names files beside it: only their last part counts, wherever it may point.
    return [folder / name for name in sorted({Path(str(file)).name for file in named.values()})]


def tensors(files: Iterable[Path]) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the names and tensors of safetensors files, one after the other; raise `ModelFailed`.

    Each tensor has an opening of its file of its own: pages that were read stay in memory as long
    as their opening, which for a whole shard would be a shard too much.
    """
    from safetensors import SafetensorError, safe_open

    for file in files:
        try:
            with safe_open(file, framework="pt") as shard:
                names = list(shard.keys())
            for name in names:
                with safe_open(file, framework="pt") as shard:
                    tensor = shard.get_tensor(name)
                yield name, tensor
                del tensor
        except (SafetensorError, OSError) as error:
            raise ModelFailed(f"The weights in {file} cannot be read: {error}") from error


def fingerprint(folder: Path) -> str:
    """Return twelve letters that change when the model in a folder does; "" if there is none.

    Of large files only the size and some blocks are read, so that it takes no time worth naming.
    """
    digest = hashlib.sha256()
    files = [file for file in folder.rglob("*") if file.suffix in _MAKES_A_MODEL and file.is_file()]
    for file in sorted(files):
        size = file.stat().st_size
        digest.update(f"{file.relative_to(folder).as_posix()}\0{size}\0".encode())
        with file.open("rb") as stream:
            for at in range(0, size, max(_BLOCK, size // _BLOCKS)):
                stream.seek(at)
                digest.update(stream.read(_BLOCK))
    return digest.hexdigest()[:12] if files else ""


def _remedy(folder: Path, source: str) -> str:
    if source:
        wanted = "--include '*.safetensors' '*.json' 'tokenizer*'"
        return (
            f". Get it with: hf download {shlex.quote(source)} {wanted} "
            f"--local-dir {shlex.quote(str(folder))}"
        )
    return (
        ": put the checkpoint's config.json, tokenizer and .safetensors files there, or choose "
        "another chat_model in config.yaml."
    )
