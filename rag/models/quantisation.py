"""Weights as rows of small integers with a scale each: ChatGLM's int4 and int8, and how to compute.

A row has one float16 scale; its int4 weights stand two to a byte, the even column in the high
nibble, signed. Biases, norms, embeddings and the head are never quantised.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

Bits = Literal[4, 8]
_LARGEST = {4: 7, 8: 127}
# What int4 kernels take for a group of columns that share a scale, the best first.
_GROUPS = (128, 64, 32)
_INNER_TILES = 8
_BLOCK = 4096


def quantise_rows(weight: torch.Tensor, bits: Bits) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a matrix as (int8 weights, two to a byte for 4 bits; float16 scales), as published."""
    scale = (weight.float().abs().amax(1) / _LARGEST[bits]).clamp(min=2**-24).half()
    whole = (weight.float() / scale.float()[:, None]).round_()
    whole = whole.clamp_(-_LARGEST[bits] - 1, _LARGEST[bits]).to(torch.int8)
    if bits == 8:
        return whole, scale
    return (whole[:, 0::2] << 4) | (whole[:, 1::2] & 15), scale


def unpack_rows(packed: torch.Tensor, bits: Bits) -> torch.Tensor:
    """Return the whole numbers of a quantised matrix as int8, one to a column."""
    if bits == 8:
        return packed
    return torch.stack((packed >> 4, (packed << 4) >> 4), dim=-1).flatten(1)


def dequantise_rows(
    packed: torch.Tensor, scale: torch.Tensor, bits: Bits, dtype: torch.dtype
) -> torch.Tensor:
    """Return the weights that a quantised matrix stands for."""
    rows = unpack_rows(packed, bits).float().mul_(scale.float()[:, None])
    return rows.to(dtype)


class QuantisedLinear(nn.Module):
    """A linear layer of quantised weights, in place of `nn.Linear`.

    As made, it holds the published layout and unpacks the weights for each call, exactly and
    slowly. `prepare` turns them, in place, into what the fastest kernel of their device reads.
    """

    weight: torch.Tensor
    weight_scale: torch.Tensor

    def __init__(
        self, inputs: int, outputs: int, bits: Bits, *, bias: bool, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.in_features, self.out_features, self.bits = inputs, outputs, bits
        self.register_buffer("weight", torch.empty(outputs, inputs * bits // 8, dtype=torch.int8))
        self.register_buffer("weight_scale", torch.empty(outputs, dtype=torch.float16))
        self.bias = nn.Parameter(torch.empty(outputs, dtype=dtype)) if bias else None
        self.group = 0
        self.prepared = ""
        """Which kernel the weights are laid out for; empty for the published layout."""
        # No buffer: accelerate's hooks, which move those, don't take one that is None.
        self.units: torch.Tensor | None = None

    def prepare(self, dtype: torch.dtype) -> None:
        """Lay the weights out for activations of `dtype` on the device where they are now.

        For bfloat16 both widths have kernels on a CPU and, in the published layout, on CUDA where
        Triton is (int4 without it too). Anything else keeps the published layout. Move the layer
        before, not after.
        """
        rows, columns = self.out_features, self.in_features
        if self.prepared or dtype != torch.bfloat16 or rows % 16 or columns % 32:
            return
        device = self.weight.device.type
        if device == "cuda" and find_spec("triton"):
            self.prepared = "triton"  # which reads the published layout
            return
        if self.bits == 8:
            if device == "cpu":
                self.units = torch.ones(rows, dtype=dtype)
                self.prepared = "int8"
            return
        self.group = next(group for group in _GROUPS if columns % group == 0)
        if device == "cpu":
            # In blocks, because the packing reads four bytes for each weight.
            blocks = [
                torch.ops.aten._convert_weight_to_int4pack_for_cpu(
                    unpack_rows(part, 4).to(torch.int32).add_(8), 1
                )
                for part in torch.split(self.weight, _BLOCK)
            ]
            self.weight = torch.cat(blocks)
        elif device == "cuda" and columns % (16 * _INNER_TILES) == 0:
            # From signed nibbles to 0..15: the sign bit of each is flipped.
            levels = self.weight.view(torch.uint8) ^ 0x88
            self.weight = torch.ops.aten._convert_weight_to_int4pack(levels, _INNER_TILES)
        else:
            return
        # Every group has the scale 1 and the middle 0: whole numbers are exact in bfloat16, and
        # the rows' own scales are applied to the sums, so that nothing is lost.
        self.units = torch.zeros(
            columns // self.group, rows, 2, dtype=dtype, device=self.weight.device
        )
        self.units[..., 0] = 1
        self.prepared = f"int4 {device}"

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return `inputs @ weights.T + bias`."""
        if not self.prepared:
            weights = dequantise_rows(self.weight, self.weight_scale, self.bits, inputs.dtype)
            return functional.linear(inputs, weights, self.bias)
        flat = inputs.reshape(-1, self.in_features)
        if self.prepared == "triton":
            from rag.models.engine_matrix import Matrix

            matrix = Matrix(self.weight, self.weight_scale, self.bias, self.bits)
            return matrix(flat).view(*inputs.shape[:-1], self.out_features)
        if self.prepared == "int4 cpu":
            sums = torch.ops.aten._weight_int4pack_mm_for_cpu(
                flat, self.weight, self.group, self.units
            )
        elif self.prepared == "int4 cuda":
            sums = torch.ops.aten._weight_int4pack_mm(flat, self.weight, self.group, self.units)
        else:
            sums = torch.ops.aten._weight_int8pack_mm(flat, self.weight, self.units)
        scaled: torch.Tensor = (sums.float() * self.weight_scale.float()).to(inputs.dtype)
        if self.bias is not None:
            scaled = scaled + self.bias
        return scaled.view(*inputs.shape[:-1], self.out_features)


def use_quantised(layers: nn.Module, bits: Bits, dtype: torch.dtype) -> None:
    """Put a `QuantisedLinear` in the place of every linear layer, on the same device."""
    for parent in list(layers.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Linear):
                with torch.device(layer.weight.device):
                    new = QuantisedLinear(
                        layer.in_features,
                        layer.out_features,
                        bits,
                        bias=layer.bias is not None,
                        dtype=dtype,
                    )
                setattr(parent, name, new)


def quantised_layers(model: nn.Module) -> Iterator[QuantisedLinear]:
    """Yield every quantised layer of a model."""
    for layer in model.modules():
        if isinstance(layer, QuantisedLinear):
            yield layer
