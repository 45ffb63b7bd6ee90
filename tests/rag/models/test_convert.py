from __future__ import annotations

import json
import pickle
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, GlmForCausalLM

from rag.errors import ModelFailed, ModelMissing
from rag.models import convert as converting
from rag.models.chatglm import ChatGLM
from rag.models.convert import convert, quantise
from rag.models.glm_tokenizer import GlmTokenizer
from rag.models.glm_weights import Generation, open_glm
from rag.models.native_tokenizer import native_tokenizer
from rag.models.quantisation import Bits, quantised_layers
from rag.models.transformers_chat import TransformersChat
from tests.rag.models import small_chatglm6b, small_glm

TALK: list[BaseMessage] = [
    SystemMessage("Be short."),
    HumanMessage("你好 x"),
    AIMessage("好"),
    HumanMessage(" 休假？\n\ny"),
]
TOKENS = [3, 77, 399, 12, 9]


def opened(folder: Path, generation: Generation = "chatglm2") -> Any:
    return open_glm(folder, generation, device=torch.device("cpu"), dtype=torch.float32)


def logits(model: Any, tokens: list[int] = TOKENS) -> torch.Tensor:
    with torch.inference_mode():
        result: torch.Tensor = model(input_ids=torch.tensor([tokens])).logits[0]
    return result


def pickled(folder: Path, parts: int = 2) -> Path:
    """Turn a folder's safetensors into pickles, as older checkpoints were published."""
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    index: dict[str, str] = {}
    for part in range(parts):
        file = f"pytorch_model-{part + 1:05}-of-{parts:05}.bin"
        names = sorted(state)[part::parts]
        torch.save({name: state[name] for name in names}, folder / file)
        index |= dict.fromkeys(names, file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": index}))
    return folder


# Converting


@pytest.mark.parametrize("generation", ["chatglm2", "chatglm3"])
def test_native_folder_is_opened_by_transformers_and_computes_the_same(
    tmp_path: Path, generation: Generation
) -> None:
    source = small_glm.write(tmp_path / f"{generation}-6b", _name_or_path=generation)
    said = convert(source, tmp_path / "native")
    assert generation in said
    assert "vLLM" in said
    native = GlmForCausalLM.from_pretrained(tmp_path / "native", dtype=torch.float32)
    assert torch.equal(logits(native), logits(opened(source, generation)))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "native")
    roles = {"system": "system", "human": "user", "ai": "assistant"}
    turns = [{"role": roles[message.type], "content": message.text} for message in TALK]
    prompt: Any = tokenizer.apply_chat_template(turns, add_generation_prompt=True)
    assert prompt["input_ids"] == GlmTokenizer(source / "tokenizer.model", generation).prompt(TALK)
    ends = native.generation_config.eos_token_id
    assert set(ends) == GlmTokenizer(source / "tokenizer.model", generation).ends
    assert not list((tmp_path / "native").glob("*.py"))


def test_each_way_to_open_a_converted_folder_reads_what_the_published_one_does(
    tmp_path: Path,
) -> None:
    source = small_glm.write(tmp_path / "chatglm3-6b", _name_or_path="chatglm3")
    convert(source, tmp_path / "native")
    prompts, ends = [], []
    for chat in (
        ChatGLM(folder=source),
        ChatGLM(folder=tmp_path / "native"),
        TransformersChat(folder=tmp_path / "native", max_tokens=4),
    ):
        chat.load()
        prompts.append(chat._loaded()[0].prompt(TALK))
        ends.append(chat._loaded()[0].ends)
        assert chat.invoke(TALK).usage_metadata
        chat.close()
    assert prompts[0] == prompts[1] == prompts[2]
    assert ends[0] == ends[1] == ends[2]


