"""Triton kernels for a decoder's step on CUDA, whole and quantised weights alike.

Activations are bfloat16 rows [count, size]. Quantised weights stand as published: rows of int8,
for int4 two to a byte, the even column in the high nibble; a row has one scale.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch.nn import functional

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


@triton.jit
def _norm_kernel(x, weight, out, cols, epsilon, BC: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    col = tl.arange(0, BC)
    inside = col < cols
    value = tl.load(x + row * cols + col, mask=inside, other=0.0).to(tl.float32)
    value *= tl.rsqrt(tl.sum(value * value, 0) / cols + epsilon)
    value *= tl.load(weight + col, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * cols + col, value.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _gate_kernel(x, out, cols, BC: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    col = tl.program_id(1) * BC + tl.arange(0, BC)
    inside = col < cols
    gate = tl.load(x + row * 2 * cols + col, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(x + row * 2 * cols + cols + col, mask=inside, other=0.0).to(tl.float32)
    value = gate * tl.sigmoid(gate) * up
    tl.store(out + row * cols + col, value.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _turn_kernel(
    fused, query, keys, values, slots, places, inverse, length,
    HEADS: tl.constexpr, GROUPS: tl.constexpr, WIDTH: tl.constexpr, PAIRS: tl.constexpr,
):  # fmt: skip
    """Turn a query or key by its position; keep a key or value at its slot's place."""
    token, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    pair = tl.arange(0, WIDTH // 2)
    source = fused + (token * (HEADS + 2 * GROUPS) + head) * WIDTH
    even = tl.load(source + 2 * pair).to(tl.float32)
    odd = tl.load(source + 2 * pair + 1).to(tl.float32)
    place = tl.load(places + token)
    if head < HEADS + GROUPS:
        angle = place.to(tl.float32) * tl.load(inverse + pair, mask=pair < PAIRS, other=0.0)
        cos, sin = tl.cos(angle), tl.sin(angle)
        even, odd = even * cos - odd * sin, odd * cos + even * sin
    if head < HEADS:
        target = query + (token * HEADS + head) * WIDTH
    else:
        group = (head - HEADS) % GROUPS
        slot = tl.load(slots + token)
        offset = ((slot * GROUPS + group) * length + place) * WIDTH
        target = keys + offset
        if head >= HEADS + GROUPS:
            target = values + offset
    tl.store(target + 2 * pair, even.to(tl.bfloat16))
    tl.store(target + 2 * pair + 1, odd.to(tl.bfloat16))


@triton.jit
def _attend_kernel(
    query, keys, values, slots, places, parts, peaks, weights, length, scale,
    HEADS: tl.constexpr, GROUPS: tl.constexpr, WIDTH: tl.constexpr, SHARE: tl.constexpr,
    PART: tl.constexpr, BLOCK: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """Attend with the heads of one group to one part of their slot's keys."""
    row, group, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    count = tl.load(places + row) + 1
    first = part * PART
    if first < count:
        PER: tl.constexpr = HEADS // GROUPS
        mate = tl.arange(0, SHARE)
        head = group * PER + mate
        dim = tl.arange(0, WIDTH)
        mine = (mate < PER)[:, None]
        q = tl.load(
            query + (row * HEADS + head)[:, None] * WIDTH + dim[None, :], mask=mine, other=0.0
        )
        slot = tl.load(slots + row).to(tl.int64)
        start = (slot * GROUPS + group) * length * WIDTH
        peak = tl.full([SHARE], -1e30, tl.float32)
        weight = tl.zeros([SHARE], tl.float32)
        sums = tl.zeros([SHARE, WIDTH], tl.float32)
        for block in range(first, tl.minimum(first + PART, count), BLOCK):
            key = block + tl.arange(0, BLOCK)
            seen = key < count
            offset = start + key[:, None] * WIDTH + dim[None, :]
            k = tl.load(keys + offset, mask=seen[:, None], other=0.0)
            scores = tl.dot(q, tl.trans(k)) * scale
            scores = tl.where(seen[None, :], scores, -1e30)
            top = tl.maximum(peak, tl.max(scores, 1))
            shares = tl.exp(scores - top[:, None])
            fade = tl.exp(peak - top)
            weight = weight * fade + tl.sum(shares, 1)
            v = tl.load(values + offset, mask=seen[:, None], other=0.0)
            sums = sums * fade[:, None] + tl.dot(shares.to(tl.bfloat16), v)
            peak = top
        place = (row * HEADS + head) * PARTS + part
        tl.store(parts + place[:, None] * WIDTH + dim[None, :], sums, mask=mine)
        tl.store(peaks + place, peak, mask=mate < PER)
        tl.store(weights + place, weight, mask=mate < PER)


@triton.jit
def _combine_kernel(
    parts, peaks, weights, places, out,
    HEADS: tl.constexpr, WIDTH: tl.constexpr, PART: tl.constexpr, PARTS: tl.constexpr,
    SOME: tl.constexpr,
):  # fmt: skip
    """Put together what the parts of a slot's keys have given."""
    row, head = tl.program_id(0), tl.program_id(1)
    used = tl.load(places + row) // PART + 1
    start = (row * HEADS + head) * PARTS
    dim = tl.arange(0, WIDTH)
    peak = -1e30
    weight = 0.0
    sums = tl.zeros([WIDTH], tl.float32)
    for first in range(0, used, SOME):
        part = first + tl.arange(0, SOME)
        there = part < used
        tops = tl.load(peaks + start + part, mask=there, other=-1e30)
        top = tl.maximum(peak, tl.max(tops, 0))
        fade, shares = tl.exp(peak - top), tl.exp(tops - top)
        weight = weight * fade + tl.sum(
            shares * tl.load(weights + start + part, mask=there, other=0.0), 0
        )
        values = tl.load(
            parts + (start + part)[:, None] * WIDTH + dim[None, :], mask=there[:, None], other=0.0
        )
        sums = sums * fade + tl.sum(values * shares[:, None], 0)
        peak = top
    tl.store(out + (row * HEADS + head) * WIDTH + dim, (sums / weight).to(tl.bfloat16))


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


def rms_norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Return x with each row divided by its root mean square, times `weight`."""
    out = torch.empty_like(x)
    size = x.shape[1]
    _norm_kernel[(x.shape[0],)](
        x, weight, out, size, epsilon, BC=triton.next_power_of_2(size), num_warps=8
    )
    return out


def gate(x: torch.Tensor) -> torch.Tensor:
    """Return silu of the first half of each row, times the second."""
    size = x.shape[1] // 2
    out = torch.empty(x.shape[0], size, dtype=x.dtype, device=x.device)
    _gate_kernel[(x.shape[0], triton.cdiv(size, 2048))](x, out, size, BC=2048)
    return out


def turn_and_keep(
    fused: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    slots: torch.Tensor,
    places: torch.Tensor,
    inverse: torch.Tensor,
    heads: int,
) -> torch.Tensor:
    """Turn queries and keys of [count, (heads + 2 groups) * width] by their places, keep keys and
    values [slots, groups, length, width] there; return the queries [count, heads, width]."""
    groups, length, width = keys.shape[1:]
    count = fused.shape[0]
    query = torch.empty(count, heads, width, dtype=fused.dtype, device=fused.device)
    _turn_kernel[(count, heads + 2 * groups)](
        fused, query, keys, values, slots, places, inverse, length,
        HEADS=heads, GROUPS=groups, WIDTH=width, PAIRS=inverse.numel(), num_warps=1,
    )  # fmt: skip
    return query


def attend(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    slots: torch.Tensor,
    places: torch.Tensor,
) -> torch.Tensor:
    """Return what queries [count, heads, width], one a slot, take from their slot's keys and values
    up to their place: [count, heads * width]."""
    count, heads, width = query.shape
    groups, length = keys.shape[1:3]
    # Many programs where there are few slots, few partial results where there are many.
    part = 64 if count <= 4 else 128 if count <= 16 else 256
    part = max(part, triton.next_power_of_2(triton.cdiv(length, 256)))
    parts = triton.cdiv(length, part)
    sums = torch.empty(count, heads, parts, width, dtype=torch.float32, device=query.device)
    peaks, weights = sums.new_empty(2, count, heads, parts)
    share = max(16, triton.next_power_of_2(heads // groups))
    _attend_kernel[(count, groups, parts)](
        query, keys, values, slots, places, sums, peaks, weights, length, width**-0.5,
        HEADS=heads, GROUPS=groups, WIDTH=width, SHARE=share, PART=part, BLOCK=64, PARTS=parts,
    )  # fmt: skip
    out = torch.empty(count, heads * width, dtype=query.dtype, device=query.device)
    _combine_kernel[(count, heads)](
        sums, peaks, weights, places, out,
        HEADS=heads, WIDTH=width, PART=part, PARTS=parts, SOME=8, num_warps=2,
    )  # fmt: skip
    return out
