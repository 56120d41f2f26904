#!/usr/bin/env python3
"""Puts a current ngspice (with KLU and OSDI) into ``.tools/ngspice``, without root.

Debian's suite sid has one. apt downloads it and the libraries it needs from the mirror that this
machine's apt already uses, in a private state that leaves the system alone; signatures are checked
as always. The packages are unpacked into one folder, which runs through its own dynamic loader and
may be moved. Nothing is done where the system's ngspice is current; where none can be had, one
warning says why and the exit status is still 0: an older ngspice does everything but KLU and OSDI.

Needs nothing but Python's standard library.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

OLDEST_CURRENT = 45
"""Layer devices need the ngspice that takes more than 20 nodes on a line."""

SUITE = "sid"
KEYRINGS = tuple(
    Path("/usr/share/keyrings") / f"debian-archive-keyring.{suffix}" for suffix in ("gpg", "pgp")
)
DOWNLOAD_SECONDS = 300
RUN_SECONDS = 30

APT_CONFIGURATION = """\
Dir::State "{state}";
Dir::State::status "{state}/status";
Dir::Cache "{cache}";
Dir::Etc::sourcelist "{sources}";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
APT::Get::AllowUnauthenticated "false";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Update::Error-Mode "any";
#clear APT::Default-Release;
#clear APT::Architectures;
APT::Architectures {{ "{architecture}"; }};
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""

WRAPPER = """\
#!/bin/sh
# Runs the ngspice of this folder with the libraries of this folder, wherever it lies.
self=$(readlink -f -- "$0") || exit 127
home=${{self%/bin/ngspice}}
lib=$home/root/{libraries}
SPICE_LIB_DIR=$home/root/usr/share/ngspice
SPICE_SCRIPTS=$SPICE_LIB_DIR/scripts
KCOMPILE_CODEMODELS=$lib/ngspice
export SPICE_LIB_DIR SPICE_SCRIPTS KCOMPILE_CODEMODELS
exec "$lib/{loader}" --library-path "$lib" "$home/root/usr/bin/ngspice" "$@"
"""

# An RC network behind an XSPICE code model: 3 V * (1 - exp(-1)) after one time constant.
CHECK_DECK = """\
* check of an installation
V1 in 0 1
A1 in drive times3
.model times3 gain(gain=3)
R1 drive out 1k
C1 out 0 1n ic=0
.options klu reltol=1e-5
.control
tran 1n 1u 0 1n uic
print out[length(out)-1]
quit
.endc
.end
"""
CHECK_VOLTS = 1.8963616764856731


class UnavailableError(Exception):
    """A current ngspice cannot be had here; the message says why."""


@dataclass(frozen=True)
class Apt:
    """apt-get with a private state in ``folder`` and one source: the mirror's ``SUITE``."""

    folder: Path
    mirror: str
    architecture: str

    def fetch(self, package: str) -> list[Path]:
        """The downloaded and verified files of ``package`` and of all that it needs.

        Raises:
            UnavailableError: the mirror does not have them, or not with a valid signature.
        """
        configuration = self._configure()
        environment = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
        get = ["apt-get", "-c", str(configuration), "-q", "-y"]
        run([*get, "update"], DOWNLOAD_SECONDS, environment)
        run([*get, "--download-only", "install", package], DOWNLOAD_SECONDS, environment)
        archives = sorted((self.folder / "cache" / "archives").glob("*.deb"))
        if not archives:
            raise UnavailableError("apt-get downloaded nothing")
        return archives

    def _configure(self) -> Path:
        state, cache = self.folder / "state", self.folder / "cache"
        for folder in (state / "lists" / "partial", cache / "archives" / "partial"):
            folder.mkdir(parents=True)
        (state / "status").touch()
        sources = self.folder / "mirror.sources"
        keyring = next((path for path in KEYRINGS if path.is_file()), None)
        # Without that keyring, the keys that the system's apt trusts decide.
        signed = "" if keyring is None else f"Signed-By: {keyring}\n"
        sources.write_text(
            f"Types: deb\nURIs: {self.mirror}\nSuites: {SUITE}\nComponents: main\n{signed}"
        )
        configuration = self.folder / "apt.conf"
        configuration.write_text(
            APT_CONFIGURATION.format(
                state=state,
                cache=cache,
                sources=sources,
                architecture=self.architecture,
            )
        )
        return configuration


def run(
    command: Sequence[str], seconds: float, environment: Mapping[str, str] | None = None
) -> str:
    """What ``command`` printed (both streams); it and its children end within ``seconds``.

    Raises:
        UnavailableError: it is missing, failed or took too long.
    """
    name = Path(command[0]).name
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise UnavailableError(f"cannot run {name}: {error.strerror}") from error
    with process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise UnavailableError(f"{name} took more than {seconds:g} s") from error
            raise
    if process.returncode:
        raise UnavailableError(f"{name} failed: {_reason(output, process.returncode)}")
    return output


def _reason(output: str, status: int) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "dpkg-deb: error"))]
    return next(iter(errors or lines[-1:]), f"exit status {status}")


def mirrors() -> Iterator[str]:
    """The Debian archives that this machine's apt uses, as URIs, the likely ones first."""
    form = "$(ORIGIN)\t$(LABEL)\t$(REPO_URI)"
    output = run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"], RUN_SECONDS)
    unknown: list[str] = []
    seen: set[str] = set()
    for line in output.splitlines():
        origin, label, uri = [*line.split("\t"), "", ""][:3]
        if uri in seen:
            continue
        seen.add(uri)
        if (origin, label) == ("Debian", "Debian"):
            yield uri
        elif origin.startswith("$("):  # the lists were never updated: nobody knows what it is
            unknown.append(uri)
    yield from unknown


