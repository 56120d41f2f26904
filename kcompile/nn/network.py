"""The network: layers in order, hand-over between them, read-out nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kcompile.errors import InputError
from kcompile.frontend.model import Model
from kcompile.frontend.records import Checkpoint
from kcompile.frontend.software import Software
from kcompile.ir import FloatArray, Graph, IndexArray
from kcompile.nn.edges import Edges
from kcompile.nn.layer import Layer
from kcompile.nn.software import SoftwareModule
from kcompile.nn.solver import Solver, integrate


class Terminals(Protocol):
    """Where a circuit meets the world."""

    def set(self, v: Tensor) -> Tensor:
        """The input nodes' voltages ``[inputs, S]`` as they are set, given those that should be.

        The first layer repeats, where it does, what was set.
        """
        ...

    def read(self, v: Tensor) -> Tensor:
        """The read-out nodes' voltages ``[M, S]`` as they are read."""
        ...


class KirchhoffNet(nn.Module):
    """A circuit whose voltages start at the input and are read at some nodes in the end.

    It computes what ``kcompile.ir`` says of the same graph: the same laws, hand-over, residuals
    and read-out. Software may stand before and behind it, and is trained with it.

    Args:
        layers: the phases, in order.
        inputs: how many voltages are given; they start nodes ``1..inputs``.
        outputs: ``int[M]``, the nodes read at the end, in order.
        capacitance: ``float64[nodes]``, software units; None: 1 each.
        solver: how its equations are solved unless a call says otherwise.
        encoder: software in front of the circuit; what exceeds ``inputs`` values is cut off.
        head: software behind the read-out nodes.
        sample_width: how many values a sample has, where neither ``inputs`` nor the encoder says
            so and what exceeds is cut off.

    Raises:
        GraphError: the layers do not make a circuit.
        CheckpointError: encoder or head do not fit it.
    """

    read: Tensor
    """The rows that are read: ``outputs`` counted from 0."""

    def __init__(
        self,
        layers: Sequence[Layer],
        inputs: int,
        outputs: NDArray[Any] | Sequence[int],
        capacitance: FloatArray | None = None,
        solver: Solver | None = None,
        encoder: Software | None = None,
        head: Software | None = None,
        sample_width: int | None = None,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.inputs = inputs
        self.outputs: IndexArray = np.asarray(outputs, dtype=np.int32)
        self.register_buffer("read", torch.as_tensor(self.outputs - 1), persistent=False)
        self.capacitance = capacitance
        self.solver = solver or Solver()
        self.sample_width = sample_width
        self.terminals: Terminals | None = None
        """How voltages are set and read in a real circuit; None: exactly."""
        dtype = self.dtype
        self.encoder = SoftwareModule(encoder or Software(), dtype)
        self.head = SoftwareModule(head or Software(), dtype)
        self.input_width = self.to_checkpoint().model().input_width  # validates

    @property
    def phases(self) -> Iterator[Layer]:
        """Its layers, in order."""
        return iter(cast(Iterable[Layer], self.layers))

    @property
    def dtype(self) -> torch.dtype:
        """The type that its circuit computes in: that of its parameters."""
        for layer in self.phases:
            for batch in layer.batches:
                return batch.params.dtype
        return torch.float32

    @property
    def parameter_count(self) -> int:
        """How many numbers are trained."""
        return sum(p.numel() for p in self.parameters())

    def forward(self, inputs: Tensor, solver: Solver | None = None) -> Tensor:
        """What the head makes of the read-out nodes' voltages at the end.

        Args:
            inputs: ``[S, Nin]``, as ``Model.initial_voltages`` takes them, software units.
            solver: instead of the network's own.

        Returns:
            ``[S, M]``, the voltages themselves where there is no head; one axis more where a head
            reshapes.

        Raises:
            InputError: the width is wrong.
            SolverError: the solver cannot go on.
        """
        if inputs.ndim != 2 or inputs.shape[1] != self.input_width:
            raise InputError(
                f"inputs of shape {list(inputs.shape)}", hint=f"give [samples, {self.input_width}]"
            )
        dtype = self.dtype
        v = self.encoder(inputs.to(dtype))[..., : self.inputs].to(dtype)
        rows = v.shape[:-1]  # an encoder that reshapes gives several for each sample
        out = self.evolve(v.reshape(rows.numel(), self.inputs).T, solver).T
        return self.head(out.reshape(*rows, len(self.outputs)))

    def evolve(self, v: Tensor, solver: Solver | None = None) -> Tensor:
        """The circuit alone, node-major: read-outs ``[M, S]`` out of voltages ``[any, S]``.

        The voltages are cut or filled as layer 0 says. Real terminals set the first ``inputs`` of
        them; layer 0 fills the rest from these.
        """
        if self.terminals is not None:
            v = self.terminals.set(v[: self.inputs])
        passed: list[Tensor] = []
        for layer in self.phases:
            v = layer.hand_over(v)
            v = integrate(layer, v, solver or self.solver, self.capacitance_of(layer, v))
            if layer.residual is not None:
                v = v + passed[layer.residual]
            passed.append(v)
        outputs = v.index_select(0, self.read)
        return outputs if self.terminals is None else self.terminals.read(outputs)

    def derivative(self, phase: int, v: Tensor) -> Tensor:
        """dv/dt of one phase, ``[S, N]`` out of voltages ``[S, N]``."""
        layer = cast(Layer, self.layers[phase])
        if v.ndim != 2 or v.shape[1] != layer.nodes:
            raise InputError(
                f"voltages of shape {list(v.shape)}", hint=f"give [samples, {layer.nodes}]"
            )
        return layer.form(self.capacitance_of(layer, v)).derivative(v.T).T

    def capacitance_of(self, layer: Layer, like: Tensor) -> Tensor | None:
        """The capacitances of a layer's nodes, ``[N]``, of the type of ``like``; None: 1 each."""
        if self.capacitance is None:
            return None
        return torch.as_tensor(self.capacitance[: layer.nodes].copy()).to(like)

    def to_checkpoint(self, **fields: Any) -> Checkpoint:
        """Everything about the network as a checkpoint record.

        Args:
            fields: what else goes with it: task, normalisation, training, samples.

        Raises:
            CheckpointError: a weight of encoder or head is not finite.
        """
        return Checkpoint(
            tuple(layer.record() for layer in self.phases),
            self.inputs,
            self.outputs,
            self.capacitance,
            encoder=self.encoder.record(),
            head=self.head.record(),
            solver=self.solver.record(),
            sample_width=self.sample_width,
            **fields,
        )

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> Self:
        """The network that a checkpoint stores, parameters exactly as stored.

        Raises:
            CheckpointError, GraphError: it contradicts itself.
        """
        layers = [
            Layer(
                [Edges(b.law, b.src, b.dst, b.params, b.topology, b.share) for b in phase.batches],
                phase.nodes,
                phase.duration,
                phase.fill,
                phase.residual,
            )
            for phase in checkpoint.phases
        ]
        solver = None if checkpoint.solver is None else Solver.from_record(checkpoint.solver)
        return cls(
            layers,
            checkpoint.inputs,
            checkpoint.outputs,
            checkpoint.capacitance,
            solver,
            checkpoint.encoder,
            checkpoint.head,
            checkpoint.sample_width,
        )

    @classmethod
    def from_model(cls, model: Model) -> Self:
        """The network that any model stands for, its canonical coefficients as parameters."""
        solver = None if model.solver is None else Solver.from_record(model.solver)
        net = cls.from_checkpoint(
            Checkpoint.from_graph(
                model.graph,
                encoder=model.encoder,
                head=model.head,
                sample_width=model.sample_width,
            )
        )
        net.solver = solver or net.solver
        return net

    @classmethod
    def from_graph(cls, graph: Graph, solver: Solver | None = None) -> Self:
        """The network that a graph stands for, its canonical coefficients as parameters."""
        net = cls.from_checkpoint(Checkpoint.from_graph(graph))
        net.solver = solver or Solver()
        return net
