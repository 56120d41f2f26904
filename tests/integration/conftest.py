"""The real ngspice, and the subjects of negative controls."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest
from checkpoints import layer, write_network
from controls import FAMILIES, FRIEDMAN, INPUT, Subject
from simulators import real_ngspice

from kcompile.simulation import Ngspice


@pytest.fixture(scope="session")
def ngspice() -> Ngspice:
    """The ngspice that kcompile chooses."""
    return real_ngspice()


@pytest.fixture(scope="session")
def subjects(
    tmp_path_factory: pytest.TempPathFactory, ngspice: Ngspice
) -> Callable[[str, str], Subject]:
    """Subjects by network and family, each made once."""

    @lru_cache
    def make(name: str, family: str) -> Subject:
        folder = tmp_path_factory.mktemp(name)
        if name == "friedman":
            return Subject(FRIEDMAN, FAMILIES[family], (), folder)
        network = write_network(
            folder / "net.safetensors",
            layer(nodes=3, duration=0.8, spread=0.7),
            layer(nodes=4, duration=0.6, spread=0.7),
            outputs=(2, 4),
        )
        np.save(folder / "x.npy", INPUT)
        single = ("--single-deck",) if name == "single" else ()
        return Subject(
            network, (*FAMILIES[family], *single), ("--inputs", folder / "x.npy"), folder
        )

    return make


@pytest.fixture(params=FAMILIES)
def friedman(request: pytest.FixtureRequest, subjects: Callable[..., Subject]) -> Subject:
    """The trained Friedman network: 84 edges with weights of both signs."""
    return subjects("friedman", request.param)


@pytest.fixture(params=FAMILIES)
def single(request: pytest.FixtureRequest, subjects: Callable[..., Subject]) -> Subject:
    """Two layers, of 3 and 4 nodes, in one transient."""
    return subjects("single", request.param)


@pytest.fixture(params=["switch", "tables"])
def chain(request: pytest.FixtureRequest, subjects: Callable[..., Subject]) -> Subject:
    """The same, as one deck a layer."""
    return subjects("chain", request.param)


@pytest.fixture(
    params=[("chain", "switch"), ("chain", "tables")] + [("single", f) for f in FAMILIES],
    ids="-".join,
)
def layers(request: pytest.FixtureRequest, subjects: Callable[..., Subject]) -> Subject:
    """The two layers in either way."""
    return subjects(*request.param)
