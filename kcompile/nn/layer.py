"""One layer of a network: its edges, how long it lasts, how it starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from kcompile import kernels
from kcompile.errors import GraphError, MissingExtra, UsageError
from kcompile.frontend.records import PhaseRecord
from kcompile.ir import Fill
from kcompile.nn.compiled import CompiledForm, Structure
from kcompile.nn.edges import Conductors, Edges
from kcompile.nn.form import Form
from kcompile.nn.plain import PlainForm

if TYPE_CHECKING:
    from kcompile.nn.triton_form import Incidences


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
        """Whether a compiled kernel computes it where there is one."""
        self.made: Callable[[Sequence[Edges]], Sequence[Conductors]] | None = None
        """What becomes of the edges in a real circuit; None: they are ideal."""
        self._structure: Structure | None = None
        self._incidences: Incidences | None = None
        cast(Any, self).register_load_state_dict_post_hook(Layer._forget_structure)

    @property
    def batches(self) -> Iterator[Edges]:
        """Its edges, one ``Edges`` for each law."""
        return iter(cast(Iterable[Edges], self.edges))

    def form(self, capacitance: Tensor | None = None) -> Form:
        """dv/dt with the parameters as they are now: compiled where it can be, else plain torch.

        On a GPU it is compiled by Triton, where that is installed.

        Args:
            capacitance: ``[N]``, software units; None: 1 each.

        Raises:
            UsageError: ``KCOMPILE_KERNEL`` asks for what is not there, or ``KCOMPILE_THREADS`` is
                no number of threads.
        """
        ideal = list(self.batches)
        batches = ideal if self.made is None else self.made(ideal)
        if batches and self.compiled:
            device = batches[0].like.device
            if _takes_triton(device):
                return self._triton_form(batches, capacitance)
            if device.type == "cpu" and kernels.chosen() is not None:
                known = self._structure
                if known is None or not known.joined.holds_for(batches):
                    kernels.workers()  # refused at once, not where a layer is large enough for it
                    known = self._structure = Structure.of(batches)
                return CompiledForm(known, batches, self.nodes, capacitance)
        return PlainForm(batches, self.nodes, capacitance)

    def _triton_form(self, batches: Sequence[Conductors], capacitance: Tensor | None) -> Form:
        from kcompile.nn.triton_form import Incidences, TritonForm

        known = self._incidences
        if known is None or not known.joined.holds_for(batches):
            known = self._incidences = Incidences.of(batches, self.nodes)
        return TritonForm(known, batches, self.nodes, capacitance)

    @staticmethod
    def _forget_structure(layer: Layer, _keys: object) -> None:
        """Edges that are loaded may join other nodes."""
        layer._structure = layer._incidences = None

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


def _takes_triton(device: torch.device) -> bool:
    """Whether Triton's kernels are to compute what lies on the device."""
    wanted = os.environ.get(kernels.VARIABLE)
    if wanted != kernels.TRITON:
        return device.type == "cuda" and wanted != "none" and _triton_fits()
    if not _triton_fits():
        raise MissingExtra(
            "there is no triton, or too old a one",
            where=kernels.VARIABLE,
            hint="install it with: pip install 'kcompile[cuda]'",
        )
    if device.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        raise UsageError(
            "without a GPU Triton's kernels run only in its interpreter",
            where=kernels.VARIABLE,
            hint="set TRITON_INTERPRET=1 as well",
        )
    return device.type in {"cuda", "cpu"}


@lru_cache
def _triton_fits() -> bool:
    """Whether there is a Triton whose kernels take tuples, as ours do."""
    try:
        import triton  # pyright: ignore[reportMissingTypeStubs] -- there are none
    except ModuleNotFoundError:
        return False
    major, minor = triton.__version__.split(".")[:2]
    return (int(major), int(minor)) >= (3, 3)


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
