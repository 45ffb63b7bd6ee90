"""Products of activations and weights on CUDA by Triton, whole and quantised weights alike.

Activations are bfloat16 rows [count, size]. Quantised weights stand as published: rows of int8,
for int4 two to a byte, the even column in the high nibble; a row has one scale.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch.nn import functional

from rag.models.engine_kernels import gate, rms_norm

# Up to how many rows the packed kernel multiplies; for more, unpacking first is faster.
_PACKED_ROWS = 128


@triton.jit
def _moved(word, FROM: tl.constexpr, TO: tl.constexpr):
    """Return `word` with the bit FROM at TO."""
    if TO >= FROM:
        return word << (TO - FROM)
    else:
        return word >> (FROM - TO)


@triton.jit
def _row_dot(
    x, weight, norm, base, rows, cols, BITS: tl.constexpr, NORM: tl.constexpr,
    BR: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """Return BR products of matrix rows, from row `base` on, with the row x; normed if asked."""
    sums = tl.zeros([BR, BC], tl.float32)
    squares = tl.zeros([BC], tl.float32)
    total = tl.zeros([BC], tl.float32)
    row = tl.arange(0, BR)
    live = (base + row < rows)[:, None]
    if BITS == 16:
        start = weight + base.to(tl.int64) * cols
        for first in range(0, cols, BC):
            col = first + tl.arange(0, BC)
            inside = col < cols
            value = tl.load(x + col, mask=inside, other=0.0).to(tl.float32)
            if NORM:
                squares += value * value
                value *= tl.load(norm + col, mask=inside, other=0.0).to(tl.float32)
            matrix = tl.load(
                start + row[:, None] * cols + col[None, :], mask=live & inside[None, :], other=0.0
            )
            sums += matrix.to(tl.float32) * value[None, :]
        result = tl.sum(sums, 1)
    else:
        # A weight's bits become the top of a float's mantissa, its sign bit flipped: the float is
        # the weight plus a constant, which is taken off at the end, with the sum of x.
        PAIRS: tl.constexpr = 16 // BITS  # pairs of weights in a word of 32 bits
        TOP: tl.constexpr = 23 - BITS
        MASK: tl.constexpr = 0x00780000 if BITS == 4 else 0x007F8000
        MAGIC: tl.constexpr = 0x41C00000 if BITS == 4 else 0x43C00000
        OFFSET: tl.constexpr = 24.0 if BITS == 4 else 384.0
        FIRST: tl.constexpr = 4 if BITS == 4 else 0  # where a pair's weights begin in its bits
        SECOND: tl.constexpr = 0 if BITS == 4 else 8
        words = cols * BITS // 32
        start = weight + base.to(tl.int64) * words
        for first in range(0, words, BC):
            col = first + tl.arange(0, BC)
            inside = col < words
            word = tl.load(
                start + row[:, None] * words + col[None, :], mask=live & inside[None, :], other=0
            )
            for pair in tl.static_range(PAIRS):
                two = tl.load(x + col * PAIRS + pair, mask=inside, other=0)
                even = (two << 16).to(tl.float32, bitcast=True)
                odd = (two & -65536).to(tl.float32, bitcast=True)
                if NORM:
                    squares += even * even + odd * odd
                    two = tl.load(norm + col * PAIRS + pair, mask=inside, other=0)
                    even *= (two << 16).to(tl.float32, bitcast=True)
                    odd *= (two & -65536).to(tl.float32, bitcast=True)
                total += even + odd
                left = (_moved(word, 2 * BITS * pair + FIRST, TOP) & MASK) ^ MAGIC
                right = (_moved(word, 2 * BITS * pair + SECOND, TOP) & MASK) ^ MAGIC
                sums += left.to(tl.float32, bitcast=True) * even[None, :]
                sums += right.to(tl.float32, bitcast=True) * odd[None, :]
        result = tl.sum(sums, 1) - OFFSET * tl.sum(total, 0)
    return result, tl.sum(squares, 0)


@triton.jit
def _row_kernel(
    x, weight, scale, bias, residual, norm, out, rows, cols, epsilon,
    BITS: tl.constexpr, NORM: tl.constexpr, BIAS: tl.constexpr, RESIDUAL: tl.constexpr,
    GATED: tl.constexpr, BR: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    base = tl.program_id(0) * BR
    row = base + tl.arange(0, BR)
    live = row < rows
    result, squares = _row_dot(x, weight, norm, base, rows, cols, BITS, NORM, BR, BC)
    if NORM:
        result *= tl.rsqrt(squares / cols + epsilon)
    if BITS != 16:
        result *= tl.load(scale + row, mask=live, other=0.0).to(tl.float32)
    if BIAS:
        result += tl.load(bias + row, mask=live, other=0.0).to(tl.float32)
    if GATED:
        up, _ = _row_dot(x, weight, norm, base + rows, 2 * rows, cols, BITS, NORM, BR, BC)
        if NORM:
            up *= tl.rsqrt(squares / cols + epsilon)
        if BITS != 16:
            up *= tl.load(scale + rows + row, mask=live, other=0.0).to(tl.float32)
        result = result * tl.sigmoid(result) * up
    if RESIDUAL:
        result += tl.load(residual + row, mask=live, other=0.0).to(tl.float32)
    tl.store(out + row, result.to(out.dtype.element_ty), mask=live)


@triton.jit
def _packed_kernel(
    x, weight, scale, bias, residual, out, count, rows, cols,
    BITS: tl.constexpr, BIAS: tl.constexpr, RESIDUAL: tl.constexpr, SHARES: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """Multiply all rows of x by BN rows of a quantised matrix; BK columns at a time.

    For int4 x has its even columns before its odd ones, [2, count, cols / 2]. Where a matrix is cut
    into SHARES by its columns, `out` takes what each gives: [SHARES, count, rows] of float32.
    """
    row = tl.program_id(0) * BN + tl.arange(0, BN)
    at = tl.arange(0, BM)
    live, there = row < rows, at < count
    BYTES: tl.constexpr = BK * BITS // 8
    width = cols * BITS // 8
    share = tl.cdiv(tl.cdiv(width, BYTES), SHARES) * BYTES
    start = tl.program_id(1) * share
    sums = tl.zeros([BM, BN], tl.float32)
    for first in range(start, tl.minimum(start + share, width), BYTES):
        byte = first + tl.arange(0, BYTES)
        place = at[:, None] * width + byte[None, :]
        inside = there[:, None] & (byte < width)[None, :]
        value = tl.load(x + place, mask=inside, other=0.0)
        packed = tl.load(
            weight + row[:, None] * width + byte[None, :],
            mask=live[:, None] & (byte < width)[None, :],
            other=0,
        )
        if BITS == 4:
            # A weight's bits become a bfloat16's mantissa, its sign bit flipped: 136 too much.
            pair = packed.to(tl.int16)
            even = ((((pair >> 4) & 15) ^ 8) | 0x4300).to(tl.bfloat16, bitcast=True) - 136.0
            odd = (((pair & 15) ^ 8) | 0x4300).to(tl.bfloat16, bitcast=True) - 136.0
            sums = tl.dot(value, tl.trans(even.to(tl.bfloat16)), sums)
            value = tl.load(x + count * width + place, mask=inside, other=0.0)
            sums = tl.dot(value, tl.trans(odd.to(tl.bfloat16)), sums)
        else:
            sums = tl.dot(value, tl.trans(packed.to(tl.float32).to(tl.bfloat16)), sums)
    sums *= tl.load(scale + row, mask=live, other=0.0).to(tl.float32)[None, :]
    place = at[:, None] * rows + row[None, :]
    inside = there[:, None] & live[None, :]
    if SHARES > 1:
        tl.store(out + tl.program_id(1) * count * rows + place, sums, mask=inside)
    else:
        if BIAS:
            sums += tl.load(bias + row, mask=live, other=0.0).to(tl.float32)[None, :]
        if RESIDUAL:
            sums += tl.load(residual + place, mask=inside, other=0.0).to(tl.float32)
        tl.store(out + place, sums.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _sum_kernel(
    shares, bias, residual, out, size, rows,
    BIAS: tl.constexpr, RESIDUAL: tl.constexpr, SHARES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Add up what the shares of a matrix have given, the bias and the residual."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    sums = tl.zeros([BLOCK], tl.float32)
    for share in tl.static_range(SHARES):
        sums += tl.load(shares + share * size + at, mask=inside, other=0.0)
    if BIAS:
        sums += tl.load(bias + at % rows, mask=inside, other=0.0).to(tl.float32)
    if RESIDUAL:
        sums += tl.load(residual + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at, sums.to(out.dtype.element_ty), mask=inside)


class Matrix:
    """A linear layer's weights, bfloat16 or quantised, and the fastest way to multiply by them."""

    def __init__(
        self,
        weight: torch.Tensor,
        scale: torch.Tensor | None = None,
        bias: torch.Tensor | None = None,
        bits: int = 16,
    ) -> None:
        self.weight, self.scale, self.bias, self.bits = weight, scale, bias, bits
        self.rows, self.cols = weight.shape[0], weight.shape[1] * 8 // min(bits, 8)
        if bits == 16:
            self.cols = weight.shape[1]

    def __call__(
        self,
        x: torch.Tensor,
        *,
        norm: torch.Tensor | None = None,
        epsilon: float = 0.0,
        gated: bool = False,
        residual: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return x times the matrix: x normed before if asked; after it the bias is added, the
        first half gates the second if asked, and the residual is added."""
        if x.shape[0] == 1:
            return self._row(x, norm, epsilon, gated, residual)
        if norm is not None:
            x = rms_norm(x, norm, epsilon)
        result = self._rows(x, residual)
        return gate(result) if gated else result

    def _row(
        self,
        x: torch.Tensor,
        norm: torch.Tensor | None,
        epsilon: float,
        gated: bool,
        residual: torch.Tensor | None,
    ) -> torch.Tensor:
        rows = self.rows // 2 if gated else self.rows
        out = torch.empty(1, rows, dtype=x.dtype, device=x.device)
        weight, norm_weight = self.weight, norm
        if self.bits != 16:  # read as words of 32 bits, and x as pairs
            weight, x = weight.view(torch.int32), x.view(torch.int32)
            norm_weight = None if norm is None else norm.view(torch.int32)
        br, bc, warps = row_shape(rows, self.cols, self.bits)
        _row_kernel[(triton.cdiv(rows, br),)](
            x, weight, self.scale, self.bias, residual, norm_weight, out, rows, self.cols, epsilon,
            BITS=self.bits, NORM=norm is not None, BIAS=self.bias is not None,
            RESIDUAL=residual is not None, GATED=gated, BR=br, BC=bc, num_warps=warps,
        )  # fmt: skip
        return out

    def _rows(self, x: torch.Tensor, residual: torch.Tensor | None) -> torch.Tensor:
        if self.bits == 16:
            if residual is not None:
                return torch.addmm(residual, x, self.weight.T)
            return functional.linear(x, self.weight, self.bias)
        count = x.shape[0]
        if count > _PACKED_ROWS:
            result = functional.linear(x, self.unpacked(x.dtype), self.bias)
            return result if residual is None else result + residual
        out = torch.empty(count, self.rows, dtype=x.dtype, device=x.device)
        bm, bn, bk, warps, stages, shares = packed_shape(count, self.bits)
        if self.bits == 4:  # even columns apart from odd ones, as the kernel unpacks them
            x = x.view(count, -1, 2).permute(2, 0, 1).contiguous()
        parts = out
        if shares > 1:
            parts = torch.empty(shares, count, self.rows, dtype=torch.float32, device=x.device)
        added = {"BIAS": self.bias is not None, "RESIDUAL": residual is not None, "SHARES": shares}
        _packed_kernel[(triton.cdiv(self.rows, bn), shares)](
            x, self.weight, self.scale, self.bias, residual, parts, count, self.rows, self.cols,
            BITS=self.bits, BM=bm, BN=bn, BK=bk, num_warps=warps, num_stages=stages, **added,
        )  # fmt: skip
        if shares > 1:
            _sum_kernel[(triton.cdiv(out.numel(), 1024),)](
                parts, self.bias, residual, out, out.numel(), self.rows, BLOCK=1024, **added
            )
        return out

    def unpacked(self, dtype: torch.dtype) -> torch.Tensor:
        """Return the weights that a quantised matrix stands for."""
        assert self.scale is not None  # noqa: S101 - for the type checker
        packed = self.weight
        if self.bits == 4:
            packed = torch.stack((packed >> 4, (packed << 4) >> 4), dim=-1).flatten(1)
        return packed.to(dtype) * self.scale.to(dtype)[:, None]


def row_shape(rows: int, cols: int, bits: int) -> tuple[int, int, int]:
    """Return (rows, columns, warps) of a program that multiplies one row, as measured on an H100;
    columns in elements, of a quantised matrix in words of 32 bits."""
    return (4, 512, 4) if bits == 16 else (8, 256, 4)


def packed_shape(count: int, bits: int) -> tuple[int, int, int, int, int, int]:
    """Return (count, rows, columns, warps, stages) of a program of the packed kernel, and into how
    many shares the columns are cut, as measured on an H100."""
    most = max(16, triton.next_power_of_2(count))
    return most, 64, 128, 4, 3 if bits == 4 else 4, 4
