"""The kernels of ``TritonForm``, in Triton's language.

States are ``[N, S]``, row ``n - 1`` for node ``n``; ground is node 0, has no row and is never read.
Every program works on a tile of edges by samples that stays in registers: nothing of edges by
samples is written to memory. No two programs write one element, so there are no atomic additions,
and sums are added in one order: the same numbers come out every time.

What the kernels take:

- ``form`` and ``steps``: the coefficients ``w, a, b, c``, and for each 1 where it is ``[E]`` or 0
  where it is one number for all edges.
- ``reach [N + 1]``: how far a current into a node moves it, which is 1/C, and 0 for ground.
- ``ends``: ``start [2N + 1]``, ``edges`` and ``others``. The edges that leave node ``n + 1`` are
  ``edges[start[2n]:start[2n + 1]]``, those that enter it ``edges[start[2n + 1]:start[2n + 2]]``;
  their other ends are at the same places of ``others``.
- ``is_tanh`` and ``below``: phi is tanh, or its slope is 1 above 0 and ``below`` below.
- ``lanes`` and ``width``: edges and samples of a tile.
"""
# Triton reads these functions as a language of its own, whose types are not Python's:
# pyright: basic, reportArgumentType=false, reportAssignmentType=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def add_currents(
    v: tl.tensor,
    total: tl.tensor,
    diagonal: tl.tensor,
    reach: tl.tensor,
    ends: tl.tuple,
    form: tl.tuple,
    steps: tl.tuple,
    samples: tl.tensor,
    trace: tl.constexpr,
    is_tanh: tl.constexpr,
    below: tl.constexpr,
    lanes: tl.constexpr,
    width: tl.constexpr,
) -> None:
    """Adds a batch's part of dv/dt to ``total`` and of its Jacobian's diagonal to ``diagonal``.

    One program for each node and ``width`` samples.
    """
    row = tl.program_id(0)
    at = tl.program_id(1) * width + tl.arange(0, width)
    here = row.to(tl.int64) * samples + at
    real = at < samples
    leaving, falling = _sum_currents(
        row, v, ends, form, steps, at, samples, True, trace, is_tanh, below, lanes, width
    )
    entering, rising = _sum_currents(
        row, v, ends, form, steps, at, samples, False, trace, is_tanh, below, lanes, width
    )
    moved = tl.load(reach + row + 1)
    known = tl.load(total + here, mask=real, other=0.0)
    tl.store(total + here, known + moved * (entering - leaving), mask=real)
    if trace:
        known = tl.load(diagonal + here, mask=real, other=0.0)
        tl.store(diagonal + here, known + moved * (rising - falling), mask=real)


@triton.jit
def _sum_currents(
    row: tl.tensor,
    v: tl.tensor,
    ends: tl.tuple,
    form: tl.tuple,
    steps: tl.tuple,
    at: tl.tensor,
    samples: tl.tensor,
    outwards: tl.constexpr,
    trace: tl.constexpr,
    is_tanh: tl.constexpr,
    below: tl.constexpr,
    lanes: tl.constexpr,
    width: tl.constexpr,
) -> tl.tuple:
    """The currents of a node's edges in one direction, and their slopes in its own voltage."""
    own = _row(v, row, at, samples)[None, :]
    current = tl.zeros((lanes, width), own.dtype)
    slopes = tl.zeros((lanes, width), own.dtype)
    first, last = _range(ends, row, outwards)
    for begin in range(first, last, lanes):
        place = begin + tl.arange(0, lanes)
        there = place < last
        edge = tl.load(ends[1] + place, mask=there, other=0)
        far = _rows(v, tl.load(ends[2] + place, mask=there, other=0), at, samples)
        w, a, b, c = _coefficients(form, steps, edge, there)
        u = own * a + (far * b + c) if outwards else far * a + (own * b + c)
        value = _value(u, is_tanh, below)
        current += tl.where(there[:, None], w * value, 0.0)
        if trace:
            slope = (w * (a if outwards else b)) * _slope(u, value, is_tanh, below)
            slopes += tl.where(there[:, None], slope, 0.0)
    return tl.sum(current, axis=0), tl.sum(slopes, axis=0)


