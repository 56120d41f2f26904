"""What a frontend delivers: the circuit graph and all that surrounds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kcompile.errors import CheckpointError, InputError
from kcompile.frontend.software import Software
from kcompile.ir import FloatArray, Graph, derivative, hand_over

GENERATIVE_TASKS = frozenset(
    {
        "circle", "twomoon", "2spirals", "8gaussians", "pinwheel", "swissroll", "genmnist",
        "gauss", "potential1", "potential2",
    }
)  # fmt: skip
"""Tasks that start from a standard normal v(0) and read every node."""


@dataclass(frozen=True)
class TrainingSolver:
    """The ODE solver settings that a network was trained with.

    Args:
        method: as torchdiffeq calls it.
        rtol, atol: tolerances of an adaptive method.
        steps: fixed steps per phase of a fixed-step method; None: adaptive.
        options: further torchdiffeq options, such as ``min_step`` and ``first_step``.
    """

    method: str
    rtol: float
    atol: float
    steps: int | None = None
    options: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, eq=False)
class Samples:
    """Test samples that travel with a network, as the network takes and gives them (normalised).

    Args:
        inputs: ``float64[S, Nin]``.
        targets: ``[S]`` classes or ``float64[S, M]`` values.

    Raises:
        CheckpointError: the arrays do not describe the same samples, or a value is not finite.
    """

    inputs: FloatArray
    targets: NDArray[Any]

    def __post_init__(self) -> None:
        inputs = np.asarray(self.inputs, dtype=np.float64)
        if inputs.ndim != 2 or self.targets.ndim not in (1, 2) or len(self.targets) != len(inputs):
            raise CheckpointError(
                f"test samples of shape {inputs.shape} with targets {self.targets.shape}"
            )
        if not (np.isfinite(inputs).all() and np.isfinite(self.targets).all()):
            raise CheckpointError("a test sample has values that are not finite")
        object.__setattr__(self, "inputs", inputs)

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network, ready to be compiled.

    Args:
        graph: the circuit, validated.
        law: names of its device laws, comma-separated.
        task: what it was trained for, or None.
        encoder: software in front of the circuit.
        head: software behind the read-out nodes.
        solver: what it was trained with, where that is known.
        normalisation: affine maps between data and network, ``{"x": {"min", "max"}, "y": ...}``.
        training: the training record, free-form.
        source: the file it came from.
        sha256: of that file.
        notes: what a reader should know about how it was read.
        samples: the first samples of the task's test split, where the file carries them.
        sample_width: how many numbers one sample has, where those that exceed the graph's inputs
            are cut off.
        imperfections: what the circuit has of them, one line; None: it is the ideal one.
    """

    graph: Graph
    law: str
    task: str | None = None
    encoder: Software = Software()
    head: Software = Software()
    solver: TrainingSolver | None = None
    normalisation: Mapping[str, Any] | None = None
    training: Mapping[str, Any] = field(default_factory=dict[str, Any])
    source: Path | None = None
    sha256: str | None = None
    notes: tuple[str, ...] = ()
    samples: Samples | None = None
    sample_width: int | None = None
    imperfections: str | None = None

    @property
    def generative(self) -> bool:
        """Whether its input is a standard normal draw."""
        return self.task in GENERATIVE_TASKS

    @property
    def input_width(self) -> int:
        """How many numbers one sample has (before the encoder)."""
        return self.encoder.width or self.sample_width or self.graph.inputs

    @property
    def name(self) -> str:
        """A short name for folders and headers."""
        if self.source is None:
            return self.task or "network"
        stem = self.source.stem
        name = self.source.resolve().parent.name if stem == "model" else stem
        return name or "network"

    def initial_voltages(self, inputs: FloatArray) -> FloatArray:
        """The voltages of the first phase's nodes at t = 0.

        Args:
            inputs: ``[..., Nin]``, software units.

        Returns:
            ``float64[..., N]``: encoded, then cut, padded or repeated as the first phase says.

        Raises:
            InputError: they are no numbers, the width is wrong or a value is not finite.
        """
        return hand_over(self.input_voltages(inputs), self.graph.phases[0])

    def input_voltages(self, inputs: FloatArray) -> FloatArray:
        """The voltages that the input nodes are given, ``float64[..., graph.inputs]``.

        Args:
            inputs: ``[..., Nin]``, software units.

        Raises:
            InputError: they are no numbers, the width is wrong or a value is not finite.
        """
        inputs = _real(inputs)
        if inputs.ndim == 0 or inputs.shape[-1] != self.input_width:
            width = inputs.shape[-1] if inputs.ndim else "no"
            raise InputError(
                f"samples of {width} values", hint=f"this network takes {self.input_width}"
            )
        if not np.isfinite(inputs).all():
            raise InputError("a value is NaN or infinite", hint="clean the data")
        return self.encoder(inputs)[..., : self.graph.inputs]

    def read_out(self, v: FloatArray) -> FloatArray:
        """The read-out nodes' voltages ``[..., M]`` out of all final voltages ``[..., N]``."""
        return v[..., self.graph.outputs - 1]

    def derivative(self, phase: int, v: FloatArray) -> FloatArray:
        """dv/dt of one phase, ``[..., N]`` (see ``kcompile.ir.derivative``)."""
        return derivative(self.graph, phase, v)


def _real(values: ArrayLike) -> FloatArray:
    """``values`` in double precision.

    Raises:
        InputError: they are no real numbers.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InputError("samples of different widths", hint="give one width") from error
    if array.dtype.kind not in "fiub":
        raise InputError(f"samples of type {array.dtype}", hint="give real numbers")
    return array.astype(np.float64)
