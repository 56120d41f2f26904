"""The real ngspice."""

from __future__ import annotations

import pytest
from simulators import real_ngspice

from kcompile.simulation import Ngspice


@pytest.fixture(scope="session")
def ngspice() -> Ngspice:
    """The ngspice that kcompile chooses."""
    return real_ngspice()
