"""Triton kernels for a decoder's step on CUDA: norms, gates, positions and attention.

Activations are bfloat16 rows [count, size].
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl


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