@triton.jit
def pull_voltages(
    v: tl.tensor,
    g: tl.tensor,
    g_trace: tl.tensor,
    grad: tl.tensor,
    reach: tl.tensor,
    ends: tl.tuple,
    form: tl.tuple,
    steps: tl.tuple,
    samples: tl.tensor,
    trace: tl.constexpr,
    is_tanh: tl.constexpr,
    below: tl.constexpr,
    lanes: tl.constexpr,
    width: tl.constexpr,
) -> None:
    """Adds to ``grad`` the adjoint of ``v`` through one batch.

    ``g [N, S]`` is the adjoint of dv/dt, ``g_trace [S]`` that of the trace, which is looked at only
    with ``trace``. One program for each node and ``width`` samples.
    """
    row = tl.program_id(0)
    at = tl.program_id(1) * width + tl.arange(0, width)
    here = row.to(tl.int64) * samples + at
    real = at < samples
    states = (v, g, g_trace, reach)
    pulled = _sum_pulls(
        row, states, ends, form, steps, at, samples, True, trace, is_tanh, below, lanes, width
    )
    pulled += _sum_pulls(
        row, states, ends, form, steps, at, samples, False, trace, is_tanh, below, lanes, width
    )
    known = tl.load(grad + here, mask=real, other=0.0)
    tl.store(grad + here, known + pulled, mask=real)


@triton.jit
def _sum_pulls(
    row: tl.tensor,
    states: tl.tuple,
    ends: tl.tuple,
    form: tl.tuple,
    steps: tl.tuple,
    at: tl.tensor,
    samples: tl.tensor,
    outwards: tl.constexpr,
    trace: tl.constexpr,
    is_tanh: tl.constexpr,
    below: tl.constexpr,
    lanes: tl.constexpr,
    width: tl.constexpr,
) -> tl.tensor:
    """What a node's edges in one direction add to the adjoint of its voltage."""
    v, g, g_trace, reach = states
    own = _row(v, row, at, samples)[None, :]
    own_reach = tl.load(reach + row + 1)
    own_g = own_reach * _row(g, row, at, samples)[None, :]
    g_sample = _trace_adjoint(g_trace, at, samples, own, trace)
    pulled = tl.zeros((lanes, width), own.dtype)
    first, last = _range(ends, row, outwards)
    for begin in range(first, last, lanes):
        place = begin + tl.arange(0, lanes)
        there = place < last
        edge = tl.load(ends[1] + place, mask=there, other=0)
        other = tl.load(ends[2] + place, mask=there, other=0)
        far = _rows(v, other, at, samples)
        far_reach = tl.load(reach + other)[:, None]
        far_g = far_reach * _rows(g, other, at, samples)
        w, a, b, c = _coefficients(form, steps, edge, there)
        if outwards:
            u = own * a + (far * b + c)
            x = far_g - own_g
            beta = b * far_reach - a * own_reach
            control = w * a
        else:
            u = far * a + (own * b + c)
            x = own_g - far_g
            beta = b * own_reach - a * far_reach
            control = w * b
        _, pull, _ = _adjoints(u, x, beta, g_sample, trace, is_tanh, below)
        pulled += tl.where(there[:, None], control * pull, 0.0)
    return tl.sum(pulled, axis=0)


