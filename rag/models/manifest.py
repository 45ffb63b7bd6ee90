"""The models that ship inside packages of the Python index, and where their files are kept."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import platformdirs


@dataclass(frozen=True, slots=True)
class Part:
    """A package and the one member of it that holds a part of the model's file."""

    requirement: str
    sha256: str
    bytes: int
    member: str
    member_bytes: int
    member_sha256: str


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """A model of the manifest: the file that its parts join to, and under which terms."""

    name: str
    role: Literal["chat", "embedding", "ocr"]
    file: str
    bytes: int
    sha256: str
    license: str
    attribution: str
    upstream: str
    parts: tuple[Part, ...]
    folder: str | None = None
    """Where the file is unpacked to a sentence-transformers folder; None means it is used as is."""
    weights_bytes: int = 0
    """Size of the weights in that folder."""

    @property
    def download_bytes(self) -> int:
        """Bytes that come over the network: a package with several members comes once."""
        return sum({part.requirement: part.bytes for part in self.parts}.values())


def load_manifest() -> Mapping[str, EmbeddedModel]:
    """Return the embedded models by name, as `manifest.toml` pins them."""
    text = resources.files("rag.models").joinpath("manifest.toml").read_text(encoding="utf-8")
    models = {}
    for entry in tomllib.loads(text)["model"]:
        parts = tuple(Part(**part) for part in entry.pop("part"))
        models[entry["name"]] = EmbeddedModel(**entry, parts=parts)
    return models


def default_cache(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the user's cache folder, or the one that TEAMGLM_CACHE names."""
    return Path(environ.get("TEAMGLM_CACHE") or platformdirs.user_cache_dir("teamglm"))


def locate(model: EmbeddedModel, cache: Path) -> Path | None:
    """Return the model's file or folder if it is in the cache; a look at sizes, no hashing."""
    path = target(model, cache)
    weights = path / "model.safetensors" if model.folder else path
    expected = model.weights_bytes if model.folder else model.bytes
    try:
        return path if weights.stat().st_size == expected else None
    except OSError:
        return None


def target(model: EmbeddedModel, cache: Path) -> Path:
    """Return where the model's file or folder belongs in the cache, there or not."""
    return cache / "models" / (model.folder or model.file)
