"""Drawing a network's first parameters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from kcompile.errors import UsageError
from kcompile.nn.network import KirchhoffNet


def _kaiming_normal(rows: Tensor, generator: torch.Generator) -> None:
    nn.init.kaiming_normal_(rows, generator=generator)


def _kaiming_uniform(rows: Tensor, generator: torch.Generator) -> None:
    nn.init.kaiming_uniform_(rows, generator=generator)


INITIALISERS: dict[str, Callable[[Tensor, torch.Generator], None]] = {
    "kaiming_normal": _kaiming_normal,
    "kaiming_uniform": _kaiming_uniform,
}
"""By name: each fills one parameter matrix ``[P, E]`` in place (its fan is E)."""


def initialise(net: KirchhoffNet, seed: int, how: str = "kaiming_normal") -> None:
    """Draws every parameter of a network anew; the same seed gives the same numbers.

    Raises:
        UsageError: there is no such initialiser.
    """
    if how not in INITIALISERS:
        raise UsageError(f"no initialiser {how!r}", hint=f"one of: {', '.join(INITIALISERS)}")
    generator = torch.Generator().manual_seed(seed)
    for parameters in net.parameters():
        INITIALISERS[how](parameters, generator)
