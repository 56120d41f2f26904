"""Getting one package from a registry through its ordinary client, into a private folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from kcompile.errors import MissingExtra, StorageError

SECONDS = 600
"""How long one client may take."""

# Settings of apt that leave the system's lists, caches and hooks alone; its sources and its keys
# are used, and signatures are checked as always.
_APT = """\
Dir::State::lists "{lists}";
Dir::Cache "{cache}";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
APT::Get::AllowUnauthenticated "false";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""
_ERRORS = ("E:", "ERROR:", "npm error", "npm ERR!", "dpkg-deb: error")


def from_npm(package: str, version: str, folder: Path) -> Path:
    """The archive of one version of an npm package, in ``folder``.

    Raises:
        MissingExtra: there is no npm.
        StorageError: it cannot be had.
    """
    npm = _program("npm", "install Node.js")
    run([npm, "pack", f"{package}@{version}", "--ignore-scripts", "--no-audit"], folder)
    return _only(folder, "*.tgz", package)


def from_pip(package: str, version: str, folder: Path) -> Path:
    """The wheel of one version of a Python package, in ``folder``; nothing is installed.

    Raises:
        MissingExtra: this Python has no pip.
        StorageError: it cannot be had.
    """
    if importlib.util.find_spec("pip") is None:
        raise MissingExtra("this Python has no pip", hint="run: python -m ensurepip")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    options = ["--no-deps", "--only-binary", ":all:", "--progress-bar", "off", "--dest", "."]
    run([*pip, "download", *options, f"{package}=={version}"], folder)
    return _only(folder, "*.whl", package)


def from_apt(package: str, version: str, folder: Path) -> Path:
    """A folder that a Debian package was unpacked into, without root and installing nothing.

    Suites differ in the version that they have, so that the files' checksums decide.

    Raises:
        MissingExtra: there is no apt.
        StorageError: it cannot be had.
    """
    del version
    apt = _program("apt-get", "use a Debian system, or name a folder with the files with --data")
    unpack = _program("dpkg-deb", "install dpkg")
    lists, cache, root = (folder / name for name in ("lists", "cache", "root"))
    for path in (lists / "partial", cache / "archives" / "partial", root):
        path.mkdir(parents=True)
    configuration = folder / "apt.conf"
    configuration.write_text(_APT.format(lists=lists, cache=cache))
    get = [apt, "-c", str(configuration), "-q", "-y"]
    environment = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    broken: StorageError | None = None
    try:
        run([*get, "update"], folder, environment)
    except StorageError as error:
        broken = error  # it may be a source that has nothing to do with this
    try:
        run([*get, "download", package], folder, environment)
    except StorageError as error:
        raise (broken or error) from error
    archive = _only(folder, "*.deb", package)
    room = f"check the room in {folder.parent}, and try again"
    run([unpack, "--extract", str(archive), str(root)], folder, environment, room)
    return root


Client = Callable[[str, str, Path], Path]
"""Maps a package, its version and a private folder to what was got."""

CLIENTS: Mapping[str, Client] = {"npm": from_npm, "pip": from_pip, "apt": from_apt}
"""Every client by name."""


def run(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    hint: str | None = None,
) -> None:
    """Runs a client in ``folder``; it and its children end with the call.

    Args:
        command: the argument list; no shell sees it.
        folder: where it runs.
        environment: variables to add.
        hint: what to do when it fails, where that is not about the network.

    Raises:
        StorageError: it cannot be started, fails or takes more than ``SECONDS``.
    """
    name = "pip" if "pip" in command else Path(command[0]).name
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise StorageError(
            f"cannot be started: {(error.strerror or str(error)).lower()}",
            where=command[0],
            hint="reinstall it",
        ) from error
    with process:
        try:
            output, _ = process.communicate(timeout=SECONDS)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise StorageError(
                    f"{name} took more than {SECONDS} s", hint="check the network and try again"
                ) from error
            raise
    if process.returncode:
        raise StorageError(
            f"{name} failed: {_reason(output, process.returncode)}",
            hint=hint
            or f"check the network and the registry that {name} is set up for, and try again",
        )


def _reason(output: str, status: int) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(_ERRORS)]
    return next(iter(errors or lines[-1:]), f"exit status {status}")


def _program(name: str, hint: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise MissingExtra(f"there is no {name} here", hint=hint)
    return path


def _only(folder: Path, pattern: str, package: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise StorageError(
            f"{len(found)} packages came for {package}, not one", hint="try it again"
        )
    return found[0]
