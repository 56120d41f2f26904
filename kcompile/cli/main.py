"""The ``kcompile`` command: finds the subcommand, turns errors into one line and a status."""

from __future__ import annotations

import importlib
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from kcompile import __version__
from kcompile.cli.streams import guard_streams
from kcompile.errors import KcompileError, StorageError
from kcompile.files import storage_error

COMMANDS = (
    "netlist", "verify", "train", "evaluate", "sample", "plan", "montecarlo", "sweep", "data",
    "inspect", "doctor", "golden",
)  # fmt: skip
_INTERRUPTED = 130
_BUG = 70
_STORAGE = 5
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Commands(click.Group):
    """Subcommands, each imported when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order in which they are used."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"kcompile.cli.{cmd_name}")
        return getattr(module, cmd_name)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
)
@click.version_option(__version__, prog_name="kcompile")
def kcompile() -> None:
    """Compiles a trained KirchhoffNet into a SPICE circuit and checks what the circuit computes."""


def main() -> NoReturn:
    """Runs the command line and exits with the status that the documentation promises."""
    guard_streams()
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        status = kcompile.main(prog_name="kcompile", standalone_mode=False)
        sys.stdout.flush()
    except StorageError as error:
        words = [str(error), *getattr(error, "__notes__", ())]
        status = _complain("; ".join(words), error.exit_status)
    except KcompileError as error:
        status = _complain(str(error), error.exit_status)
    except (KeyboardInterrupt, click.Abort) as error:
        # click raises its own in the place of Python's.
        words = ["interrupted", *getattr(error.__cause__ or error, "__notes__", ())]
        status = _complain("; ".join(words), _INTERRUPTED)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "kcompile"
        status = _complain(f"{error.format_message()} (see '{where} --help')", 2)
    except click.ClickException as error:
        status = _complain(error.format_message(), 2)
    except OSError as error:
        # What no reader and no writer foresaw is still the system's word on a file.
        place = Path(str(error.filename or "the system"))
        status = _complain(str(storage_error(error, place)), _STORAGE)
    except MemoryError:
        status = _complain("there is not enough memory; ask for less at a time", _STORAGE)
    except Exception:  # noqa: BLE001 - the one place where a bug of ours is shown
        traceback.print_exc()
        status = _complain("this is a bug in kcompile; please report the lines above", _BUG)
    with suppress(KcompileError):
        sys.stdout.flush()
    sys.exit(status if isinstance(status, int) else 0)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Being told to end is an interruption: simulators are stopped and work folders removed.

    Once is enough: a second one would only interrupt the tidying up.
    """
    del number, frame
    for again in _SIGNALS:
        signal.signal(again, signal.SIG_IGN)
    raise KeyboardInterrupt


def _complain(text: str, status: int) -> int:
    click.echo(f"kcompile: {' '.join(text.split())}", err=True)
    return status
