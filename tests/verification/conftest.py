"""The real ngspice where it is there or required, and one that dies on request."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulators import real_ngspice

from kcompile import ledger
from kcompile.simulation import Ngspice


@pytest.fixture(scope="session")
def ngspice() -> Ngspice:
    """The real ngspice; required in CI, else the test is skipped where there is none."""
    return real_ngspice()


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


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of unfinished verifications, empty."""
    folder = tmp_path / "state"
    monkeypatch.setenv(ledger.VARIABLE, str(folder))
    return folder
