"""What compiled devices carry, by the interface that simulators call: the law's currents.

Currents are compared with ``ir``'s own, derivatives with their difference quotients, and the
right-hand side with what Newton's method needs: ``J*v - i`` for the J that was stamped, whatever J.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import osdi
import pytest

from kcompile.devices import PHIS, Gates, Grain
from kcompile.ir import EdgeBatch, FloatArray, Phase, Phi, edge_currents
from kcompile.lower.gating import Gating
from kcompile.lower.native import native_layer, pair_data
from kcompile.netlist import node_names
from kcompile.units import Scale

SCALES = (Scale(), Scale(0.25, 1e-5, 1e-12))
NODES = 5


def batch_of(
    phi: Phi, random: np.random.Generator, nodes: int, count: int, *, affine: bool
) -> EdgeBatch:
    """Edges between any nodes: ground at either end, edges side by side, loops."""
    src, dst = random.integers(0, nodes + 1, (2, count))
    w, a, b, c = random.normal(size=(4, count))
    return EdgeBatch(phi, src, dst, w, a, b if affine else -a, c)


def random_phase(seed: int, *phis: Phi, nodes: int = NODES, count: int = 40) -> Phase:
    random = np.random.default_rng(seed)
    batches = [
        batch_of(phi, random, nodes, count, affine=affine)
        for phi in phis
        for affine in (False, True)
    ]
    return Phase(nodes, 1.0, tuple(batches))


def currents(phase: Phase, v: FloatArray) -> FloatArray:
    """The current out of every node, ground first, software units."""
    total = np.zeros(phase.nodes + 1)
    for batch in phase.batches:
        leaving, entering = edge_currents(batch, v)
        total += np.bincount(batch.src, leaving, phase.nodes + 1)
        total -= np.bincount(batch.dst, entering, phase.nodes + 1)
    return total


def slopes(phase: Phase, v: FloatArray) -> FloatArray:
    """Derivatives of ``currents`` by the nodes' voltages; ground's column is 0."""
    h, n = 1e-6, phase.nodes + 1
    found = np.zeros((n, n))
    for node in range(1, n):
        step = np.zeros(n)
        step[node] = h
        found[:, node] = (currents(phase, v + step) - currents(phase, v - step)) / (2 * h)
    return found


Circuit = Callable[[FloatArray], tuple[FloatArray, FloatArray, FloatArray]]
"""Gives currents, right-hand side and Jacobian at voltages, summed over all devices, in SI."""


def circuit_of(instances: Sequence[osdi.Instance], size: int) -> Circuit:
    def stamp(v: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        stamps = [instance.stamp(v.tolist()) for instance in instances]
        summed = [np.sum(part, axis=0) for part in zip(*stamps, strict=True)]
        return summed[0], summed[1], summed[2].reshape(size, size)

    return stamp


@pytest.fixture
def build(tmp_path: Path, compiled_devices: Path) -> Callable[..., Circuit]:
    """A phase as compiled devices of a grain; its gates are the nodes behind the others."""
    made = 0

    def make(
        phase: Phase, grain: str, scale: Scale, *, diagonal: bool = False,
        gates: Gates = Gates.NONE, **parameters: float,
    ) -> Circuit:  # fmt: skip
        nonlocal made
        folder = tmp_path / str(made)
        folder.mkdir()
        made += 1
        first = phase.nodes + 1
        all_gates = [*range(first, first + gates_of(phase, gates))]
        size = first + len(all_gates)

        def gate(one: int, other: int) -> list[int]:
            return all_gates if gates is not Gates.ROWS else [all_gates[max(one, other, 1) - 1]]

        if grain == "edge":
            shutil.copy(compiled_devices, folder / "edges.osdi")
            name = f"kc_edge{'_gated' * bool(gates)}{'_diagonal' * diagonal}".encode()
            (device,) = [each for each in osdi.load(folder / "edges.osdi") if each.name == name]
            return circuit_of(list(_edges(phase, device, scale, size, gate, parameters)), size)
        built = native_layer(
            phase, 1, Grain[grain.upper()], scale, ["0", *node_names(phase.nodes)[1:]],
            diagonal=diagonal, gating=Gating(gates, 1),
        )  # fmt: skip
        for attachment in built.attachments:
            (folder / attachment.name).write_bytes(b"".join(attachment.pieces()))
        (device,) = osdi.load(folder / "layer1.osdi")
        if grain == "layer":
            nodes = [*range(1, first), *all_gates]
            return circuit_of([osdi.Instance(device, nodes, size, **parameters)], size)
        data = pair_data(phase, scale)
        ends = zip(data.high.tolist(), data.low.tolist(), strict=True)
        instances = [
            osdi.Instance(device, [high, low, *gate(high, low)], size, k=k, **parameters)
            for k, (high, low) in enumerate(ends)
        ]
        return circuit_of(instances, size)

    return make


def _edges(phase, device, scale, size, gate, parameters):
    for batch in phase.batches:
        columns = (batch.src, batch.dst, *(batch.column(name) for name in "wabc"))
        for src, dst, w, a, b, c in zip(*(column.tolist() for column in columns), strict=True):
            yield osdi.Instance(
                device, [src, dst, *gate(src, dst)], size, phi=PHIS.index(str(batch.phi)),
                w=w * scale.i0, a=a / scale.v0, b=b / scale.v0, c=c, **parameters,
            )  # fmt: skip


def gates_of(phase: Phase, gates: Gates) -> int:
    return {Gates.NONE: 0, Gates.ONE: 1, Gates.ROWS: phase.nodes}[gates]


def switched(phase: Phase, gates: FloatArray) -> Phase:
    """The phase with the currents of each row, or all, multiplied by their gate's voltage."""
    if not len(gates):
        return phase
    rows = np.broadcast_to(gates, phase.nodes)
    return phase.with_batches(
        tuple(
            replace(b, w=b.column("w") * rows[np.maximum(np.maximum(b.src, b.dst), 1) - 1])
            for b in phase.batches
        )
    )


