"""What must answer at once imports nothing heavy, and what needs no torch never imports it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"jinja2", "matplotlib", "networkx", "numpy", "rich", "safetensors", "scipy", "yaml"}
TRAINING = {"PySpice", "sklearn", "torch", "torchdiffeq"}

# Prints, as the last line, the top-level packages that a command had imported when it ended.
COMMAND = """\
import json, sys
sys.argv = ["kcompile", *json.loads(sys.argv[1])]
from kcompile.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
finally:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def imported(*arguments: str, program: str = COMMAND) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["netlist", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    assert not imported(*arguments) & (HEAVY | TRAINING)


def test_the_package_imports_nothing_heavy() -> None:
    program = (
        "import json, sys, kcompile\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    packages = imported(program=program)
    assert "kcompile" in packages
    assert not packages & (HEAVY | TRAINING | {"click"})


def test_netlist_of_our_own_checkpoint_needs_no_torch(checkpoint: Path, tmp_path: Path) -> None:
    packages = imported("netlist", str(checkpoint), "-o", str(tmp_path / "deck"))
    assert "numpy" in packages
    assert not packages & (TRAINING | {"matplotlib", "networkx"})
