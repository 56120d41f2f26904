"""The devices of a batch of edges, as effects on their numbers see them.

Everything here is plain arithmetic on ``w, a, b, c``, so that the same effect serves numpy arrays
(circuits) and torch tensors (training with variations).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kcompile.ir import Phi


class Arithmetic(Protocol):
    """What effects need of an array library beyond operators."""

    def array(self, values: NDArray[Any], like: Any) -> Any:
        """Drawn numbers as an array of the library, of the type of ``like``."""
        ...

    def largest(self, values: Any) -> Any:
        """The largest magnitude, a number that no gradient flows through."""
        ...

    def rounded(self, values: Any) -> Any:
        """Each to the nearest whole number; gradients pass as if it had not been."""
        ...

    def clipped(self, values: Any, limit: Any) -> Any:
        """Each to ``-limit .. limit``."""
        ...


class NumpyArithmetic:
    """``Arithmetic`` for circuits."""

    def array(self, values: NDArray[Any], like: Any) -> Any:
        """See ``Arithmetic``."""
        del like
        return values

    def largest(self, values: Any) -> Any:
        """See ``Arithmetic``."""
        return np.abs(values).max(initial=0.0)

    def rounded(self, values: Any) -> Any:
        """See ``Arithmetic``."""
        return np.rint(values)

    def clipped(self, values: Any, limit: Any) -> Any:
        """See ``Arithmetic``."""
        return np.clip(values, -limit, limit)


@dataclass(frozen=True, eq=False)
class Devices:
    """E edges with the numbers that their devices were given.

    Args:
        phi: the nonlinearity.
        count: E.
        w, a, b, c: each one number, which the circuit is built for, or ``[E]``, which are stored
            in every device (programmed).
        diff: whether a device sees ``a*(v_src - v_dst) + c``: then ``b`` follows ``a``.
        arithmetic: of the arrays.
    """

    phi: Phi
    count: int
    w: Any
    a: Any
    b: Any
    c: Any
    diff: bool
    arithmetic: Arithmetic

    @property
    def programmed(self) -> tuple[str, ...]:
        """Which of ``w, a, b, c`` are stored in every device; of diff edges not ``b``."""
        names = "wac" if self.diff else "wabc"
        return tuple(name for name in names if np.ndim(getattr(self, name)))

    def with_programmed(self, change: Callable[[str, Any], Any]) -> Devices:
        """The same devices with every stored number changed."""
        return self.with_numbers(
            **{name: change(name, getattr(self, name)) for name in self.programmed}
        )

    def with_numbers(self, **changed: Any) -> Devices:
        """The same devices with other ``w``, ``a`` or ``c``; of diff edges ``b`` follows."""
        if self.diff and "a" in changed:
            changed["b"] = -changed["a"]
        return replace(self, **changed)

    def drawn(self, values: NDArray[np.float64]) -> Any:
        """Random numbers ``[E]`` in the arithmetic of these devices."""
        like = next((v for v in (self.w, self.a, self.b, self.c) if np.ndim(v)), None)
        return self.arithmetic.array(values, like)
