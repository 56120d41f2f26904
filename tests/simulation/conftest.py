"""A fake ngspice, a deck folder, and the real ngspice where it is there or required."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kcompile.errors import SimulatorNotFound
from kcompile.simulation import Job, Ngspice, find_ngspice

FAKE = Path(__file__).parents[1] / "support" / "fake_ngspice.py"


@pytest.fixture
def fake_program(tmp_path: Path) -> Path:
    """A program that answers like ngspice and misbehaves on request."""
    program = tmp_path / "bin" / "ngspice"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{FAKE}" "$@"\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def fake(fake_program: Path) -> Ngspice:
    """The fake, as a simulator."""
    return Ngspice(fake_program, 45, frozenset(), "fake")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """An empty folder in which jobs make theirs."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    """Makes jobs for the fake out of lines of behaviour."""
    deck = tmp_path / "deck"
    deck.mkdir()
    (deck / "run.cir").write_text("* fake deck\n.end\n")

    def make(*behaviour: str, name: str = "sample 0") -> Job:
        return Job(name, deck, {"behaviour": "\n".join(behaviour)}, {"run.raw": 1e-15})

    return make


@pytest.fixture
def dies() -> Callable[[Path], bool]:
    """Whether the process that holds a lock on a file is gone, or is gone soon."""

    def check(lock: Path) -> bool:
        with lock.open() as stream:
            for _ in range(1000):
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(0.01)
                else:
                    return True
        return False

    return check


@pytest.fixture(scope="session", params=["chosen", "on-path"])
def ngspice(request: pytest.FixtureRequest) -> Ngspice:
    """The real ngspice, and the system's where that is another one.

    Required in CI, else the test is skipped where there is none.
    """
    try:
        chosen = find_ngspice()
        if request.param == "chosen":
            return chosen
        system = shutil.which("ngspice")
        if system is None or Path(system) == chosen.path:
            pytest.skip("there is no second ngspice on the PATH")
        return find_ngspice(system)
    except SimulatorNotFound as error:
        if os.environ.get("CI") or os.environ.get("KCOMPILE_REQUIRE_NGSPICE") == "1":
            pytest.fail(f"ngspice is required here: {error}")
        pytest.skip(str(error))


LAYER = """* layer {number}
{include}
C1 n1 0 1e-15 ic={one}
C2 n2 0 1e-15 ic={two}
C3 n3 0 1e-15 ic=0
B0 n1 n2 I=1.5*uramp(v(n1,n2)-0.1)
B1 n2 n3 I=pwl(v(n2,n3), -1,0, 0.2,0, 1.2,1)
.options reltol=1e-6 abstol=1e-9 vntol=1e-9 chgtol=1e-17 trtol=7 klu
.tran 5e-18 1e-15 0 5e-18 uic
.end
"""
SCRIPT = """* two layers
.control
set numdgt=15
set filetype=binary
source $inputdir/layer1.cir
run
rusage totiter
let k=length(time)-1
let h1=n1[k]
let h2=n2[k]
write $inputdir/layer1.raw
source $inputdir/layer2.cir
setplot tran1
alter c1 ic = h1
alter c2 ic = h2
run
rusage totiter
write $inputdir/layer2.raw
let n3_end=n3[length(n3)-1]
print n3_end
quit
.endc
.end
"""


@pytest.fixture
def deck(tmp_path: Path) -> Path:
    """A deck folder of two layers that hands n1 and n2 over and drops n3."""
    folder = tmp_path / "chain"
    folder.mkdir()
    (folder / "inputs.inc").write_text(".param x1=1 x2=0.25\n")
    (folder / "layer1.cir").write_text(
        LAYER.format(number=1, include=".include inputs.inc", one="{x1}", two="{x2}")
    )
    (folder / "layer2.cir").write_text(LAYER.format(number=2, include="*", one=0, two=0))
    (folder / "run.cir").write_text(SCRIPT)
    return folder
