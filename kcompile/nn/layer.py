"""One layer of a network: its edges, how long it lasts, how it starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from kcompile.errors import GraphError
from kcompile.frontend.records import PhaseRecord
from kcompile.ir import Fill
from kcompile.nn.edges import Edges
from kcompile.nn.field import DENSE_LIMIT, Field, dense_field, ends, gathering_field


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
        self.dense = nodes * sum(map(len, batches)) <= DENSE_LIMIT
        if self.dense:
            for number, (leave, enter) in enumerate(ends(batch, nodes) for batch in batches):
                self.register_buffer(f"leave{number}", leave, persistent=False)
                self.register_buffer(f"enter{number}", enter, persistent=False)

    @property
    def batches(self) -> Iterator[Edges]:
        """Its edges, one ``Edges`` for each law."""
        return iter(cast(Iterable[Edges], self.edges))

    def field(self, samples: int, capacitance: Tensor | None = None) -> Field:
        """dv/dt as a function of the voltages, with the parameters as they are now.

        Args:
            samples: S of the voltages ``[N, S]`` that it will be given.
            capacitance: ``[N]``, software units; None: 1 each.
        """
        fields: list[Field] = []
        for number, batch in enumerate(self.batches):
            if self.dense:
                leave, enter = getattr(self, f"leave{number}"), getattr(self, f"enter{number}")
                fields.append(dense_field(batch, leave, enter, samples))
            else:
                fields.append(gathering_field(batch, self.nodes))
        if len(fields) == 1 and capacitance is None:
            return fields[0]
        scale = None if capacitance is None else capacitance[:, None]

        def field(v: Tensor) -> Tensor:
            total = torch.zeros_like(v)
            for part in fields:
                total = total + part(v)
            return total if scale is None else total / scale

        return field

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
