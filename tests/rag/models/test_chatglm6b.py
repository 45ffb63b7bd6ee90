from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from rag.errors import ModelFailed, ModelMissing
from rag.models.chatglm import ChatGLM
from rag.models.chatglm6b import Reading, chatglm6b_config
from rag.models.engine import Engine
from rag.models.engine_slots import runner_for
from rag.models.glm_weights import open_glm
from rag.models.ice_tokenizer import IceTokenizer
from rag.models.quantisation import Bits
from tests.rag.models import small_chatglm6b

SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "chatglm"
MARKS = small_chatglm6b.tokens()
START = [MARKS["[gMASK]"], MARKS["<sop>"]]


def opened(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    return open_glm(folder, "chatglm", device=torch.device("cpu"), dtype=dtype)


@pytest.fixture
def model(tmp_path: Path) -> Any:
    return opened(small_chatglm6b.write(tmp_path / "chatglm-6b"))


def greedy(model: Any, prompt: list[int], count: int = 6) -> list[int]:
    made = model.generate(
        torch.tensor([prompt]), max_new_tokens=count, do_sample=False, eos_token_id=None
    )
    tokens: list[int] = made[0, len(prompt) :].tolist()
    return tokens


# Computing


@pytest.mark.parametrize("name", ["chatglm-tiny", "chatglm-tiny-int4"])
def test_golden_edge_cases_agree_with_the_original_code(name: str) -> None:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"the golden checkpoint {name} is not beside the repository")
    model = opened(folder)
    edge = json.loads((folder / "edge.json").read_text())
    expected = np.load(folder / "edge_logits.npz")
    for case, numbers in edge["positions"].items():
        sequence = edge["sequences"][case.removesuffix("_tokenizer")]
        tokens = torch.tensor([sequence])
        wanted = [numbers["position_ids"], numbers["block_position_ids"]]
        own = Reading(tokens, None, model.config).positions(0, len(sequence))[0].tolist()
        assert case.endswith("_tokenizer") or own == wanted
        with torch.inference_mode():
            logits = model(tokens, positions=torch.tensor([wanted])).logits[0].numpy()
        assert np.abs(logits - expected[case]).max() < 5e-4


def test_prompt_is_read_in_both_directions_and_the_answer_forwards(model: Any) -> None:
    prompt, answer = [50, 51, 52, *START], [60, 61]
    with torch.inference_mode():
        logits = model(torch.tensor([prompt + answer])).logits[0]
        later = model(torch.tensor([[*prompt[:2], 99, *START, *answer]])).logits[0]
        longer = model(torch.tensor([[*prompt, *answer, 62]])).logits[0]
    assert not torch.allclose(logits[0], later[0], atol=1e-3)
    assert torch.allclose(logits, longer[:-1], atol=1e-4)


@pytest.mark.parametrize("bits", [None, 4, 8])
def test_batch_padded_on_the_left_is_read_as_each_prompt_alone(
    tmp_path: Path, bits: Bits | None
) -> None:
    model = opened(small_chatglm6b.write(tmp_path / "chatglm-6b", bits=bits))
    prompts = [[50, 51, 52, 53, *START], START, [90, MARKS["[MASK]"], 91, MARKS["<sop>"]]]
    ids = torch.tensor([[3] * (6 - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (6 - len(p)) + [1] * len(p) for p in prompts])
    made = model.generate(
        ids, attention_mask=mask, max_new_tokens=6, do_sample=False, eos_token_id=None
    )
    assert made[:, 6:].tolist() == [greedy(model, prompt) for prompt in prompts]


def test_engine_reads_every_prompt_whole(model: Any) -> None:
    engine = Engine(runner_for(model, slots=2, length=256))
    prompts = [[*range(50, 150), *START], [*range(50, 120), 40, *START], [*range(50, 150), *START]]
    for prompt in prompts:
        assert list(engine.tokens(prompt, limit=6)) == greedy(model, prompt)
    engine.close()


def test_half_precision_mostly_agrees(tmp_path: Path) -> None:
    folder = small_chatglm6b.write(tmp_path / "chatglm-6b")
    prompt = torch.tensor([[*range(50, 250), *START]])
    with torch.inference_mode():
        exact, half = (opened(folder, d)(prompt).logits for d in (torch.float32, torch.bfloat16))
    assert (exact.argmax(-1) == half.argmax(-1)).float().mean() > 0.9


def test_prompt_without_its_end_is_refused(model: Any) -> None:
    with pytest.raises(ModelFailed, match="gMASK"):
        model(torch.tensor([[50, 51]]))


@pytest.mark.parametrize(
    ("setting", "value"),
    [("position_encoding_2d", False), ("pre_seq_len", 128), ("quantization_bit", 3)],
)
def test_config_that_would_compute_something_else_is_refused(
    tmp_path: Path, setting: str, value: Any
) -> None:
    folder = small_chatglm6b.write(tmp_path / "chatglm-6b", **{setting: value})
    with pytest.raises(ModelFailed, match=f"{setting}|quantised"):
        opened(folder)


def test_config_of_the_published_model_has_its_sizes() -> None:
    config = chatglm6b_config({"vocab_size": 130528})
    assert (config.hidden_size, config.num_hidden_layers, config.eos_token_id) == (4096, 28, 130005)


# Text and tokens


@pytest.fixture
def tokenizer(tmp_path: Path) -> IceTokenizer:
    (tmp_path / "ice_text.model").write_bytes(small_chatglm6b.sentencepiece_model())
    return IceTokenizer(tmp_path / "ice_text.model", images=0)


@pytest.mark.parametrize(
    "text", ["你好，people", "a\n\n\tb", "two  and    four", " " * 200 + "x", "🀄 汉字", "<n>"]
)
def test_text_comes_back_as_it_was(tokenizer: IceTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)).replace("< n>", "<n>") == text