def voltages(random: np.random.Generator, nodes: int) -> FloatArray:
    return np.concatenate(([0.0], random.normal(size=nodes)))


@pytest.mark.parametrize("gates", list(Gates), ids=["plain", "gated", "rows"])
@pytest.mark.parametrize("diagonal", [False, True], ids=["full", "diagonal"])
@pytest.mark.parametrize("grain", ["edge", "pair", "layer"])
@pytest.mark.parametrize("phi", [*Phi, None], ids=lambda phi: str(phi or "all"))
def test_currents_derivatives_and_right_hand_side(
    build: Callable[..., Circuit], phi: Phi | None, grain: str, diagonal: bool, gates: Gates
) -> None:
    phase = random_phase(5, *(Phi if phi is None else (phi,)))
    random = np.random.default_rng(6)
    for scale in SCALES:
        stamp = build(phase, grain, scale, diagonal=diagonal, gates=gates)
        for _ in range(10):
            v = voltages(random, NODES)
            levels = random.uniform(0.1, 1.0, gates_of(phase, gates))
            given = np.append(v * scale.v0, levels)
            current, rhs, jacobian = stamp(given)
            on = switched(phase, levels)

            expected = currents(on, v)
            close = 1e-13 * np.abs(phase.edges)
            found = current[1 : NODES + 1] / scale.i0
            np.testing.assert_allclose(found, expected[1:], atol=close, rtol=1e-12)

            found = jacobian[1 : NODES + 1, 1 : NODES + 1] * scale.resistance_unit
            expected = slopes(on, v)[1:, 1:]
            if diagonal:
                expected = np.diag(np.diag(expected))
            np.testing.assert_allclose(found, expected, atol=1e-7, rtol=1e-7)

            # Ground's row belongs to nobody; a gate takes no current and is no unknown.
            identity = jacobian @ given - current
            scaled = (rhs - identity)[1:] / scale.i0
            np.testing.assert_allclose(scaled, 0, atol=1e-12)
            behind = slice(NODES + 1, None)
            assert not current[behind].any()
            assert not rhs[behind].any()
            assert not jacobian[behind].any()
            assert not jacobian[:, behind].any()


@pytest.mark.parametrize("grain", ["edge", "pair", "layer"])
def test_the_multiplier_multiplies(build: Callable[..., Circuit], grain: str) -> None:
    phase = random_phase(7, Phi.TANH, Phi.RELU, count=10)
    v = voltages(np.random.default_rng(8), NODES)
    one, three = (build(phase, grain, Scale(), **{"$mfactor": m})(v) for m in (1.0, 3.0))
    for single, triple in zip(one, three, strict=True):
        np.testing.assert_allclose(3 * single, triple, rtol=1e-14)