def test_folder_of_pickles_names_the_command_that_converts_it(tmp_path: Path) -> None:
    source = pickled(small_glm.write(tmp_path / "my glm"))
    with pytest.raises(ModelFailed) as refused:
        opened(source)
    command = f"teamglm models convert '{source}' '{tmp_path / 'my glm-safetensors'}'"
    assert command in str(refused.value)
    convert(source, tmp_path / "my glm-safetensors")
    expected = small_glm.original_logits(
        small_glm.weights(small_glm.CONFIG), small_glm.CONFIG, TOKENS
    )
    assert torch.allclose(logits(opened(tmp_path / "my glm-safetensors")), expected, atol=1e-4)


@pytest.mark.parametrize("old", [True, False])
def test_pickle_in_either_format_is_read(tmp_path: Path, old: bool) -> None:
    source = small_glm.write(tmp_path / "glm")
    state = load_file(source / "model.safetensors")
    (source / "model.safetensors").unlink()
    torch.save(state, source / "pytorch_model.bin", _use_new_zipfile_serialization=not old)
    convert(source, tmp_path / "native")
    assert opened(tmp_path / "native").config.num_hidden_layers == 2


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return (Path.touch, (self.target,))


def test_pickle_that_would_run_something_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    source = small_glm.write(tmp_path / "glm")
    (source / "model.safetensors").unlink()
    (source / "pytorch_model.bin").write_bytes(pickle.dumps({"x": Bomb(tmp_path / "touched")}))
    torch.save({"x": Bomb(tmp_path / "touched")}, source / "another.bin")
    with pytest.raises(ModelFailed, match="more than weights"):
        convert(source, tmp_path / "native")
    assert not (tmp_path / "touched").exists()
    assert not (tmp_path / "native").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["glm"]


def test_int4_folder_stays_packed(tmp_path: Path) -> None:
    quantise(small_glm.write(tmp_path / "glm"), tmp_path / "int4", 4)
    load_whole(tmp_path / "int4")
    pickled(tmp_path / "int4")
    said = convert(tmp_path / "int4", tmp_path / "native")
    assert "don't read" in said
    state = load_whole(tmp_path / "native")
    assert state["model.layers.0.mlp.down_proj.weight"].dtype == torch.int8
    chat = ChatGLM(folder=tmp_path / "native", max_tokens=4)
    chat.load()
    assert chat.invoke(TALK).usage_metadata
    chat.close()


def load_whole(folder: Path) -> dict[str, torch.Tensor]:
    """Return a folder's tensors, and leave them there in one file."""
    state: dict[str, torch.Tensor] = {}
    for file in folder.glob("*.safetensors"):
        state |= load_file(file)
        file.unlink()
    (folder / "model.safetensors.index.json").unlink(missing_ok=True)
    save_file(state, folder / "model.safetensors")
    return state


def test_first_generation_becomes_safetensors_too(tmp_path: Path) -> None:
    source = small_chatglm6b.write(tmp_path / "chatglm-6b")
    start = [small_chatglm6b.tokens()[mark] for mark in ("[gMASK]", "<sop>")]
    expected = logits(opened(source), [50, 51, *start])
    assert "own" in convert(pickled(source), tmp_path / "native")
    assert torch.equal(logits(opened(tmp_path / "native"), [50, 51, *start]), expected)
    assert "auto_map" not in (tmp_path / "native/config.json").read_text()
    assert (tmp_path / "native/ice_text.model").is_file()


def test_large_checkpoint_is_written_in_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converting, "_SHARD_BYTES", 40_000)
    source = small_glm.write(tmp_path / "glm", shards=3)
    convert(source, tmp_path / "native")
    assert len(list((tmp_path / "native").glob("model-*-of-*.safetensors"))) > 2
    assert torch.equal(logits(opened(tmp_path / "native")), logits(opened(source)))


def test_what_is_there_is_never_written_over(tmp_path: Path) -> None:
    source = small_glm.write(tmp_path / "glm")
    with pytest.raises(ModelFailed, match="there already"):
        convert(source, source)
    with pytest.raises(ModelFailed, match="there already"):
        quantise(source, source, 4)


