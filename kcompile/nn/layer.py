"""One layer of a network: its edges, how long it lasts, how it starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from kcompile import kernels
from kcompile.errors import GraphError
from kcompile.frontend.records import PhaseRecord
from kcompile.ir import Fill
from kcompile.nn.compiled import CompiledForm, Structure
from kcompile.nn.edges import Edges
from kcompile.nn.form import Form
from kcompile.nn.plain import PlainForm


class Layer(nn.Module):
    """The nodes ``1..N`` joined by edges for a while: a phase of the circuit.

    Args:
        edges: the edges, one ``Edges`` for each law.
        nodes: N.
        duration: software time units.
        fill: what a node starts with that nothing is handed to.
        residual: index of an earlier layer whose output is added to this one's.

    Raises:
        GraphError: an edge ends outside the nodes.
    """

    def __init__(
        self,
        edges: Edges | Sequence[Edges],
        nodes: int,
        duration: float,
        fill: Fill = Fill.ZERO,
        residual: int | None = None,
    ) -> None:
        super().__init__()
        batches = [edges] if isinstance(edges, Edges) else list(edges)
        _check_ends(batches, nodes)
        self.edges = nn.ModuleList(batches)
        self.nodes = nodes
        self.duration = duration
        self.fill = Fill(fill)
        self.residual = residual
        self.compiled = True
        """Whether the compiled kernel computes it where there is one."""
        self._structure: Structure | None = None
        cast(Any, self).register_load_state_dict_post_hook(Layer._forget_structure)

    @property
    def batches(self) -> Iterator[Edges]:
        """Its edges, one ``Edges`` for each law."""
        return iter(cast(Iterable[Edges], self.edges))

    def form(self, capacitance: Tensor | None = None) -> Form:
        """dv/dt with the parameters as they are now: compiled where it can be, else plain torch.

        Args:
            capacitance: ``[N]``, software units; None: 1 each.
        """
        batches = list(self.batches)
        on_cpu = bool(batches) and batches[0].params.device.type == "cpu"
        if not (on_cpu and self.compiled and kernels.chosen() is not None):
            return PlainForm(batches, self.nodes, capacitance)
        if self._structure is None:
            self._structure = Structure.of(batches)
        return CompiledForm(self._structure, batches, self.nodes, capacitance)

    @staticmethod
    def _forget_structure(layer: Layer, _keys: object) -> None:
        """Edges that are loaded may join other nodes."""
        layer._structure = None

    def hand_over(self, v: Tensor) -> Tensor:
        """The voltages it starts with ``[N, S]``, given those that reach it ``[M, S]``.

        The torch counterpart of ``kcompile.ir.hand_over``.
        """
        given = len(v)
        if given >= self.nodes:
            return v[: self.nodes]
        if self.fill is Fill.REPEAT and given:
            return v[torch.arange(self.nodes, device=v.device) % given]
        return torch.cat((v, v.new_zeros(self.nodes - given, v.shape[1])))

    def record(self) -> PhaseRecord:
        """The layer as a checkpoint stores it."""
        batches = tuple(batch.record() for batch in self.batches)
        return PhaseRecord(self.nodes, self.duration, batches, self.fill, self.residual)


def _check_ends(batches: Sequence[Edges], nodes: int) -> None:
    for number, batch in enumerate(batches):
        for name, values in (("src", batch.src), ("dst", batch.dst)):
            bad = ((values < 0) | (values > nodes)).nonzero()
            if len(bad):
                edge = int(bad[0])
                raise GraphError(
                    f"{name} {int(values[edge])} of edge {edge} is outside 0..{nodes}",
                    where=f"batch {number}",
                )