@pytest.mark.parametrize("count", [510, 520, 1100])
def test_layers_of_many_tanh_edges_are_worked_on_in_parts(
    build: Callable[..., Circuit], count: int
) -> None:
    """Catches edges that are lost or taken twice where one part ends and the next begins."""
    random = np.random.default_rng(count)
    for nodes in (2, 40):  # more edges between two nodes than a part holds, and fewer
        phase = Phase(nodes, 1.0, (batch_of(Phi.TANH, random, nodes, count, affine=True),))
        v = voltages(random, nodes)
        current, _, jacobian = build(phase, "layer", Scale())(v)
        np.testing.assert_allclose(current[1:], currents(phase, v)[1:], atol=1e-11)
        found = jacobian[1:, 1:]
        np.testing.assert_allclose(found, slopes(phase, v)[1:, 1:], atol=1e-6)


@pytest.mark.parametrize("grain", ["edge", "pair", "layer"])
@pytest.mark.parametrize("phi", list(Phi))
def test_arguments_near_zero_and_far_away(
    build: Callable[..., Circuit], grain: str, phi: Phi
) -> None:
    """Catches digits that are lost near 0, and numbers that run over far from it."""
    phase = Phase(1, 1.0, (EdgeBatch(phi, [1], [0], 1.0, 1.0, 0.0, 0.0),))
    stamp = build(phase, grain, Scale())
    for size in (1e-300, 1e-20, 1e-8, 1e-3, 0.1, 1.0, 19.9, 20.1, 700.0, 1e10, 1e300):
        for sign in (-1, 1):
            v = np.array([0.0, sign * size])
            current, rhs, jacobian = stamp(v)
            assert np.isfinite([*current, *rhs, *jacobian.ravel()]).all()
            assert current[1] == pytest.approx(float(phi(v)[1]), rel=1e-14, abs=0)


@pytest.mark.parametrize("grain", ["pair", "layer"])
def test_voltages_that_are_no_numbers_stay_none(build: Callable[..., Circuit], grain: str) -> None:
    """Catches a solution that went wrong and looks right again."""
    phase = random_phase(9, *Phi, count=10)
    v = voltages(np.random.default_rng(10), NODES)
    v[2] = np.nan
    assert np.isnan(build(phase, grain, Scale())(v)[0][2])


@pytest.mark.parametrize("knots", [1, 2, 23, 24, 25, 26, 200])
def test_pairs_of_few_and_many_kinks(build: Callable[..., Circuit], knots: int) -> None:
    """Catches a segment beside the right one: both ways of looking it up, at and between kinks."""
    random = np.random.default_rng(knots)
    kinks = np.sort(random.normal(size=knots))
    ends = np.ones(knots, dtype=int)
    edges = EdgeBatch(Phi.RELU, ends, 0 * ends, random.normal(size=knots), 1.0, -1.0, -kinks)
    phase = Phase(1, 1.0, (edges,))
    stamp = build(phase, "layer", Scale())
    between = (kinks[1:] + kinks[:-1]) / 2
    for u in (*kinks, *between, kinks[0] - 1, kinks[-1] + 1):
        v = np.array([0.0, u])
        assert stamp(v)[0][1] == pytest.approx(currents(phase, v)[1], rel=1e-11, abs=1e-12)


def test_a_pair_that_there_is_not_is_fatal(build: Callable[..., Circuit]) -> None:
    """Catches numbers from beyond the side file."""
    phase = random_phase(11, Phi.RELU, count=4)
    pairs = pair_data(phase, Scale()).pairs
    build(phase, "pair", Scale())(np.zeros(NODES + 1))
    for k in (-1, pairs, 2**31 - 1):
        with pytest.raises((ValueError, TypeError)):
            build(phase, "pair", Scale(), k=k)(np.zeros(NODES + 1))


def test_what_the_libraries_offer(build: Callable[..., Circuit], tmp_path: Path) -> None:
    phase = random_phase(12, Phi.RELU, count=4)
    build(phase, "edge", Scale())
    build(phase, "layer", Scale())
    names = [each.name for each in osdi.load(tmp_path / "0" / "edges.osdi")]
    assert names == [
        b"kc_edge", b"kc_edge_diagonal", b"kc_edge_gated", b"kc_edge_gated_diagonal",
    ]  # fmt: skip
    (layer,) = osdi.load(tmp_path / "1" / "layer1.osdi")
    assert (layer.name, layer.terminals, layer.nodes) == (b"kc_layer1", NODES, NODES)
