"""Edges of one law with trainable parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kcompile.frontend.records import BatchRecord
from kcompile.ir import Coefficients, get_law


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
