"""The Verilog-A modules, compiled by a Verilog-A front end: currents and derivatives are the law's.

OpenVAF (in openvaf-py) is what compiles them; it has no wheels for every platform.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kcompile.ir import EdgeBatch, Phi, edge_currents
from kcompile.resources import data_folder

SOURCE = data_folder("pdk") / "veriloga" / "kirchhoffnet.va"


@pytest.fixture(scope="module")
def modules() -> dict[str, Any]:
    openvaf = pytest.importorskip("openvaf_py")
    return {module.name: module for module in openvaf.compile_va(str(SOURCE))}


def evaluate(module: Any, **values: float) -> tuple[list[float], dict[tuple[int, int], float]]:
    """Currents out of the terminals, and their derivatives by (terminal, voltage)."""
    names = {"s": "V(s)", "d": "V(d)", "g": "V(g)"}
    given = {names.get(name, name): value for name, value in values.items()}
    residuals, jacobian = module.run_init_eval({**given, "mfactor": 1.0})
    assert all(reactive == 0 for _, reactive in residuals)
    found = {(int(row), int(column)): value for row, column, value, _ in jacobian}
    return [value for value, _ in residuals], found


def test_there_is_a_module_a_nonlinearity_with_and_without_a_gate(modules: dict[str, Any]) -> None:
    assert set(modules) == {f"kc_{phi}{tail}" for phi in Phi for tail in ("", "_gated")}
    for name, module in modules.items():
        system = module.get_dae_system()
        gated = name.endswith("_gated")
        assert system["terminals"] == ["s", "d", *(["g"] if gated else [])]
        assert (system["num_internal"], module.num_states) == (0, 0)
        assert module.get_param_defaults() == {"w": 0.0, "a": 1.0, "b": -1.0, "c": 0.0}


@pytest.mark.parametrize("phi", list(Phi))
def test_currents_and_derivatives_are_those_of_the_law(modules: dict[str, Any], phi: Phi) -> None:
    random = np.random.default_rng(5)
    for w, a, b, c, s, d, g in random.normal(size=(200, 7)):
        batch = EdgeBatch(phi, [1], [2], [w], [a], [b], [c])

        def current(vs: float, vd: float, batch: EdgeBatch = batch) -> float:
            return float(edge_currents(batch, np.array([0.0, vs, vd]))[0][0])

        i, h = current(s, d), 1e-6
        # Away from corners: there a difference quotient means nothing.
        slopes = [
            (current(s + h, d) - current(s - h, d)) / (2 * h),
            (current(s, d + h) - current(s, d - h)) / (2 * h),
        ]
        near = abs(a * s + b * d + c) < 1e-5
        plain, gated = modules[f"kc_{phi}"], modules[f"kc_{phi}_gated"]
        parameters = {"w": w, "a": a, "b": b, "c": c, "s": s, "d": d}
        currents, jacobian = evaluate(plain, **parameters)
        assert currents == pytest.approx([i, -i], rel=1e-12, abs=1e-15)
        if not near:
            found = [jacobian.get((row, column), 0.0) for row in (0, 1) for column in (0, 1)]
            assert found == pytest.approx([*slopes, *(-x for x in slopes)], rel=1e-6, abs=1e-8)
        currents, jacobian = evaluate(gated, g=g, **parameters)
        assert currents == pytest.approx([g * i, -g * i, 0.0], rel=1e-12, abs=1e-15)
        assert jacobian.get((0, 2), 0.0) == pytest.approx(i, rel=1e-12, abs=1e-15)
        assert not any(value for (row, _), value in jacobian.items() if row == 2)
        if not near:
            expected = [g * slope for slope in slopes]
            found = [jacobian.get((0, column), 0.0) for column in (0, 1)]
            assert found == pytest.approx(expected, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("phi", ["relu", "leaky_relu"])
def test_at_a_corner_the_left_branch_holds(modules: dict[str, Any], phi: str) -> None:
    slope = 0.0 if phi == "relu" else 0.01
    currents, jacobian = evaluate(modules[f"kc_{phi}"], w=2.0, a=1.0, b=-1.0, c=0.0, s=0.3, d=0.3)
    assert currents == [0.0, 0.0]
    assert jacobian[0, 0] == pytest.approx(2.0 * slope)


def test_parameters_have_units_and_ranges() -> None:
    text = Path(SOURCE).read_text()
    parameters = re.findall(r"^ *(.*)parameter real (\w) = \S+ from \(-inf:inf\);$", text, re.M)
    assert [name for _, name in parameters] == list("wabc") * 8
    assert all("desc" in attributes for attributes, _ in parameters)
    units = {name: re.findall('units = "(.*?)"', attributes) for attributes, name in parameters}
    assert units == {"w": ["A"], "a": ["1/V"], "b": ["1/V"], "c": []}
    assert text.isascii()
