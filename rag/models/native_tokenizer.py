"""ChatGLM2's and ChatGLM3's tokenizer as transformers and servers read it: a `tokenizer.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)
from transformers import PreTrainedTokenizerFast

from rag.errors import ModelFailed
from rag.models.glm_weights import Generation

# The marks behind the pieces, in their order. `sop` and `eop` are words too: here they are written
# so that no ordinary text has them.
_MARKS = ("[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>")
_ROLES = ("<|system|>", "<|user|>", "<|assistant|>", "<|observation|>")
_START = "[gMASK]<sop>"
_ROUNDS = (
    _START + "{%- set at = namespace(round=0) -%}{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}{%- set at.round = at.round + 1 -%}"
    "{{ '[Round ' ~ at.round ~ ']\\n\\n问：' ~ message['content'] ~ '\\n\\n答：' }}"
    "{%- else -%}{{ message['content'] ~ '\\n\\n' }}{%- endif -%}{%- endfor -%}"
)
_TURNS = (
    _START + "{%- for message in messages -%}{%- set role = message['role'] -%}"
    "{{ '<|' ~ ('observation' if role == 'tool' else role) ~ '|>\\n ' ~ message['content'] }}"
    "{%- endfor -%}{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)


def native_tokenizer(path: Path, generation: Generation) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a SentencePiece model, with the generation's chat template; raise
    `ModelFailed`."""
    model = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    pieces = SentencePieceProcessor()
    try:
        model.ParseFromString(path.read_bytes())
        pieces.LoadFromSerializedProto(path.read_bytes())
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelFailed(f"{path} is not ChatGLM's SentencePiece model: {error}") from error
    names = [piece.piece for piece in model.pieces]
    core = Tokenizer(
        models.BPE(
            vocab={name: at for at, name in enumerate(names)},
            merges=_merges(model),
            unk_token=names[pieces.unk_id()],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    core.normalizer = normalizers.Sequence(_normalizers(model.normalizer_spec))
    core.pre_tokenizer = pre_tokenizers.Sequence([])
    core.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    third = generation == "chatglm3"
    marks = [*_MARKS, *(_ROLES if third else ())]
    core.add_special_tokens([AddedToken(mark, normalized=False, special=True) for mark in marks])
    core.post_processor = processors.TemplateProcessing(
        single="[gMASK] <sop> $A",
        pair="[gMASK] <sop> $A $B",
        special_tokens=[(mark, len(names) + marks.index(mark)) for mark in ("[gMASK]", "<sop>")],
    )
    fast = cast(Any, PreTrainedTokenizerFast)(
        tokenizer_object=core,
        eos_token=names[pieces.eos_id()],
        pad_token=names[pieces.unk_id()],
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = _TURNS if third else _ROUNDS
    return cast(PreTrainedTokenizerFast, fast)


def _merges(model: Any) -> list[tuple[str, str]]:
    """Return every pair of pieces that makes a piece, the best piece first."""
    plain = {piece.piece: at for at, piece in enumerate(model.pieces) if piece.type == piece.NORMAL}
    found = []
    for piece, at in plain.items():
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in plain and right in plain:
                score = model.pieces[at].score
                found.append((-score, plain[left], plain[right], left, right))
    return [(left, right) for *_, left, right in sorted(found)]


def _normalizers(spec: Any) -> list[normalizers.Normalizer]:
    """Return SentencePiece's own preparation of text."""
    steps: list[normalizers.Normalizer] = []
    if spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.remove_extra_whitespaces:
        steps += [normalizers.Strip(), normalizers.Replace(" {2,}", " ")]
    if spec.add_dummy_prefix:
        steps.append(normalizers.Prepend("▁"))
    return [*steps, normalizers.Replace(" ", "▁")]
