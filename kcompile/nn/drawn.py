"""A network whose circuit has the imperfections of real ones, for training that knows them.

``kcompile.variations.draw`` makes one circuit of a graph; this makes the same one of a network, by
the same effects, with gradients that reach the stored parameters.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial

import numpy as np
import torch
from torch import Tensor

from kcompile.errors import UsageError
from kcompile.ir import Coefficients, FloatArray, Graph, Phi
from kcompile.nn.arithmetic import arithmetic_of
from kcompile.nn.edges import Conductors, Edges, FixedEdges
from kcompile.nn.network import KirchhoffNet
from kcompile.variations import (
    LEAKS,
    Capacitors,
    Chance,
    Converter,
    Devices,
    Input,
    Leakage,
    OutputConductance,
    ReadOut,
    Stuck,
    Variations,
    stuck_on,
    with_effects,
)
from kcompile.variations.parameters import DeviceEffect

_TRAINABLE = (DeviceEffect, OutputConductance, Leakage, Capacitors, Input, ReadOut)


def require_trainable(variations: Variations) -> None:
    """Sees that a network can be trained with these variations.

    Raises:
        UsageError: one of them has no counterpart in training; it names it.
    """
    known = {
        name for name in variations.active
        if isinstance(variations.effects.get(name), _TRAINABLE)
    }  # fmt: skip
    others = [name for name in variations.active if name not in known]
    leakage: Leakage = variations.effect(Leakage)
    if leakage.active and leakage.hold > 0:
        others.append("leakage.hold")
    if others:
        raise UsageError(
            f"no network can be trained with {', '.join(others)}",
            where="--vary",
            hint="leave it out here; kcompile montecarlo shows what it does",
        )


class Drawing:
    """Draws circuits of a network.

    Args:
        net: the network; its parameters may change between draws, its edges may not.
        variations: which imperfections, how strong.

    Raises:
        UsageError: ``require_trainable``.
    """

    def __init__(self, net: KirchhoffNet, variations: Variations) -> None:
        require_trainable(variations)
        self._net = net
        self._variations = variations
        self._graph = net.to_checkpoint().model().graph

    @contextmanager
    def drawn(self, chance: Chance) -> Generator[None]:
        """Within it the network computes with one circuit: that of ``variations.varied``.

        Converters have noise of its own for every sample, whether samples come all at once or in
        parts, one call after another.

        A gradient by the adjoint equation must be taken within it, too, for it solves again.

        Args:
            chance: of the draw; the same one gives the same circuit.
        """
        net, own = self._net, self._net.capacitance
        like = net.read.new_empty(0, dtype=net.dtype)
        circuit = _Circuit(self._graph, self._variations, chance, like)
        try:
            for number, layer in enumerate(net.phases):
                layer.made = partial(circuit.edges, number, layer.nodes)
            net.terminals = circuit
            net.capacitance = circuit.capacitance(own)
            yield
        finally:
            for layer in net.phases:
                layer.made = None
            net.terminals, net.capacitance = None, own


@dataclass(frozen=True, eq=False)
class _Circuit:
    """One draw.

    Args:
        graph: of the network; only its shape counts.
        variations: which imperfections.
        chance: of the draw.
        like: a tensor of the type, and on the device, of its numbers.
    """

    graph: Graph
    variations: Variations
    chance: Chance
    like: Tensor
    leaks: tuple[FloatArray, FloatArray] = field(init=False)
    noise: dict[str, np.random.Generator] = field(
        init=False, default_factory=dict[str, np.random.Generator]
    )
    """Each converter's source of noise, which goes on from call to call."""

    def __post_init__(self) -> None:
        leakage: Leakage = self.variations.effect(Leakage)
        object.__setattr__(self, "leaks", leakage.loads(self.graph.nodes, self.chance))

    def capacitance(self, ideal: FloatArray | None) -> FloatArray | None:
        """The nodes' capacitances, ``float64[nodes]``; the given ones where nothing changes."""
        effect: Capacitors = self.variations.effect(Capacitors)
        return effect.apply(self.graph, self.chance) if effect.active else ideal

    def set(self, v: Tensor) -> Tensor:
        """The input nodes' voltages ``[inputs, S]`` as the converter really sets them."""
        return self._converted(Input, v)

    def read(self, v: Tensor) -> Tensor:
        """The read-outs ``[M, S]`` as the converter gives them."""
        return self._converted(ReadOut, v)

    def _converted(self, kind: type[Converter], v: Tensor) -> Tensor:
        effect: Converter = self.variations.effect(kind)
        if not effect.active:
            return v
        static = self.chance.of(effect.name, 0)
        each = self.noise.setdefault(effect.name, self.chance.of(effect.name, 1))
        converted: Tensor = effect.convert(v.T, static, each, arithmetic_of(v))
        return converted.T

    def edges(self, phase: int, nodes: int, ideal: Sequence[Edges]) -> list[Conductors]:
        """A layer's edges with the numbers that their devices were given, and what leaks."""
        found: list[Conductors] = []
        placed: list[tuple[Tensor, Tensor, Devices]] = []
        for place, batch in enumerate(ideal):
            for devices in self._devices(batch, phase, place):
                placed.append((batch.src, batch.dst, devices))
                numbers = Coefficients(devices.w, devices.a, devices.b, devices.c)
                found.append(FixedEdges(devices.phi, batch.src, batch.dst, batch.like, numbers))
        return [*found, *self._leaking(nodes, placed)]

    def _devices(self, batch: Edges, phase: int, place: int) -> Iterator[Devices]:
        ideal = Devices.of(batch.phi, len(batch), batch.coefficients(), arithmetic_of(batch.like))
        devices = with_effects(ideal, self.variations, self.chance, phase, place)
        stuck: Stuck = self.variations.effect(Stuck)
        if not stuck.on:
            yield devices
            return
        # Every draw has the same edges, which costs twice the work but keeps the kernel's order:
        # each device is there in its own law and always on, one of the two at no current.
        on = stuck_on(len(batch), self.variations, self.chance, phase, place)
        yield devices.with_numbers(w=devices.w * devices.drawn(1.0 - on))
        yield devices.always_on().with_numbers(w=devices.w * devices.drawn(1.0 * on))

    def _leaking(
        self, nodes: int, placed: Sequence[tuple[Tensor, Tensor, Devices]]
    ) -> Iterator[Conductors]:
        """The edges to ground that carry what leaks from a layer's nodes."""
        output: OutputConductance = self.variations.effect(OutputConductance)
        leakage: Leakage = self.variations.effect(Leakage)
        like = self.like
        conductance, current = (arithmetic_of(like).array(each[:nodes]) for each in self.leaks)
        if output.active:
            conductance = conductance + output.loads(nodes, placed)
        wanted = (output.active or leakage.conductance > 0, leakage.current > 0)
        for values, numbers, want in zip((conductance, current), LEAKS, wanted, strict=True):
            if want:
                ends = _to_ground(nodes, like.device)
                yield FixedEdges(Phi.IDENTITY, *ends, like, Coefficients(values, *numbers))


@lru_cache
def _to_ground(nodes: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Edges' ends from every node to ground: the same tensors again, so that kernels know them."""
    src = torch.arange(1, nodes + 1, dtype=torch.int32, device=device)
    return src, torch.zeros_like(src)
