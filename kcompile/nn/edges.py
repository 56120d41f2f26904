"""Edges of one law with trainable parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kcompile.frontend.records import BatchRecord
from kcompile.ir import Coefficients, Phi, get_law


class Conductors(Protocol):
    """E edges of one nonlinearity, as a form asks for them: trained ones, or drawn ones."""

    @property
    def src(self) -> Tensor:
        """``int32[E]``, 0 is ground."""
        ...

    @property
    def dst(self) -> Tensor:
        """``int32[E]``, 0 is ground."""
        ...

    @property
    def phi(self) -> Phi:
        """The nonlinearity."""
        ...

    @property
    def like(self) -> Tensor:
        """A tensor of the type, and on the device, of their numbers."""
        ...

    def __len__(self) -> int: ...

    def coefficients(self) -> Coefficients:
        """``w, a, b, c``, each one number or ``[E]``, differentiable."""
        ...


@dataclass(frozen=True, eq=False)
class FixedEdges:
    """E edges whose coefficients were made elsewhere; the fields are those of ``Conductors``."""

    phi: Phi
    src: Tensor
    dst: Tensor
    like: Tensor
    numbers: Coefficients

    def __len__(self) -> int:
        return len(self.src)

    def coefficients(self) -> Coefficients:
        """See ``Conductors``."""
        return self.numbers


@dataclass(frozen=True, eq=False)
class Joined:
    """Which nodes the edges of a layer join, by what nonlinearities.

    Args:
        edges: sources, destinations and nonlinearity of each batch.
    """

    edges: tuple[tuple[Tensor, Tensor, Phi], ...]

    @classmethod
    def of(cls, batches: Sequence[Conductors]) -> Joined:
        """What batches join."""
        return cls(tuple((batch.src, batch.dst, batch.phi) for batch in batches))

    def holds_for(self, batches: Sequence[Conductors]) -> bool:
        """Whether these batches join the same, which is told by the very tensors that say so."""
        return len(batches) == len(self.edges) and all(
            src is batch.src and dst is batch.dst and phi is batch.phi
            for (src, dst, phi), batch in zip(self.edges, batches, strict=True)
        )


class Edges(nn.Module):
    """E edges that share a law, each with parameters of its own unless they share those, too.

    Args:
        law: a name in ``kcompile.ir.LAWS``.
        src, dst: ``int[E]``, 0 is ground.
        params: ``[P, E]``, float32 or float64; default: float32 zeros, to be initialised. With
            ``share`` ``[P, K]``.
        topology: the generator call that made the edges, stored with them.
        share: ``int[E]``, the column of ``params`` that each edge uses; None: one column an edge.

    Raises:
        CheckpointError: there is no such law, or parameters or columns do not fit.
    """

    src: Tensor
    dst: Tensor
    share: Tensor | None

    def __init__(
        self,
        law: str,
        src: NDArray[Any],
        dst: NDArray[Any],
        params: NDArray[Any] | None = None,
        topology: Mapping[str, Any] | None = None,
        share: NDArray[Any] | None = None,
    ) -> None:
        super().__init__()
        self.law = get_law(law)
        self.topology = topology
        if params is None:
            columns = len(src) if share is None else int(share.max(initial=-1)) + 1
            params = np.zeros((self.law.rows, columns), dtype=np.float32)
        BatchRecord(law, src, dst, params, share=share).lower(0)  # its checks are ours
        self.register_buffer("src", torch.as_tensor(np.array(src, dtype=np.int32)))
        self.register_buffer("dst", torch.as_tensor(np.array(dst, dtype=np.int32)))
        columns = None if share is None else torch.as_tensor(np.array(share, dtype=np.int32))
        self.register_buffer("share", columns)
        self.params = nn.Parameter(torch.as_tensor(np.array(params)))

    def __len__(self) -> int:
        return len(self.src)

    @property
    def phi(self) -> Phi:
        """The law's nonlinearity."""
        return self.law.phi

    @property
    def like(self) -> Tensor:
        """See ``Conductors``."""
        return self.params

    def rows(self) -> Tensor:
        """The law's parameter rows of every edge, ``[P, E]``; gradients of shared ones add up."""
        return self.params if self.share is None else self.params.index_select(1, self.share)

    def coefficients(self) -> Coefficients:
        """``w, a, b, c`` of the canonical law, each one number or ``[E]``, differentiable."""
        return self.law.coefficients(self.rows().unbind())

    def record(self) -> BatchRecord:
        """The edges as a checkpoint stores them."""
        return BatchRecord(
            self.law.name,
            self.src.cpu().numpy().copy(),
            self.dst.cpu().numpy().copy(),
            self.params.detach().cpu().numpy().copy(),
            self.topology,
            None if self.share is None else self.share.cpu().numpy().copy(),
        )
