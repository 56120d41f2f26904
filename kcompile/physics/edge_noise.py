"""The noise that edges push into their nodes, per edge and as a covariance of nodes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kcompile.errors import UsageError
from kcompile.ir import EdgeBatch, FloatArray, Graph, Phi, edge_currents
from kcompile.physics.constants import ROOM, kelvin
from kcompile.physics.noise import in_software_units, shot_density, thermal_density
from kcompile.units import Scale

_JITTER = 1e-12
"""Of the largest variance, added to each so that factors exist: charge that only moves between
nodes leaves its sum without noise."""


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Which noise a circuit has.

    Without a density, an edge has the noise of the devices that it would be built of:

    - ``relu``, ``leaky_relu``: the shot noise of its current;
    - ``tanh``: that of a bipolar differential pair, which is the shot noise of its tail current
      ``|w|``, whatever of it comes out;
    - ``identity``: the thermal noise of the conductance ``|w a|``.

    Args:
        celsius: the temperature.
        density: of every edge's current, A/sqrt(Hz), one-sided; None: as above.

    Raises:
        UsageError: the temperature is not above absolute zero, or the density is negative.
    """

    celsius: float = ROOM
    density: float | None = None

    def __post_init__(self) -> None:
        kelvin(self.celsius)
        if self.density is not None and not (math.isfinite(self.density) and self.density >= 0):
            raise UsageError(
                f"{self.density!r}", where="--noise-density", hint="give a finite number from 0"
            )

    @property
    def kelvin(self) -> float:
        """The absolute temperature."""
        return kelvin(self.celsius)

    def describe(self) -> str:
        """The noise of the currents in a few words."""
        if self.density is not None:
            return f"{self.density:g} A/sqrt(Hz) an edge"
        return "shot noise of relu currents and of the tails of tanh pairs, thermal of linear edges"

    def depends_on_state(self, batch: EdgeBatch) -> bool:
        """Whether the noise of a batch follows its currents."""
        return self.density is None and batch.phi in (Phi.RELU, Phi.LEAKY_RELU)

    def intensity(self, batch: EdgeBatch, grounded: FloatArray, scale: Scale) -> FloatArray:
        """Mean square charge per time that each edge's noise moves, ``float64[E]``.

        Args:
            batch: E edges.
            grounded: ``float64[N+1]``, node voltages with ground first, software units.
            scale: the unit system, in whose units of charge and time it is.
        """
        if self.density is not None:
            return np.full(len(batch), in_software_units(self.density**2, scale))
        if batch.phi is Phi.IDENTITY:
            slope = np.maximum(np.abs(batch.column("a")), np.abs(batch.column("b")))
            conductance = np.abs(batch.column("w")) * slope * (scale.i0 / scale.v0)
            return in_software_units(thermal_density(conductance, self.kelvin), scale)
        if batch.phi is Phi.TANH:
            return in_software_units(shot_density(batch.column("w") * scale.i0), scale)
        leaving, entering = edge_currents(batch, grounded)
        current = np.maximum(np.abs(leaving), np.abs(entering)) * scale.i0
        return in_software_units(shot_density(current), scale)


class NodeNoise:
    """How fast the covariance of a phase's voltages grows by the noise of its edges.

    An edge's noise takes from one node what it gives to the other.

    Args:
        graph: the circuit.
        phase: index of the phase, with N nodes.
        model: which noise.
        scale: the unit system.
    """

    def __init__(self, graph: Graph, phase: int, model: NoiseModel, scale: Scale) -> None:
        layer = graph.phases[phase]
        self._batches, self._model, self._scale = layer.batches, model, scale
        self._rows = layer.nodes + 1
        self._capacitance = graph.capacitance[: layer.nodes]
        self._places = [
            batch.src.astype(np.intp) * self._rows + batch.dst for batch in layer.batches
        ]
        self._varies = any(model.depends_on_state(batch) for batch in layer.batches)
        self._known: FloatArray | None = None

    def covariance(self, state: FloatArray) -> FloatArray:
        """Growth per software time, ``float64[N, N]``, at the voltages ``state [N]``."""
        grounded = np.concatenate(([0.0], state))
        between = np.zeros(self._rows**2)
        for batch, places in zip(self._batches, self._places, strict=True):
            intensity = self._model.intensity(batch, grounded, self._scale)
            between += np.bincount(places, intensity, self._rows**2)
        joined = between.reshape(self._rows, self._rows)
        joined = joined + joined.T
        laplacian = np.diag(joined.sum(axis=1)) - joined
        return laplacian[1:, 1:] / np.outer(self._capacitance, self._capacitance)

    def factor(self, state: FloatArray) -> FloatArray:
        """A matrix ``float64[N, N]`` whose product with its transpose is ``covariance(state)``."""
        if self._known is not None:
            return self._known
        covariance = self.covariance(state)
        largest = float(np.diag(covariance).max(initial=0.0))
        if largest == 0.0:
            factor = np.zeros_like(covariance)
        else:
            # In units of the largest: the smallest numbers that occur in nature are not lost.
            jitter = _JITTER * np.eye(len(covariance))
            factor = largest**0.5 * np.linalg.cholesky(covariance / largest + jitter)
        if not self._varies:
            self._known = factor
        return factor
