from __future__ import annotations

import pytest
import torch
from torch import nn

from rag.models.quantisation import (
    Bits,
    QuantisedLinear,
    dequantise_rows,
    quantise_rows,
    quantised_layers,
    unpack_rows,
    use_quantised,
)


def layer(inputs: int, outputs: int, bits: Bits, *, bias: bool = True) -> QuantisedLinear:
    torch.manual_seed(0)
    made = QuantisedLinear(inputs, outputs, bits, bias=bias, dtype=torch.float32)
    made.weight, made.weight_scale = quantise_rows(torch.randn(outputs, inputs), bits)
    if made.bias is not None:
        made.bias.data = torch.randn(outputs)
    return made


def test_int4_is_laid_out_as_published() -> None:
    """The even column is the high nibble, signed; the scale is the largest weight over seven."""
    packed, scale = quantise_rows(torch.tensor([[7.0, -7.0, 1.0, -1.0]]), 4)
    assert scale.tolist() == [1.0]
    assert [byte & 0xFF for byte in packed[0].tolist()] == [0x79, 0x1F]
    assert unpack_rows(packed, 4).tolist() == [[7, -7, 1, -1]]


@pytest.mark.parametrize("bits", [4, 8])
def test_weights_come_back_within_half_a_step(bits: Bits) -> None:
    torch.manual_seed(0)
    weight = torch.cat((torch.randn(16, 64), torch.zeros(1, 64)))
    packed, scale = quantise_rows(weight, bits)
    back = dequantise_rows(packed, scale, bits, torch.float32)
    assert ((back - weight).abs() <= scale.float()[:, None] * 0.51).all()
    again, same = quantise_rows(back, bits)
    assert torch.equal(dequantise_rows(again, same, bits, torch.float32), back)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("shape", [(32, 16), (96, 48), (256, 64), (36, 10)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_prepared_layer_computes_what_its_weights_stand_for(
    bits: Bits, shape: tuple[int, int], dtype: torch.dtype
) -> None:
    made = layer(*shape, bits)
    assert made.bias is not None
    inputs = torch.randn(2, 3, shape[0]).to(dtype)
    weights = dequantise_rows(made.weight, made.weight_scale, bits, torch.float64)
    expected = inputs.double() @ weights.T + made.bias.double()
    made.bias.data = made.bias.data.to(dtype)
    made.prepare(dtype)
    # Only the last roundings of bfloat16 are left: the weights themselves lose nothing.
    close = 1e-4 if dtype == torch.float32 else 0.02
    assert (made(inputs).double() - expected).abs().max() <= close * expected.abs().max()
    assert made(inputs).shape == (2, 3, shape[1])
    assert made(inputs).dtype == dtype


def test_layer_that_a_kernel_can_take_is_prepared_for_it() -> None:
    assert [(b, layer(256, 64, b).prepared) for b in (4, 8)] == [(4, ""), (8, "")]
    made = {bits: layer(256, 64, bits) for bits in (4, 8)}
    size = made[4].weight.nbytes
    for quantised in made.values():
        quantised.prepare(torch.bfloat16)
    assert (made[4].prepared, made[8].prepared) == ("int4 cpu", "int8")
    assert made[4].weight.nbytes == size


def test_every_linear_layer_below_is_replaced_and_nothing_else() -> None:
    layers, head = nn.Sequential(nn.Linear(8, 4), nn.LayerNorm(4)), nn.Linear(4, 2)
    model = nn.Sequential(layers, head)
    use_quantised(layers, 4, torch.float32)
    assert [type(m).__name__ for m in layers] == ["QuantisedLinear", "LayerNorm"]
    assert model[1] is head
    assert len(list(quantised_layers(model))) == 1