@triton.jit
def pull_coefficients(
    v: tl.tensor,
    g: tl.tensor,
    g_trace: tl.tensor,
    reach: tl.tensor,
    src: tl.tensor,
    dst: tl.tensor,
    form: tl.tuple,
    steps: tl.tuple,
    grads: tl.tuple,
    count: tl.tensor,
    samples: tl.tensor,
    trace: tl.constexpr,
    is_tanh: tl.constexpr,
    below: tl.constexpr,
    lanes: tl.constexpr,
    width: tl.constexpr,
) -> None:
    """Writes the adjoints ``[E]`` of the coefficients into ``grads``, where that is not None.

    ``src, dst [E]`` are the ends of the ``count`` edges; ``g`` and ``g_trace`` are as for
    ``pull_voltages``. One program for ``lanes`` edges.
    """
    edge = tl.program_id(0) * lanes + tl.arange(0, lanes)
    there = edge < count
    source = tl.load(src + edge, mask=there, other=0)
    destination = tl.load(dst + edge, mask=there, other=0)
    from_source = tl.load(reach + source)[:, None]
    into_destination = tl.load(reach + destination)[:, None]
    w, a, b, c = _coefficients(form, steps, edge, there)
    beta = b * into_destination - a * from_source
    sum_w = tl.zeros((lanes, width), w.dtype)
    sum_a = tl.zeros((lanes, width), w.dtype)
    sum_b = tl.zeros((lanes, width), w.dtype)
    sum_c = tl.zeros((lanes, width), w.dtype)
    for begin in range(0, samples, width):
        at = begin + tl.arange(0, width)
        real = (at < samples)[None, :]
        far = _rows(v, source, at, samples)
        near = _rows(v, destination, at, samples)
        x = into_destination * _rows(g, destination, at, samples)
        x -= from_source * _rows(g, source, at, samples)
        g_sample = _trace_adjoint(g_trace, at, samples, x, trace)
        weighed, pull, tilt = _adjoints(
            far * a + (near * b + c), x, beta, g_sample, trace, is_tanh, below
        )
        sum_w += tl.where(real, weighed, 0.0)
        sum_a += tl.where(real, pull * far - from_source * tilt, 0.0)
        sum_b += tl.where(real, pull * near + into_destination * tilt, 0.0)
        sum_c += tl.where(real, pull, 0.0)
    _store_sums(grads[0], edge, there, sum_w)
    _store_sums(grads[1], edge, there, w * sum_a)
    _store_sums(grads[2], edge, there, w * sum_b)
    _store_sums(grads[3], edge, there, w * sum_c)


@triton.jit
def _adjoints(
    u: tl.tensor,
    x: tl.tensor,
    beta: tl.tensor,
    g_sample: tl.tensor,
    trace: tl.constexpr,
    is_tanh: tl.constexpr,
    below: tl.constexpr,
) -> tl.tuple:
    """The adjoints of edges' gains and arguments (over the gain), and of the trace's own part.

    ``x`` is the adjoint of the edges' currents; the trace is the sum of ``w * beta * phi'(u)``.
    """
    value = _value(u, is_tanh, below)
    slope = _slope(u, value, is_tanh, below)
    weighed = value * x
    pull = slope * x
    tilt = slope * g_sample
    if trace:
        weighed += beta * tilt
        if is_tanh:
            pull += beta * (-2.0 * value * tilt)
    return weighed, pull, tilt


@triton.jit
def _trace_adjoint(
    g_trace: tl.tensor,
    at: tl.tensor,
    samples: tl.tensor,
    like: tl.tensor,
    trace: tl.constexpr,
) -> tl.tensor:
    """The adjoint of the trace at the samples, ``[1, samples]``; without one, zeros."""
    if trace:
        value = tl.load(g_trace + at, mask=at < samples, other=0.0)[None, :]
    else:
        value = tl.zeros((1, at.shape[0]), like.dtype)
    return value


@triton.jit
def _store_sums(grad: tl.tensor, edge: tl.tensor, there: tl.tensor, parts: tl.tensor) -> None:
    """Writes every edge's sum over samples, if there is where to."""
    if grad is not None:
        tl.store(grad + edge, tl.sum(parts, axis=1), mask=there)


