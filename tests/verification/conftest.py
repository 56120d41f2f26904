"""The real ngspice where it is there or required, and one that dies on request."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kcompile.errors import SimulatorNotFound
from kcompile.simulation import Ngspice, find_ngspice


@pytest.fixture(scope="session")
def ngspice() -> Ngspice:
    """The real ngspice; required in CI, else the test is skipped where there is none."""
    try:
        return find_ngspice()
    except SimulatorNotFound as error:
        if os.environ.get("CI") or os.environ.get("KCOMPILE_REQUIRE_NGSPICE") == "1":
            pytest.fail(f"ngspice is required here: {error}")
        pytest.skip(str(error))


@pytest.fixture
def unreliable(ngspice: Ngspice, tmp_path: Path) -> Path:
    """An ngspice that dies of a segmentation fault where the deck's inputs name 0.666."""
    program = tmp_path / "bin" / "ngspice"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        'if [ "$2" = run.cir ] && grep -q 0.666 inputs.inc; then kill -SEGV $$; fi\n'
        f'exec "{ngspice.path}" "$@"\n'
    )
    program.chmod(0o755)
    return program
