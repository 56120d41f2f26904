"""What the effects of ``kcompile.variations`` need of torch beyond operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class TorchArithmetic:
    """``kcompile.variations.Arithmetic`` for tensors; gradients pass to what was stored.

    Args:
        dtype: of drawn numbers.
        device: where they are.
    """

    dtype: torch.dtype
    device: torch.device

    def array(self, values: NDArray[Any]) -> Tensor:
        """See ``Arithmetic``."""
        return torch.as_tensor(values).to(self.device, self.dtype)

    def largest(self, values: Any) -> Any:
        """See ``Arithmetic``."""
        return values.detach().abs().max() if len(values) else 0.0

    def rounded(self, values: Any) -> Any:
        """Each to the nearest whole number, halves to even; the gradient passes unchanged.

        The straight-through estimator (arXiv:1308.3432): the gradient of a staircase is of no use.
        """
        return cast(Any, _Rounded).apply(values)

    def clipped(self, values: Any, limit: Any) -> Any:
        """Each to ``-limit .. limit``; no gradient passes to one beyond."""
        return torch.clamp(values, -limit, limit)

    def summed(self, values: Any, nodes: Any, count: int) -> Any:
        """See ``Arithmetic``."""
        return values.new_zeros(count).index_add(0, nodes, values)


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        del ctx
        return torch.round(values)

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] -- torch calls it by place
        ctx: Any, grad: Tensor
    ) -> Tensor:
        del ctx
        return grad


def arithmetic_of(like: Tensor) -> TorchArithmetic:
    """The arithmetic of tensors of a type on a device."""
    return TorchArithmetic(like.dtype, like.device)
