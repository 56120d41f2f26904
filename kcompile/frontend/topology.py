"""The topologies of the networks: which nodes are joined, in the order parameters are stored.

Parameters match edges by position, so the order is part of the format, not a detail. A topology
is the call of a generator: it says how many edges it makes without making them, so that a reader
can compare before it spends memory. Arguments are called as in the published configurations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Protocol, cast

import numpy as np

from kcompile.errors import UsageError
from kcompile.frontend.windows import Windows, overlaps, windows
from kcompile.ir import IndexArray

Edges = tuple[IndexArray, IndexArray]
"""Source and destination nodes, ``int32[E]`` each; 0 is ground."""

_INDEX_LIMIT = 2**31 - 1
_PARALLEL_LIMIT = 24


class Topology(Protocol):
    """A generator with its arguments."""

    name: ClassVar[str]

    @property
    def count(self) -> int:
        """How many edges it makes."""
        ...

    def edges(self) -> Edges:
        """The edges.

        Raises:
            UsageError: there are more of them than can be numbered.
        """
        ...


@dataclass(frozen=True)
class FullyConnected:
    """Every node joined with every other one, both ways.

    For each i, for each j != i: ``repeat[0]`` edges (i, j), then ``repeat[1]`` edges (j, i). So
    every ordered pair occurs ``repeat[0] + repeat[1]`` times.

    Args:
        num_node: how many nodes, ground counted where it is included.
        include_gnd: nodes ``0..num_node-1``; else ``1..num_node``.
        repeat: edges out and edges back.

    Raises:
        UsageError: an argument out of range.
    """

    name: ClassVar[str] = "fully_connected"

    num_node: int
    include_gnd: bool = True
    repeat: Sequence[int] = (1, 1)

    def __post_init__(self) -> None:
        _at_least(0, num_node=self.num_node, **_counts(self.repeat))

    @property
    def count(self) -> int:
        """How many edges it makes."""
        return self.num_node * max(self.num_node - 1, 0) * (self.repeat[0] + self.repeat[1])

    def edges(self) -> Edges:
        """The edges (see ``Topology``)."""
        _check(self.count, self.num_node)
        first = np.int32(0 if self.include_gnd else 1)
        others = max(self.num_node - 1, 0)
        i = np.repeat(np.arange(self.num_node, dtype=np.int32), others)
        j = np.tile(np.arange(others, dtype=np.int32), self.num_node)
        j += j >= i
        return _both_ways(i + first, j + first, self.repeat)


@dataclass(frozen=True)
class Chain:
    """Every node joined with the next: ``repeat[0]`` edges (i, i+1) for each i.

    Args:
        num_node: how many nodes have a successor; the chain ends one node later.
        include_gnd: i in ``0..num_node-1``; else ``1..num_node``.
        repeat: its first number alone counts.

    Raises:
        UsageError: an argument out of range.
    """

    name: ClassVar[str] = "chain"

    num_node: int
    include_gnd: bool = True
    repeat: Sequence[int] = (1, 1)

    def __post_init__(self) -> None:
        _at_least(0, num_node=self.num_node, **_counts(self.repeat))

    @property
    def count(self) -> int:
        """How many edges it makes."""
        return self.num_node * self.repeat[0]

    def edges(self) -> Edges:
        """The edges (see ``Topology``)."""
        _check(self.count, self.num_node + 1)
        first = 0 if self.include_gnd else 1
        node = np.arange(first, first + self.num_node, dtype=np.int32)
        src = np.repeat(node, self.repeat[0])
        return src, src + np.int32(1)


@dataclass(frozen=True)
class Neighbourhood:
    """All pixels that share a square window joined with each other, window by window.

    Pixels are numbered from 1 in C order of a ``(num_channel, width, height)`` array. For every
    window (all channels, stride 1, in C order), for each of its pixels j, for each other one k:
    ``repeat`` edges (j, k). A pair that shares several windows gets that many edges.

    Args:
        num_channel: channels of the image.
        width: its first axis.
        height: its second axis.
        neighbor_size: side of the window.
        padding: let windows reach over the border by ``neighbor_size - 1``.
        repeat: edges per ordered pair and window.
        parallel: copies of the graph on further nodes. Each step doubles what is there, as the
            published generator does: step p adds a copy of everything p images further on, so
            that 2 gives two copies, 3 gives four, and 4 gives eight (of which two coincide).
        sharing: edges between the same two positions of the window (channels are part of the
            position, a window cut by the border keeps those it has) share their parameters in all
            windows; each of the ``repeat`` edges with its like, and each copy for itself.

    Raises:
        UsageError: an argument out of range, or a window larger than the image.
    """

    name: ClassVar[str] = "neighbourhood"

    num_channel: int
    width: int
    height: int
    neighbor_size: int
    padding: bool = False
    repeat: int = 1
    parallel: int = 1
    sharing: bool = False

    def __post_init__(self) -> None:
        sizes = ("num_channel", "width", "height", "neighbor_size", "repeat", "parallel")
        _at_least(1, **{name: getattr(self, name) for name in sizes})
        if self.parallel > _PARALLEL_LIMIT:
            raise UsageError(f"parallel is {self.parallel}", hint=f"at most {_PARALLEL_LIMIT}")
        if not self.padding and self.neighbor_size > min(self.width, self.height):
            raise UsageError(
                f"neighbor_size {self.neighbor_size} is larger than the {self.width} x "
                f"{self.height} image",
                hint="choose a smaller window, or padding",
            )

    @property
    def pixels(self) -> int:
        """How many nodes one image has."""
        return self.num_channel * self.width * self.height

    @property
    def last(self) -> int:
        """The highest node of all copies."""
        return self.pixels * (1 + self.parallel * (self.parallel - 1) // 2)

    @property
    def count(self) -> int:
        """How many edges it makes."""
        # A window of n = c*y*x pixels has n*(n-1) pairs; both sums over windows factor by axis.
        lines = [overlaps(n, self.neighbor_size, self.padding) for n in (self.width, self.height)]
        linear = self.num_channel * lines[0][0] * lines[1][0]
        squared = self.num_channel**2 * lines[0][1] * lines[1][1]
        return (squared - linear) * self.repeat << (self.parallel - 1)

    def edges(self) -> Edges:
        """The edges (see ``Topology``)."""
        _check(self.count, self.last)
        seen = self._windows()
        src, dst = (np.repeat(seen.pixel[entry], self.repeat) for entry in seen.pairs())
        offsets = [0]
        for step in range(1, self.parallel):
            offsets += [offset + step for offset in offsets]
        shift = np.array(offsets, dtype=np.int32)[:, None] * np.int32(self.pixels)
        return (src + shift).ravel(), (dst + shift).ravel()

    def share(self) -> IndexArray | None:
        """Which column of parameters each edge uses, ``int32[E]``; None: nothing is shared.

        Columns are numbered from 0 without gaps.

        Raises:
            UsageError: there are more edges than can be numbered.
        """
        if not self.sharing:
            return None
        _check(self.count, self.last)
        seen = self._windows()
        one, other = (seen.position[entry] for entry in seen.pairs())
        # Positions that are too far apart for the image never meet: they get no column.
        _, pair = np.unique(one * self._positions + other, return_inverse=True)
        column = (pair[:, None] * self.repeat + np.arange(self.repeat)).ravel()
        kernels = np.arange(1 << (self.parallel - 1))[:, None]
        return (column + kernels * (column.max(initial=-1) + 1)).ravel().astype(np.int32)

    @property
    def _positions(self) -> int:
        return self.num_channel * self.neighbor_size**2

    def _windows(self) -> Windows:
        sizes = (self.num_channel, self.width, self.height, self.neighbor_size)
        return windows(*sizes, self.padding)


@dataclass(frozen=True)
class Mixed:
    """A neighbourhood graph whose nodes all join ground, and further nodes that join all of them.

    First the neighbourhood; then for every pixel node n ``repeat[0]`` edges (n, 0) and
    ``repeat[1]`` edges (0, n); then for every further node m, for every i from ground to the last
    pixel node, ``repeat[0]`` edges (i, m) and ``repeat[1]`` edges (m, i). Further nodes do not
    join each other.

    Args:
        num_channel: channels of the image.
        width: its first axis.
        height: its second axis.
        neighbor_size: side of the window.
        fully_connect_node: how many further nodes.
        repeat: edges out and edges back.
        padding: see ``Neighbourhood``.
        kernel_repeat: its ``repeat``.
        parallel: see ``Neighbourhood``.
        sharing: see ``Neighbourhood``; edges of ground and of further nodes never share.

    Raises:
        UsageError: an argument out of range, or a window larger than the image.
    """

    name: ClassVar[str] = "mixed"

    num_channel: int
    width: int
    height: int
    neighbor_size: int
    fully_connect_node: int
    repeat: Sequence[int] = (1, 0)
    padding: bool = False
    kernel_repeat: int = 1
    parallel: int = 1
    sharing: bool = False
    image: Neighbourhood = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _at_least(0, fully_connect_node=self.fully_connect_node, **_counts(self.repeat))
        image = Neighbourhood(
            self.num_channel, self.width, self.height, self.neighbor_size,
            self.padding, self.kernel_repeat, self.parallel, self.sharing,
        )  # fmt: skip
        if not image.count:
            raise UsageError("no pixel has a neighbour", hint="choose a larger window or image")
        object.__setattr__(self, "image", image)

    @property
    def count(self) -> int:
        """How many edges it makes."""
        last, further = self.image.last, self.fully_connect_node
        around = (last + further * (last + 1)) * (self.repeat[0] + self.repeat[1])
        return self.image.count + around

    def edges(self) -> Edges:
        """The edges (see ``Topology``)."""
        last = self.image.last
        _check(self.count, last + self.fully_connect_node)
        pixel = np.arange(last + 1, dtype=np.int32)
        # Without edges of their own further nodes are none, however many are asked for.
        joined = self.fully_connect_node if any(self.repeat[:2]) else 0
        further = np.arange(last + 1, last + 1 + joined, dtype=np.int32)
        parts = (
            self.image.edges(),
            _both_ways(pixel[1:], np.zeros(last, dtype=np.int32), self.repeat),
            _both_ways(np.tile(pixel, len(further)), np.repeat(further, last + 1), self.repeat),
        )
        return np.concatenate([src for src, _ in parts]), np.concatenate([dst for _, dst in parts])

    def share(self) -> IndexArray | None:
        """Which column of parameters each edge uses (see ``Neighbourhood.share``)."""
        kernel = self.image.share()
        if kernel is None:
            return None
        _check(self.count, self.image.last + self.fully_connect_node)
        first = int(kernel.max()) + 1
        around = np.arange(first, first + self.count - len(kernel), dtype=np.int32)
        return np.concatenate([kernel, around])


TOPOLOGIES: dict[str, type[Topology]] = {
    kind.name: kind for kind in (FullyConnected, Chain, Neighbourhood, Mixed)
}
"""The generators that make a network from a few numbers, by name."""


def describe(topology: Topology) -> dict[str, Any]:
    """The generator's name and arguments, for a checkpoint to keep."""
    arguments = (f.name for f in fields(cast(Any, topology)) if f.init)
    return {"name": topology.name, **{name: getattr(topology, name) for name in arguments}}


