"""Whether this machine has the memory that a verification will take, asked before it starts."""

from __future__ import annotations

from dataclasses import dataclass

from kcompile.compiler import Compiled
from kcompile.errors import UsageError
from kcompile.estimate import compiling, simulating, verifying
from kcompile.ir import Graph
from kcompile.passes import GROUPED

_MOST_COMPACT = ("native", 2)
"""The family and level whose circuits take the least."""


@dataclass(frozen=True)
class Workers:
    """The simulators of a verification.

    Args:
        count: how many run at a time.
        device: the family that they simulate; another one than the compiled circuit's where many
            samples run with faster devices, after one simulation of the circuit itself.
    """

    count: int
    device: str


def check_compiling(graph: Graph, available: float | None) -> None:
    """Sees that a network can be compiled and solved.

    Args:
        graph: the network.
        available: bytes; None: nobody knows, and nothing is refused.

    Raises:
        UsageError: it takes more.
    """
    needed = compiling(graph).memory_bytes + verifying(graph)
    _require(needed, available, "to compile and solve it", "take a machine with more")


def check_simulating(compiled: Compiled, workers: Workers, available: float | None) -> None:
    """Sees that a compiled circuit can be simulated.

    Args:
        compiled: the circuit.
        workers: the simulators.
        available: bytes; None: nobody knows, and nothing is refused.

    Raises:
        UsageError: it takes more; the hint says what would fit.
    """
    beside = verifying(compiled.graph)
    one = _simulators(compiled, compiled.device, 1)
    all_of_them = _simulators(compiled, workers.device, workers.count)
    if one is None or all_of_them is None:
        return  # a family of which nothing is known
    needed = beside + max(one, all_of_them)
    if available is None or needed <= available:
        return
    room = available - beside
    fewer = max(one, _simulators(compiled, workers.device, 1) or 0.0)
    if workers.count > 1 and fewer <= room:
        advice = f"--jobs 1 takes about {_size(beside + fewer)}"
    else:
        least = simulating(compiled.graph, *_MOST_COMPACT)
        assert least is not None
        compact = beside + least.memory_bytes
        if compact <= available and compiled.device != _MOST_COMPACT[0]:
            advice = f"--device {_MOST_COMPACT[0]} --jobs 1 takes about {_size(compact)}"
        else:
            advice = "take a machine with more"
    what = "one simulator" if workers.count == 1 else f"{workers.count} simulators"
    _require(needed, available, f"for {what}", advice)


def _simulators(compiled: Compiled, device: str, count: int) -> float | None:
    """Bytes of some simulators of the network built of a family."""
    level = compiled.opt_level if device == compiled.device else _MOST_COMPACT[1]
    # The passes have run: what -O3 approximates is in the graph, the rest stays as it is.
    level = min(level, GROUPED)
    found = simulating(compiled.graph, device, level)
    return None if found is None else count * found.memory_bytes


def _require(needed: float, available: float | None, what: str, advice: str) -> None:
    if available is not None and needed > available:
        raise UsageError(
            f"about {_size(needed)} of memory are needed {what}, {_size(available)} are available",
            where="verify", hint=f"{advice}, or --force it",
        )  # fmt: skip


def _size(count: float) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"
