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

from kcompile.ir import Coefficients, Phi


class Arithmetic(Protocol):
    """What effects need of an array library beyond operators."""

    def array(self, values: NDArray[Any]) -> Any:
        """Drawn numbers as an array of the library."""
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

    def summed(self, values: Any, nodes: Any, count: int) -> Any:
        """The sum ``[count]`` of the values ``[E]`` at each of the nodes ``int[E]``."""
        ...


class NumpyArithmetic:
    """``Arithmetic`` for circuits."""

    def array(self, values: NDArray[Any]) -> Any:
        """See ``Arithmetic``."""
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

    def summed(self, values: Any, nodes: Any, count: int) -> Any:
        """See ``Arithmetic``."""
        return np.bincount(nodes, values, count)


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

    @classmethod
    def of(cls, phi: Phi, count: int, numbers: Coefficients, arithmetic: Arithmetic) -> Devices:
        """The devices of ``count`` edges with these coefficients."""
        w, a, b, c = numbers.w, numbers.a, numbers.b, numbers.c
        opposite = b == -a
        diff = bool(opposite.all()) if np.ndim(opposite) else bool(opposite)
        return cls(phi, count, w, a, b, c, diff, arithmetic)

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

    def drawn(self, values: NDArray[Any]) -> Any:
        """Random numbers ``[E]`` in the arithmetic of these devices."""
        return self.arithmetic.array(values)

    def always_on(self) -> Devices:
        """The same devices stuck on: a relu conducts both ways, a tanh gives its full current."""
        if self.phi is Phi.TANH:
            return replace(self, phi=Phi.IDENTITY, a=0.0, b=0.0, c=1.0)
        return replace(self, phi=Phi.IDENTITY)

    def loads(self, conductance: float) -> Any:
        """``conductance * |w|`` of every device, ``[E]``."""
        return self.arithmetic.array(np.full(self.count, conductance)) * abs(self.w)
