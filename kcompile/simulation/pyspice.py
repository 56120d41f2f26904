"""PySpice as the simulator: the same layer decks through its ``NgSpiceShared``.

PySpice is GPLv3, so it is imported only by a child process of its own, and only when asked for. The
child has two more reasons: libngspice cannot recover from its own fatal errors (the next command
corrupts the heap of whoever loaded it), and it cannot be stopped from outside.

The folder's ``run.cir`` cannot be used, for its ``quit`` would end the library: the child sources
one layer after the other and hands the final voltages on by itself.
"""

from __future__ import annotations

import ctypes.util
import importlib.util
import json
import os
import re
import sys
import tempfile
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from kcompile.errors import MissingExtra, SimulatorNotFound
from kcompile.files import storage_error, write_text
from kcompile.simulation import log
from kcompile.simulation.job import Job, LayerDeck
from kcompile.simulation.process import STDERR, STDOUT, ProcessGroups

LIBRARY_VARIABLE = "NGSPICE_LIBRARY_PATH"
"""PySpice's own variable for the library to load."""

_CHILD = Path(__file__).with_name("pyspice_child.py")
_SPECIFICATION = "pyspice.json"
_PATIENCE = 60.0
_CONTROL = re.compile(r"^[ \t]*\.control\b.*?^[ \t]*\.endc\b[^\n]*\n?", re.I | re.M | re.S)


@dataclass(frozen=True, slots=True)
class PySpice:
    """PySpice with the libngspice that it loads.

    Args:
        path: the library, as the dynamic loader is asked for it.
        version: ngspice's major version.
        features: of ``klu`` and ``xspice`` those that the library has.
        banner: the versions of PySpice and the library, one fact a line.
    """

    path: str
    version: int
    features: frozenset[str]
    banner: str

    def command(self, job: Job, folder: Path) -> list[str]:
        """The argument list that runs ``job`` inside ``folder``, and the files that it needs.

        Raises:
            StorageError: they cannot be written.
        """
        layers = job.layers or (LayerDeck(job.entry, next(iter(job.waveforms))),)
        return _command(self.path, folder, [_loadable(layer, folder) for layer in layers])


def find_pyspice() -> PySpice:
    """PySpice, known to load libngspice: ``$NGSPICE_LIBRARY_PATH`` or the system's.

    Raises:
        MissingExtra: PySpice is not installed.
        SimulatorNotFound: there is no libngspice, or PySpice cannot load it.
    """
    if importlib.util.find_spec("PySpice") is None:
        raise MissingExtra("PySpice is not installed", hint="pip install 'kcompile[pyspice]'")
    library = os.environ.get(LIBRARY_VARIABLE) or ctypes.util.find_library("ngspice")
    if library is None:
        raise SimulatorNotFound(
            "there is no libngspice on this machine",
            hint="install the system's ngspice library (Debian: libngspice0)",
        )
    if "/" in library and not Path(library).is_file():
        raise SimulatorNotFound(
            f"no such file: {library}",
            where=LIBRARY_VARIABLE,
            hint="correct the variable or unset it",
        )
    return _examined(library)


@lru_cache(maxsize=4)
def _examined(library: str) -> PySpice:
    try:
        with tempfile.TemporaryDirectory(prefix="kcompile-") as name:
            folder = Path(name)
            ended = ProcessGroups().run(_command(library, folder, []), folder, timeout=_PATIENCE)
            said = log.read_end(folder / STDOUT, log.ENDS)
            errors = log.read_end(folder / STDERR, log.ENDS)
    except OSError as error:
        raise storage_error(error, Path(tempfile.gettempdir())) from error
    version = re.search(r"\bngspice-(\d+)", said)
    if ended.returncode != 0 or version is None:
        raise SimulatorNotFound(
            f"PySpice cannot load it: {log.tail(errors).rpartition(chr(10))[2]}",
            where=library,
            hint="install the system's ngspice library (Debian: libngspice0)",
        )
    facts = [f"PySpice {metadata.version('PySpice')}"]
    facts += [text for line in said.splitlines() if (text := line.strip("* \t"))]
    banner = "\n".join(facts)
    marks = {"klu": "compiled with klu", "xspice": "xspice extensions included"}
    features = (name for name, mark in marks.items() if mark in banner.lower())
    return PySpice(library, int(version[1]), frozenset(features), banner)


def _command(library: str, folder: Path, layers: list[LayerDeck]) -> list[str]:
    """Writes what the child is to do, and gives the argument list that starts it."""
    specification = {
        "search": [str(Path(entry).absolute()) for entry in sys.path if entry],
        "library": library,
        "layers": [asdict(layer) for layer in layers],
    }
    write_text(folder / _SPECIFICATION, json.dumps(specification))
    return [sys.executable, "-P", str(_CHILD), _SPECIFICATION]


def _loadable(layer: LayerDeck, folder: Path) -> LayerDeck:
    """The layer without its control section, whose ``quit`` would end the library."""
    deck = folder / layer.deck
    try:
        text = deck.read_text(encoding="utf-8", errors="surrogateescape")
        bare = _CONTROL.sub("", text)
        if bare == text:
            return layer
        name = f"bare-{layer.deck}"
        with (folder / name).open("x", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(bare)
    except OSError as error:
        raise storage_error(error, deck) from error
    return LayerDeck(name, layer.waveform, layer.sources)
