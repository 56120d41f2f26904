"""Effects where the circuit meets the world: how its inputs are set and its outputs read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kcompile.variations.devices import Arithmetic
from kcompile.variations.effect import Effect, number


@dataclass(frozen=True)
class Converter(Effect):
    """Voltages are set, or read, with noise, an offset of each node, and so many bits.

    A converter of ``bits`` has ``2^bits`` equal levels from ``-span`` to ``span``; voltages beyond
    become the last level. Noise is another for every sample, an offset is one for all.
    """

    noise: float = number("sd of the noise of each sample", "v0")
    offset: float = number("sd of the offset of each node", "v0")
    bits: float = number("bits of the converter; 0: exact", most=32, whole=True)
    span: float = number("full scale of the converter, to either side", "v0", 1.0, least=1e-300)

    @property
    def active(self) -> bool:
        """Whether voltages change at all: a span alone does nothing."""
        return self.noise > 0 or self.offset > 0 or self.bits > 0

    def convert(
        self,
        v: Any,
        static: np.random.Generator,
        each: np.random.Generator,
        arithmetic: Arithmetic,
    ) -> Any:
        """The voltages ``[S, M]`` as they are really set or read.

        Args:
            v: as they should be.
            static: chance of the nodes' offsets.
            each: chance of the samples' noise.
            arithmetic: of the voltages.
        """
        found = v
        if self.offset:
            found = found + self.offset * arithmetic.array(static.standard_normal(int(v.shape[-1])))
        if self.noise:
            found = found + self.noise * arithmetic.array(each.standard_normal(tuple(v.shape)))
        if self.bits:
            step = 2.0 * self.span / (2.0 ** int(self.bits) - 1.0)
            clipped = arithmetic.clipped(found, self.span)
            found = arithmetic.rounded((clipped + self.span) / step) * step - self.span
        return found


@dataclass(frozen=True)
class Input(Converter):
    """How the voltages at t = 0 are set."""

    name = "input"


@dataclass(frozen=True)
class ReadOut(Converter):
    """How the voltages at the end are read."""

    name = "readout"