def test_white_space_has_tokens_of_its_own(tokenizer: IceTokenizer) -> None:
    encoded = tokenizer.encode("a\n\tb" + " " * 83 + "c")
    names = {number: name for name, number in MARKS.items()}
    assert [names[t] for t in encoded if t in names] == [
        *("<n>", "<|tab|>", "<|blank_80|>", "<|blank_3|>")
    ]


@pytest.mark.parametrize("mark", [*small_chatglm6b.SPECIALS[:8], "<|blank_7|>", "<|tab|>"])
def test_text_of_a_person_never_becomes_a_mark(tokenizer: IceTokenizer, mark: str) -> None:
    assert MARKS[mark] not in tokenizer.encode(f"please {mark} now")


def test_first_question_stands_alone_and_later_ones_in_rounds(tokenizer: IceTokenizer) -> None:
    first = tokenizer.prompt([SystemMessage("Short."), HumanMessage("你好")])
    assert first[-2:] == START
    assert tokenizer.decode(first) == "Short.\n\n你好"
    talk = [
        HumanMessage("hi"),
        AIMessage("你好！"),
        HumanMessage("答？\n答：yes"),
        HumanMessage("x"),
    ]
    assert tokenizer.decode(tokenizer.prompt(talk)) == (
        "[Round 0]\n问：hi\n答：你好！\n[Round 1]\n问：答？ 答：yes\nx\n答："
    )


def test_vocabulary_with_places_for_images_is_numbered_behind_them(tmp_path: Path) -> None:
    (tmp_path / "ice_text.model").write_bytes(small_chatglm6b.sentencepiece_model())
    plain = IceTokenizer(tmp_path / "ice_text.model", images=0)
    behind = IceTokenizer(tmp_path / "ice_text.model", images=20_000)
    question = [HumanMessage("你好")]
    assert behind.prompt(question) == [token + 20_000 for token in plain.prompt(question)]
    assert behind.ends == {MARKS["<eop>"] + 20_000}
    assert behind.decode(behind.encode("你好")) == "你好"


def test_other_vocabulary_is_refused(tmp_path: Path) -> None:
    from tests.rag.models import small_glm

    path = tmp_path / "ice_text.model"
    path.write_bytes(b"nonsense")
    with pytest.raises(ModelFailed, match="SentencePiece"):
        IceTokenizer(path)
    path.write_bytes(small_glm.sentencepiece_model())
    with pytest.raises(ModelFailed, match="vocabulary"):
        IceTokenizer(path)


REAL = Path("models/chatglm-6b/ice_text.model")


@pytest.mark.skipif(not REAL.is_file(), reason="the published tokenizer is not in models/")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("你好", [5, 74874]),
        (
            "def main():\n    print('hello world')\t# greeting",
            [1616, 594, 125936, 4, 130011, 2274, 89, 7283, 398, 125686, 130008, 61, 25672],
        ),
        ("👋", [130328, 130247, 130233, 130227]),
    ],
)
def test_golden_tokens_of_the_published_vocabulary(text: str, expected: list[int]) -> None:
    prompt = IceTokenizer(REAL, images=0).prompt([HumanMessage(text)])
    assert prompt[-len(expected) - 2 :] == [*expected, 130001, 130004]


# The chat model


def test_folder_as_published_answers(tmp_path: Path) -> None:
    chat = ChatGLM(folder=small_chatglm6b.write(tmp_path / "chatglm-6b", bits=4), max_tokens=8)
    chat.load()
    answers = {chat.invoke([HumanMessage("你好")]).text for _ in range(2)}
    assert len(answers) == 1
    assert chat.context_window == 256
    chat.close()


def test_folder_without_its_vocabulary_says_so(tmp_path: Path) -> None:
    folder = small_chatglm6b.write(tmp_path / "chatglm-6b")
    (folder / "ice_text.model").unlink()
    with pytest.raises(ModelMissing, match=r"ice_text\.model"):
        ChatGLM(folder=folder).load()
