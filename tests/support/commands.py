"""The command line as a user meets it: what it prints, and the status that it leaves with."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from kcompile.cli.main import main

PROGRAM = (sys.executable, "-c", "from kcompile.cli.main import main; main()")
"""The command line as a process of its own."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def complaint(self) -> str:
        """The one line that says what went wrong: there is no other, and no traceback."""
        lines = [line for line in self.stderr.splitlines() if not line.startswith("note: ")]
        assert len(lines) == 1, self.stderr
        assert lines[0].startswith("kcompile: "), lines[0]
        return lines[0].removeprefix("kcompile: ")


def run(*arguments: object, cwd: Path | None = None) -> Done:
    """Runs ``kcompile ARGUMENTS`` within this process, which is quick."""
    output, errors = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    argv, status = sys.argv, 0
    sys.argv = ["kcompile", *map(str, arguments)]
    try:
        with (
            contextlib.chdir(cwd or Path.cwd()),
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(errors),
        ):
            main()
    except SystemExit as leave:
        status = int(leave.code or 0)
    finally:
        sys.argv = argv
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert status != 70, errors.getvalue()
    return Done(status, output.getvalue(), errors.getvalue())


def start(*arguments: object, **options) -> subprocess.Popen[str]:
    """Starts ``kcompile ARGUMENTS`` as a process; ``env`` only adds to the environment."""
    env = {**os.environ, **{name: str(text) for name, text in options.pop("env", {}).items()}}
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen([*PROGRAM, *map(str, arguments)], env=env, **settings)


def finish(process: subprocess.Popen[str]) -> Done:
    """How a started command ends."""
    output, errors = process.communicate(timeout=120)
    return Done(process.returncode, output or "", errors or "")


def files(folder: Path) -> dict[str, bytes]:
    """Everything below a folder, to see that it did not change."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def refused(folder: Path, status: int, *arguments: object) -> str:
    """The complaint of a command that must leave ``folder`` as it is."""
    before = files(folder)
    done = run(*arguments, cwd=folder)
    assert done.status == status, done
    assert done.stdout == ""
    assert files(folder) == before
    return done.complaint
