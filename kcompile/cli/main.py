"""The ``kcompile`` command: finds the subcommand, turns errors into one line and a status."""

from __future__ import annotations

import importlib
import signal
import sys
import traceback
from typing import NoReturn

import click

from kcompile import __version__
from kcompile.errors import KcompileError

COMMANDS = ("netlist", "verify", "train", "inspect", "doctor", "golden")
_INTERRUPTED = 130
_BUG = 70


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


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kcompile")
def kcompile() -> None:
    """Compiles a trained KirchhoffNet into a SPICE circuit and checks what the circuit computes."""


def main() -> NoReturn:
    """Runs the command line and exits with the status that the documentation promises."""
    # Being told to end is an interruption: simulators are stopped and work folders removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status = kcompile.main(standalone_mode=False)
    except KcompileError as error:
        status = _complain(str(error), error.exit_status)
    except click.exceptions.Exit as leave:
        status = leave.exit_code
    except (KeyboardInterrupt, click.Abort):
        status = _complain("interrupted", _INTERRUPTED)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "kcompile"
        status = _complain(f"{error.format_message()} (see '{where} --help')", 2)
    except click.ClickException as error:
        status = _complain(error.format_message(), 2)
    except BrokenPipeError:
        # Whoever read our output has left; say nothing, and keep the interpreter from saying it.
        sys.stdout = sys.stderr = open("/dev/null", "w")  # noqa: SIM115, PTH123
        status = 0
    except Exception:  # noqa: BLE001 - the one place where a bug of ours is shown
        traceback.print_exc()
        status = _complain("this is a bug in kcompile; please report the lines above", _BUG)
    sys.exit(status if isinstance(status, int) else 0)


def _complain(text: str, status: int) -> int:
    click.echo(f"kcompile: {text}", err=True)
    return status
