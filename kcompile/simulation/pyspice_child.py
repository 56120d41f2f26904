"""The program that runs layer decks through PySpice; it is never imported.

It is given a JSON file: where Python looks for modules, the library, and the layers. It prints what
ngspice says, and leaves one raw file per layer and exit status 0 or 1 behind.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any, NoReturn


class _Session:
    """One loaded libngspice."""

    def __init__(self, library: str) -> None:
        shared = importlib.import_module("PySpice.Spice.NgSpice.Shared")
        shared.NgSpiceShared.LIBRARY_PATH = library.replace("{", "{{").replace("}", "}}")
        self._noise: type[Exception] = shared.NgSpiceCommandError
        self._ngspice: Any = shared.NgSpiceShared.new_instance()

    def execute(self, command: str) -> None:
        """Executes a command and passes on what ngspice says.

        PySpice takes whatever ngspice writes on standard error for a failure, harmless notes too:
        only the waveforms tell. Where the library itself reports an error, it must not be used
        again.
        """
        fatal = False
        try:
            self._ngspice.exec_command(command)
        except self._noise:
            pass
        except NameError:
            fatal = True
        sys.stdout.write(self._ngspice.stdout + "\n")
        sys.stderr.write(self._ngspice.stderr + "\n")
        if fatal:
            _leave(1)

    def plots(self) -> list[str]:
        """The names of all plots, the newest first."""
        return self._ngspice.plot_names

    def final_voltages(self) -> dict[str, float]:
        """The last value of every voltage in the newest plot, by node name."""
        plot = self._ngspice.plot(None, self._ngspice.last_plot)
        voltages: dict[str, float] = {}
        for name, vector in plot.items():
            values = vector.to_waveform()
            if vector.is_voltage_node and len(values):
                voltages[name.lower()] = float(values[-1])
        return voltages


def main(specification: Path) -> NoReturn:
    """Runs what the file asks for and leaves."""
    wanted: dict[str, Any] = json.loads(specification.read_text(encoding="utf-8"))
    sys.path[:] = wanted["search"]
    logging.disable(logging.CRITICAL)
    session = _Session(wanted["library"])
    session.execute("version -f")
    session.execute("set filetype=binary")
    finals: list[dict[str, float]] = []
    for layer in wanted["layers"]:
        before = session.plots()
        session.execute(f"source {layer['deck']}")
        sources: list[list[tuple[int, int]]] = layer["sources"]
        for node, pairs in enumerate(sources, start=1):
            start = sum((finals[index][f"n{source}"] for index, source in pairs), 0.0)
            session.execute(f"alter c{node} ic = {start!r}")
        session.execute("run")
        session.execute("rusage totiter")
        if session.plots() == before or not session.plots()[0].startswith("tran"):
            sys.stderr.write(f"{layer['deck']}: no transient analysis was run\n")
            _leave(1)
        finals.append(session.final_voltages())
        session.execute(f"write {layer['waveform']}")
    _leave(0)


def _leave(status: int) -> NoReturn:
    """Ends the process without unloading the library, which can crash at that."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
