"""Every law in every device family, at both ends of -O, as layers and as a single deck."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from checkpoints import layer, network

import kcompile
from kcompile import Model, Report
from kcompile.errors import PdkError
from kcompile.ir import LAWS, Phi
from kcompile.simulation import Ngspice

FAMILIES = ("ideal", "switch", "diode", "bjt")
WITH_TANH = ("ideal", "bjt")
SMOOTH = sorted(name for name, law in LAWS.items() if law.phi is Phi.TANH)
LINEAR = sorted(set(LAWS) - set(SMOOTH))
INPUT = np.array([0.8, -0.6])


@lru_cache
def model_of(law: str) -> Model:
    """Two layers of 2 and 3 nodes, 6 and 12 edges and ground, parameters of both signs."""
    layers = (
        layer(law, nodes=2, duration=0.5, spread=0.6),
        layer(law, nodes=3, duration=0.4, spread=0.6),
    )
    return network(*layers, outputs=(1, 2, 3), seed=5).model()


def verified(law: str, **options: Any) -> Report:
    return kcompile.verify(model_of(law), inputs=INPUT, **options)


@pytest.mark.parametrize("law", sorted(LAWS))
def test_the_networks_try_what_they_should(law: str) -> None:
    """Currents both ways, and read-outs that the edges have moved."""
    model = model_of(law)
    for phase in model.graph.phases:
        (batch,) = phase.batches
        w, a, c = (batch.column(name) for name in "wac")
        assert (w * a > 0).any()
        assert (w * a < 0).any()
        if law != "conductance":
            assert (c > 0).any()
            assert (c < 0).any()


@pytest.mark.parametrize("single_deck", [False, True], ids=["layers", "single"])
@pytest.mark.parametrize("opt_level", [0, 2])
@pytest.mark.parametrize("device", FAMILIES)
@pytest.mark.parametrize("law", sorted(LAWS))
def test_a_law_in_a_family(
    ngspice: Ngspice, law: str, device: str, opt_level: int, single_deck: bool
) -> None:
    options = {"device": device, "opt_level": opt_level, "single_deck": single_deck}
    if law in SMOOTH and device not in WITH_TANH:
        with pytest.raises(PdkError, match="use --device ideal"):
            verified(law, **options)
        return
    report = verified(law, **options)
    assert report.verdict == "pass", report.reason
    error = report.summary.max_abs_error
    assert error is not None
    # Far below what the verdict allows: a circuit that is a little wrong would not get there.
    assert error < 0.1 * report.allowed
    assert report.summary.peak > 0.05
    assert (report.compile.device_family, report.compile.opt_level) == (device, opt_level)
