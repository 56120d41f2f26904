"""Drawing a network's first parameters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from kcompile.errors import UsageError
from kcompile.nn.edges import Edges
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

    Args:
        net: changed in place; linear steps around the circuit are drawn uniformly.
        seed: of the draws.
        how: one of ``INITIALISERS``, for the edges.

    Raises:
        UsageError: there is no such initialiser.
    """
    if how not in INITIALISERS:
        raise UsageError(f"no initialiser {how!r}", hint=f"one of: {', '.join(INITIALISERS)}")
    generator = torch.Generator().manual_seed(seed)
    for layer in net.phases:
        for batch in layer.batches:
            _draw(batch, INITIALISERS[how], generator)
    for software in (net.encoder, net.head):
        software.initialise(generator)


def _draw(
    edges: Edges, fill: Callable[[Tensor, torch.Generator], None], generator: torch.Generator
) -> None:
    """Draws for all edges; shared columns take those of their first edges, so are no larger."""
    if edges.share is None:
        fill(edges.params, generator)
        return
    rows = edges.params.new_empty(edges.params.shape[0], len(edges))
    fill(rows, generator)
    with torch.no_grad():
        edges.params.copy_(rows[:, : edges.params.shape[1]])
