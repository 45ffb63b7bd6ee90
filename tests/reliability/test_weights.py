"""P5: a model folder is data; whatever else is in it, nothing of it runs."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rag.errors import ModelFailed, ModelMissing
from rag.models.chatglm import ChatGLM
from rag.models.check import open_exact
from rag.models.convert import convert
from rag.models.embeddings import SentenceTransformerEmbeddings
from rag.models.fetch import pull
from rag.models.manifest import EmbeddedModel, Part, locate
from rag.models.reranker import CrossEncoderReranker
from rag.models.transformers_chat import TransformersChat
from tests.rag.models import small_glm
from tests.rag.models.small_encoders import write_cross_encoder, write_encoder
from tests.rag.models.test_transformers_chat import save
from tests.reliability.rows import cases

Refusal = (ModelFailed, ModelMissing)


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return (Path.touch, (self.target,))


def pickles(folder: Path, mark: Path) -> None:
    """Have the weights only as pickles that run something."""
    for file in folder.glob("*.safetensors*"):
        file.unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"x": Bomb(mark)}))
    torch.save({"x": Bomb(mark)}, folder / "another.bin")


def disguised(folder: Path, mark: Path) -> None:
    """Call a pickle safetensors."""
    torch.save({"x": Bomb(mark)}, folder / "model.safetensors")


def auto_map(folder: Path, mark: Path) -> None:
    """Be a model of a kind that only its own code knows."""
    code(folder, mark, "mine.py")
    parts = ("Config", "Model", "ModelForCausalLM", "ModelForSequenceClassification")
    about = {"model_type": "mine", "auto_map": {f"Auto{each}": f"mine.{each}" for each in parts}}
    add(folder / "config.json", about)


def own_tokenizer(folder: Path, mark: Path) -> None:
    """Bring a tokenizer of its own, and nothing that another could be made of."""
    code(folder, mark, "mine.py")
    for file in (*folder.glob("tokenizer*"), *folder.glob("vocab*")):
        file.unlink()
    about = {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["mine.Mine", "mine.Mine"]}}
    add(folder / "tokenizer_config.json", about)


def own_module(folder: Path, mark: Path) -> None:
    """Have sentence-transformers import a module out of the folder."""
    code(folder, mark, "mine.py")
    listed = [{"idx": 0, "name": "0", "path": "", "type": "mine.Mine"}]
    (folder / "modules.json").write_text(json.dumps(listed))


def pickled_module(folder: Path, mark: Path) -> None:
    """Have a later module of sentence-transformers in a pickle."""
    listed = json.loads((folder / "modules.json").read_text())
    kind = "sentence_transformers.models.Dense"
    listed.append({"idx": 2, "name": "2", "path": "2_Dense", "type": kind})
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "2_Dense").mkdir()
    about = {"in_features": 16, "out_features": 16, "bias": True}
    about["activation_function"] = "torch.nn.modules.activation.Tanh"  # type: ignore[assignment]
    (folder / "2_Dense" / "config.json").write_text(json.dumps(about))
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(pickle.dumps({"x": Bomb(mark)}))


def other_weights(folder: Path, mark: Path) -> None:
    """Have weights that were cut off on their way."""
    file = next(folder.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-100])


def code(folder: Path, mark: Path, name: str) -> None:
    """Put code into a folder that tells when it is run."""
    text = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n"
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)


def add(file: Path, values: dict[str, Any]) -> None:
    """Change a JSON file."""
    before = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(before | values))


def embedder(folder: Path) -> SentenceTransformerEmbeddings:
    return SentenceTransformerEmbeddings("tiny", folder)


LOADERS: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {
    "transformers": (save, lambda folder: TransformersChat(folder=folder).load()),
    "chatglm": (small_glm.write, lambda folder: ChatGLM(folder=folder).load()),
    "plain embeddings": (write_encoder, lambda folder: embedder(folder).load()),
    "embeddings": (
        lambda folder: write_encoder(folder, pooling="mean"),
        lambda folder: embedder(folder).load(),
    ),
    "reranker": (write_cross_encoder, lambda folder: CrossEncoderReranker("tiny", folder).load()),
    "check": (save, lambda folder: open_exact(folder, json.loads(read(folder)))),
    "convert": (small_glm.write, lambda folder: convert(folder, folder.with_name("converted"))),
}
Attack = Callable[[Path, Path], None]
ATTACKS: list[tuple[str, Attack]] = [
    *((name, attack) for attack in (pickles, disguised, other_weights) for name in LOADERS),
    *((name, auto_map) for name in ("transformers", "plain embeddings", "reranker", "check")),
    *((name, own_tokenizer) for name in ("transformers", "embeddings", "reranker")),
    ("embeddings", own_module),
    ("embeddings", pickled_module),
]


def read(folder: Path) -> str:
    return (folder / "config.json").read_text()


def test_p5_a_foreign_folder_is_refused_and_nothing_of_it_runs(tmp_path: Path) -> None:
    """Pickles, code for transformers and sentence-transformers, weights that were cut off."""
    for case in cases("P5", "model folders", full=len(ATTACKS), sample=4):
        # Neighbours in the list are alike: a sample takes from all of it.
        name, attack = ATTACKS[case.number * 11 % len(ATTACKS)]
        make, load = LOADERS[name]
        folder, mark = tmp_path / str(case.number) / "model", tmp_path / "run"
        folder.parent.mkdir()
        make(folder)
        attack(folder, mark)
        with pytest.raises(Refusal):
            load(folder)
        assert not mark.exists(), (name, attack.__name__)
        assert not folder.with_name("converted").exists()


def test_p5_code_beside_weights_that_we_know_is_left_alone(tmp_path: Path) -> None:
    """ChatGLM is published with code that we have no need of; transformers might look for more."""
    for case in cases("P5", "code beside weights", full=4, sample=1):
        name = ("chatglm", "transformers", "embeddings", "reranker")[case.number]
        make, load = LOADERS[name]
        folder, mark = tmp_path / name, tmp_path / "run"
        make(folder)
        for file in ("modeling_chatglm.py", "mine.py", "custom_generate/generate.py"):
            code(folder, mark, file)
        parts = ("Config", "Model", "ModelForCausalLM")
        own = {f"Auto{part}": f"mine.{part}" for part in parts}
        add(folder / "config.json", {"auto_map": own})
        torch.save({"x": Bomb(mark)}, folder / "training_args.bin")
        if name == "reranker":
            own_module(folder, mark)
        load(folder)
        assert not mark.exists()


def test_p5_a_download_with_another_hash_is_refused_and_not_kept(tmp_path: Path) -> None:
    """Wherever one byte of it was changed."""
    whole = bytes(range(256)) * 40
    digest = hashlib.sha256(whole).hexdigest()
    part = Part("tiny==1", digest, len(whole), "part.bin", len(whole), digest)
    model = EmbeddedModel(
        "tiny", "chat", "tiny.gguf", len(whole), digest, "MIT", "nobody", "none", (part,)
    )
    for case in cases("P5", "changed hash", full=10, sample=3):
        mirror, cache = tmp_path / f"mirror-{case.number}", tmp_path / f"cache-{case.number}"
        mirror.mkdir()
        changed = bytearray(whole)
        changed[case.chance.randrange(len(whole))] ^= 1 << case.chance.randrange(8)
        (mirror / model.file).write_bytes(changed)
        with pytest.raises(ModelMissing, match="not the file that was expected"):
            pull(model, cache, progress=lambda done, total, what: None, mirror=str(mirror))
        assert locate(model, cache) is None
        assert not list(cache.rglob("*.gguf*"))