def share_of(topology: Topology) -> IndexArray | None:
    """Which column of parameters each edge uses, ``int32[E]``; None: each one its own.

    Raises:
        UsageError: there are more edges than can be numbered.
    """
    return topology.share() if isinstance(topology, Neighbourhood | Mixed) else None


def _both_ways(one: IndexArray, other: IndexArray, repeat: Sequence[int]) -> Edges:
    """For each pair ``repeat[0]`` edges one -> other, then ``repeat[1]`` edges other -> one."""
    out, back = repeat[0], repeat[1]
    src = np.empty((len(one), out + back), dtype=np.int32)
    dst = np.empty_like(src)
    src[:, :out], src[:, out:] = one[:, None], other[:, None]
    dst[:, :out], dst[:, out:] = other[:, None], one[:, None]
    return src.ravel(), dst.ravel()


def _counts(repeat: Sequence[int]) -> dict[str, int]:
    if len(repeat) < 2:
        raise UsageError(f"repeat has {len(repeat)} entries", hint="give two, as in [1, 1]")
    return {"repeat[0]": repeat[0], "repeat[1]": repeat[1]}


def _at_least(low: int, **arguments: int) -> None:
    for name, value in arguments.items():
        if value < low:
            raise UsageError(f"{name} is {value}", hint=f"give a whole number from {low}")


def _check(edges: int, nodes: int) -> None:
    if max(edges, nodes) > _INDEX_LIMIT:
        raise UsageError(f"{nodes} nodes and {edges} edges are more than can be numbered")
