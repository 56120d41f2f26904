"""Which ngspice runs, how old it is and what it can do."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kcompile.errors import SimulatorNotFound, UsageError
from kcompile.files import is_file, storage_error
from kcompile.simulation import log
from kcompile.simulation.job import Job
from kcompile.simulation.process import STDERR, STDOUT, Ended, ProcessGroups

VARIABLE = "KCOMPILE_NGSPICE"
OLDEST = 39
"""The oldest ngspice whose answers are known to be right."""

_LOCAL = Path(".tools", "ngspice", "bin", "ngspice")
_INSTALL = "run make ngspice, or install ngspice with the system's package manager"
_PATIENCE = 30.0
_VERSION = re.compile(r"\bngspice-(\d+)")
_KLU = re.compile(r"compiled with KLU", re.IGNORECASE)
_PROBE = """* What this simulator can do
.control
if $?xspice_enabled
devhelp sidiode
end
osdi ./none.osdi
echo probe-ended
quit
.endc
.end
"""
"""``devhelp`` knows the device only where XSPICE's code models were found and loaded. The variable
``osdi_enabled`` tells nothing, for init files unset it; an ngspice without OSDI has no such
command, one with OSDI complains of the file."""


@dataclass(frozen=True, slots=True)
class Ngspice:
    """An ngspice that runs.

    Args:
        path: the program, absolute.
        version: its major version, such as 39.
        features: of ``klu``, ``osdi`` and ``xspice`` those that it has.
        banner: how it introduces itself, one fact a line.
    """

    path: Path
    version: int
    features: frozenset[str]
    banner: str

    def command(self, job: Job, folder: Path) -> list[str]:
        """The argument list that runs ``job`` inside ``folder``."""
        del folder
        return [str(self.path), "-b", job.entry]


def find_ngspice(path: Path | str | None = None) -> Ngspice:
    """The ngspice to use: ``path``, ``$KCOMPILE_NGSPICE``, ``.tools`` or the one on the PATH.

    ``.tools/ngspice`` is looked for beside the package (a checkout), never in the current folder,
    whose owner may be anybody. The first of these that is there is it: if it does not work, that
    is an error.

    Args:
        path: the program; None looks for it.

    Raises:
        UsageError: ``path`` names no file.
        SimulatorNotFound: there is none, or it does not run, is no ngspice or is too old.
    """
    if path is not None:
        chosen = Path(path)
        if not is_file(chosen):
            raise UsageError("no such file", where=chosen, hint="give the path of the program")
        return _known(chosen)
    if named := os.environ.get(VARIABLE):
        if not is_file(Path(named)):
            raise SimulatorNotFound(
                f"no such file: {named}", where=VARIABLE, hint="correct the variable or unset it"
            )
        return _known(Path(named))
    local = Path(__file__).resolve().parents[2] / _LOCAL
    if local.is_file():
        return _known(local)
    if on_path := shutil.which("ngspice"):
        return _known(Path(on_path))
    raise SimulatorNotFound("there is no ngspice on this machine", hint=_INSTALL)


def _known(path: Path) -> Ngspice:
    """The ngspice at ``path``; asked only once as long as the file stays the same."""
    path = path.absolute()
    if not os.access(path, os.X_OK):
        raise SimulatorNotFound(
            "is not executable", where=path, hint="chmod +x it, or name another"
        )
    try:
        target = path.resolve(strict=True)
        state = target.stat()
    except OSError as error:
        raise SimulatorNotFound(
            f"cannot be examined: {(error.strerror or str(error)).lower()}",
            where=path,
            hint=_INSTALL,
        ) from error
    return _examined(path, target, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=16)
def _examined(path: Path, target: Path, changed: int, size: int) -> Ngspice:
    """What the program says of itself; the arguments after ``path`` only tell one from another."""
    del target, changed, size
    ended, said = _ask(path, ["--version"])
    match = _VERSION.search(said)
    if match is None:
        what = "does not answer" if ended.timed_out else "is not ngspice"
        raise SimulatorNotFound(
            f"{what} (asked for its version, it said {log.one_line(said)[:60]!r})",
            where=path,
            hint=_INSTALL,
        )
    version = int(match[1])
    if version < OLDEST:
        raise SimulatorNotFound(
            f"is ngspice {version}, older than {OLDEST}", where=path, hint=_INSTALL
        )
    ended, probed = _ask(path, ["-b", "probe.cir"])
    if ended.returncode != 0 or "probe-ended" not in probed:
        raise SimulatorNotFound(
            f"ngspice {version} cannot run a trivial deck: {log.first_error(probed)!r}",
            where=path,
            hint=_INSTALL,
        )
    abilities = {
        "klu": _KLU.search(said) is not None,
        "osdi": re.search(r"osdi: no such command", probed, re.IGNORECASE) is None,
        "xspice": re.search(r"sidiode - ", probed) is not None,
    }
    lines = (line.strip("* \t") for line in said.splitlines())
    return Ngspice(
        path=path,
        version=version,
        features=frozenset(name for name, able in abilities.items() if able),
        banner="\n".join(line for line in lines if line),
    )


def _ask(path: Path, arguments: Sequence[str]) -> tuple[Ended, str]:
    """Runs the program in a folder that holds the probing deck; how it ended, all it said."""
    try:
        with tempfile.TemporaryDirectory(prefix="kcompile-") as name:
            folder = Path(name)
            (folder / "probe.cir").write_text(_PROBE, encoding="ascii")
            ended = ProcessGroups().run([str(path), *arguments], folder, timeout=_PATIENCE)
            said = [log.read_end(folder / file, log.ENDS) for file in (STDOUT, STDERR)]
            return ended, "\n".join(said)
    except OSError as error:
        raise storage_error(error, Path(tempfile.gettempdir())) from error
