"""The wheel of this checkout in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from kcompile.simulation import find_ngspice

ROOT = Path(__file__).resolve().parents[2]
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq")


@dataclass(frozen=True)
class Installation:
    """The wheel, and the environment that it was installed into."""

    wheel: Path
    environment: Path
    elsewhere: Path

    def run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs a program of the environment in a folder that knows nothing of the checkout."""
        # What the test run itself was given must not leak in; the simulator is no part of a wheel.
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "PYTEST", "VIRTUAL_ENV", "KCOMPILE_"))
        }
        return subprocess.run(
            [self.environment / "bin" / program, *arguments],
            cwd=self.elsewhere,
            env={**kept, "KCOMPILE_NGSPICE": str(find_ngspice().path)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


def install(folder: Path) -> Installation:
    """Builds the wheel from a source distribution, and installs it without any extra."""
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", ROOT)
    (wheel,) = (folder / "dist").glob("*.whl")
    environment = folder / "environment"
    venv.create(environment, with_pip=False)
    _run(
        *_PIP, "--python", environment / "bin" / "python", "install", "--no-compile",
        "--constraint", ROOT / "constraints.txt", wheel,
    )  # fmt: skip
    elsewhere = folder / "some where"
    elsewhere.mkdir()
    return Installation(wheel, environment, elsewhere)


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