@triton.jit
def _range(ends: tl.tuple, row: tl.tensor, outwards: tl.constexpr) -> tl.tuple:
    """Where in ``ends`` a node's edges in one direction are."""
    slot = 2 * row + (0 if outwards else 1)
    return tl.load(ends[0] + slot), tl.load(ends[0] + slot + 1)


@triton.jit
def _coefficients(form: tl.tuple, steps: tl.tuple, edge: tl.tensor, there: tl.tensor) -> tl.tuple:
    """``w, a, b, c`` of edges, ``[edges, 1]`` each."""
    w = tl.load(form[0] + edge * steps[0], mask=there, other=0.0)[:, None]
    a = tl.load(form[1] + edge * steps[1], mask=there, other=0.0)[:, None]
    b = tl.load(form[2] + edge * steps[2], mask=there, other=0.0)[:, None]
    c = tl.load(form[3] + edge * steps[3], mask=there, other=0.0)[:, None]
    return w, a, b, c


@triton.jit
def _row(state: tl.tensor, row: tl.tensor, at: tl.tensor, samples: tl.tensor) -> tl.tensor:
    """The samples ``at`` of one row."""
    return tl.load(state + row.to(tl.int64) * samples + at, mask=at < samples, other=0.0)


@triton.jit
def _rows(state: tl.tensor, node: tl.tensor, at: tl.tensor, samples: tl.tensor) -> tl.tensor:
    """The samples ``at`` of the nodes' rows, ``[nodes, samples]``; 0 for ground."""
    place = ((node.to(tl.int64) - 1) * samples)[:, None] + at[None, :]
    mask = (node > 0)[:, None] & (at < samples)[None, :]
    return tl.load(state + place, mask=mask, other=0.0)


@triton.jit
def _value(u: tl.tensor, is_tanh: tl.constexpr, below: tl.constexpr) -> tl.tensor:
    """phi; a NaN stays one."""
    if is_tanh:
        value = _tanh(u)
    elif below == 1.0:
        value = u
    elif below == 0.0:
        value = tl.where(u <= 0.0, 0.0, u)
    else:
        value = tl.where(u <= 0.0, u * below, u)
    return value


@triton.jit
def _slope(u: tl.tensor, value: tl.tensor, is_tanh: tl.constexpr, below: tl.constexpr) -> tl.tensor:
    """The derivative of phi, whose value is known; at a kink, that from below."""
    if is_tanh:
        slope = 1.0 - value * value
    else:
        steep = tl.full(u.shape, 1.0, u.dtype)
        slope = tl.where(u > 0.0, steep, tl.full(u.shape, below, u.dtype))
    return slope


@triton.jit
def _tanh(x: tl.tensor) -> tl.tensor:
    """``e/(e + 2)`` with ``e = exp(2|x|) - 1``, in a form that loses nothing near 0.

    With ``2|x| = n*ln2 + r`` and ``p = exp(r) - 1`` by Taylor's series, ``e = 2^n*p + (2^n - 1)``.
    """
    double: tl.constexpr = x.dtype == tl.float64
    limit: tl.constexpr = 40.0 if double else 20.0
    twice = 2.0 * tl.abs(x)
    n = tl.floor(tl.where(twice <= limit, twice, limit) * 1.4426950408889634 + 0.5)
    r = tl.where(twice > limit, limit, twice)
    if double:
        r = (r - n * 0.6931471805598903) - n * 5.497923018708371e-14
        power = ((n.to(tl.int64) + 1023) << 52).to(tl.float64, bitcast=True)
    else:
        r = (r - n * 0.693145751953125) - n * 1.428606765330187e-06
        power = ((n.to(tl.int32) + 127) << 23).to(tl.float32, bitcast=True)
    q = tl.full(x.shape, 1.0, x.dtype)
    for k in tl.static_range(14 if double else 8, 1, -1):
        q = q * r * (1.0 / k) + 1.0
    e = power * (q * r) + (power - 1.0)
    t = e / (e + 2.0)
    return tl.where(x < 0.0, -t, t)