def fetch(folder: Path, package: str) -> list[Path]:
    """``package`` and all that it needs, from the first mirror that has them.

    Raises:
        UnavailableError: none has.
    """
    for tool in ("apt-get", "dpkg", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise UnavailableError(f"there is no {tool} here")
    architecture = run(["dpkg", "--print-architecture"], RUN_SECONDS).strip()
    reason = UnavailableError("apt's configuration names no Debian mirror")
    for number, mirror in enumerate(mirrors()):
        try:
            return Apt(folder / f"apt{number}", mirror, architecture).fetch(package)
        except UnavailableError as error:
            reason = error
    raise reason


def assemble(archives: Sequence[Path], home: Path) -> Path:
    """Unpacks ``archives`` into the folder ``home``; gives the program that runs the result.

    Raises:
        UnavailableError: they do not hold what is needed.
    """
    root = home / "root"
    root.mkdir(parents=True)
    for archive in archives:
        run(["dpkg-deb", "--extract", str(archive), str(root)], RUN_SECONDS)
    loader = next(iter(sorted(root.glob("usr/lib/*/ld-linux*.so.*"))), None)
    spinit = root / "usr" / "share" / "ngspice" / "scripts" / "spinit"
    if loader is None or not spinit.is_file():
        raise UnavailableError("the packages hold no loader or no spinit where they used to")
    spinit.write_text(relocated(spinit.read_text()))
    wrapper = home / "bin" / "ngspice"
    wrapper.parent.mkdir()
    libraries = loader.parent.relative_to(root).as_posix()
    wrapper.write_text(WRAPPER.format(libraries=libraries, loader=loader.name))
    wrapper.chmod(0o755)
    (home / "PACKAGES").write_text("".join(f"{archive.stem}\n" for archive in archives))
    return wrapper


def relocated(spinit: str) -> str:
    """ngspice's start-up file, with code models found by the wrapper and one thread.

    One thread: ngspice makes a task of every compiled device, and eight threads spend their time
    waiting for each other.
    """
    models = re.compile(r"^([ \t]*(?:codemodel|osdi)[ \t]+)\S*/([^/\s]+)[ \t]*$", re.MULTILINE)
    text = models.sub(r"\1$KCOMPILE_CODEMODELS/\2", spinit)
    threads = re.compile(r"^\s*set\s+num_threads\s*=.*$", re.MULTILINE)
    text, replaced = threads.subn("set num_threads=1", text)
    return text if replaced else f"{text}set num_threads=1\n"


def version(program: str | Path) -> int | None:
    """The main version of an ngspice, or None where it does not run."""
    try:
        output = run([str(program), "--version"], RUN_SECONDS)
    except UnavailableError:
        return None
    found = re.search(r"ngspice-(\d+)", output)
    return None if found is None else int(found.group(1))


def check(program: Path, scratch: Path) -> int:
    """The version of ``program``, once it has run a small deck and got the right answer.

    Raises:
        UnavailableError: it is too old or does not work.
    """
    number = version(program)
    if number is None:
        raise UnavailableError("the unpacked ngspice does not start")
    if number < OLDEST_CURRENT:
        raise UnavailableError(f"the mirror's newest ngspice is {number}")
    deck = scratch / "check.cir"
    deck.write_text(CHECK_DECK)
    output = run([str(program), "-b", str(deck)], RUN_SECONDS)
    found = re.search(r"^out\[.*\] = (\S+)", output, re.MULTILINE)
    if found is None or abs(float(found.group(1)) - CHECK_VOLTS) > 1e-3:
        raise UnavailableError("the unpacked ngspice computes a small circuit wrongly")
    if "KLU" not in output:
        raise UnavailableError("the unpacked ngspice was built without KLU")
    return number


def install(tools: Path) -> int:
    """Installs into ``tools/ngspice``, whole or not at all; gives the version.

    Raises:
        UnavailableError: a current ngspice cannot be had here.
    """
    try:
        tools.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".ngspice-", dir=tools) as name:
            scratch = Path(name)
            program = assemble(fetch(scratch, "ngspice"), scratch / "new")
            number = check(program, scratch)
            place = tools / "ngspice"
            if place.exists():
                place.rename(scratch / "old")
            (scratch / "new").rename(place)
    except OSError as error:
        raise UnavailableError(f"{error.filename or tools}: {error.strerror or error}") from error
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the module says; gives the exit status."""
    parser = argparse.ArgumentParser(description="Puts a current ngspice into .tools/ngspice.")
    default = Path(__file__).resolve().parent.parent / ".tools"
    parser.add_argument("--tools", type=Path, default=default, help="where to (default: .tools)")
    parser.add_argument("--force", action="store_true", help="even where a current one is there")
    options = parser.parse_args(arguments)
    tools: Path = options.tools.absolute()
    ours = tools / "ngspice" / "bin" / "ngspice"
    system = None if (path := shutil.which("ngspice")) is None else version(path)
    if not options.force:
        if ours.exists() and (number := version(ours)) is not None:
            print(f"ngspice {number} is in {ours.parent.parent}: nothing to do")
            return 0
        if system is not None and system >= OLDEST_CURRENT:
            print(f"the system's ngspice {system} is current: nothing to do")
            return 0
    try:
        number = install(tools)
    except UnavailableError as error:
        rest = "none is on PATH either" if system is None else f"ngspice {system} does the rest"
        print(
            f"warning: no ngspice with KLU and OSDI could be installed ({error}); {rest}",
            file=sys.stderr,
        )
        return 0
    print(f"ngspice {number} is in {ours.parent.parent}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