def test_folder_that_cannot_be_converted_is_told_why(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.json").write_text('{"model_type": "qwen2"}')
    (tmp_path / "other/model.safetensors").touch()
    for work in (convert, lambda a, b: quantise(a, b, 4)):
        with pytest.raises(ModelFailed, match="qwen2"):
            work(tmp_path / "other", tmp_path / "x")
    with pytest.raises(ModelMissing):
        convert(tmp_path / "absent", tmp_path / "x")
    lone = small_glm.write(tmp_path / "glm", _name_or_path="", rope_ratio=8)
    with pytest.raises(ModelFailed, match="--template"):
        convert(lone, tmp_path / "x")
    assert "chatglm3" in convert(lone, tmp_path / "x", generation="chatglm3")
    empty = small_glm.write(tmp_path / "empty")
    (empty / "tokenizer.model").unlink()
    with pytest.raises(ModelMissing, match=r"tokenizer\.model"):
        convert(empty, tmp_path / "y")


# Quantising


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("native", [False, True])
def test_quantised_folder_computes_nearly_the_same_in_less(
    tmp_path: Path, bits: Bits, native: bool
) -> None:
    source = small_glm.write(tmp_path / "chatglm2-6b")
    if native:
        convert(source, tmp_path / "native")
    said = quantise(tmp_path / "native" if native else source, tmp_path / "small", bits)
    assert f"int{bits}" in said
    model = opened(tmp_path / "small")
    assert len(list(quantised_layers(model))) == 2 * 6
    exact, near = logits(opened(source)), logits(model)
    assert torch.nn.functional.cosine_similarity(exact, near).mean() > (0.9 if bits == 4 else 0.999)
    assert json.loads((tmp_path / "small/config.json").read_text())["quantization_bit"] == bits


def test_first_generation_is_quantised_too(tmp_path: Path) -> None:
    quantise(small_chatglm6b.write(tmp_path / "chatglm-6b"), tmp_path / "int8", 8)
    chat = ChatGLM(folder=tmp_path / "int8", max_tokens=4)
    chat.load()
    assert chat.invoke(TALK).usage_metadata
    chat.close()


def test_quantised_folder_is_not_quantised_again(tmp_path: Path) -> None:
    quantise(small_glm.write(tmp_path / "glm"), tmp_path / "int8", 8)
    with pytest.raises(ModelFailed, match="already"):
        quantise(tmp_path / "int8", tmp_path / "int4", 4)


def test_quantised_native_folder_is_sent_to_its_provider(tmp_path: Path) -> None:
    convert(small_glm.write(tmp_path / "glm"), tmp_path / "native")
    quantise(tmp_path / "native", tmp_path / "int4", 4)
    with pytest.raises(ModelFailed, match="provider: chatglm"):
        TransformersChat(folder=tmp_path / "int4").load()


# The tokenizer


def test_native_tokenizer_reads_any_text_as_sentencepiece_does(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(small_glm.sentencepiece_model())
    ours, native = GlmTokenizer(path, "chatglm3"), native_tokenizer(path, "chatglm3")
    chance = random.Random(7)
    letters = "  \n\tabepople sop eop[]<>|你好问答：休假🀄é0123\u3000▁"
    for _ in range(500):
        text = "".join(chance.choices(letters, k=chance.randrange(30)))
        tokens = native(text, add_special_tokens=False)["input_ids"]
        assert tokens == ours.encode(text), text
        assert native.decode(tokens, skip_special_tokens=True) == ours.decode(tokens)


def test_native_tokenizer_begins_plain_text_as_the_model_expects_it(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(small_glm.sentencepiece_model())
    native = native_tokenizer(path, "chatglm2")
    size = GlmTokenizer(path, "chatglm2")._size
    assert native("hi")["input_ids"][:2] == [size + 1, size + 3]


def test_file_that_is_no_sentencepiece_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"IQ== 0\nIg== 1\n")
    with pytest.raises(ModelFailed, match="SentencePiece"):
        native_tokenizer(tmp_path / "tokenizer.model", "chatglm2")
