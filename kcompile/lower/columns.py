"""What a row template may name about an edge, in SI units, computed when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import GraphError
from kcompile.ir import EdgeBatch
from kcompile.lower.tables import PiecewiseLinear
from kcompile.netlist import Column
from kcompile.units import Scale


class Columns(Mapping[str, Column]):
    """Named columns, each computed once, on first use."""

    def __init__(self, makers: Mapping[str, Callable[[], Column]]) -> None:
        self._makers = makers
        self._made: dict[str, Column] = {}

    def __getitem__(self, name: str) -> Column:
        if name not in self._made:
            # What overflows is an error of its own, not a warning.
            with np.errstate(all="ignore"):
                self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def edge_columns(
    batch: EdgeBatch, names: list[str], ids: list[str], scale: Scale, weight: float = 1.0
) -> Columns:
    """Columns of single edges ``weight * w * phi(a*v_src + b*v_dst + c)``.

    ========  ==========================================================================
    ``e``     the element's id: the number of its checkpoint edge
    ``s, d``  source and destination node
    ``p, q``  terminals between which the current flows out of p, into q: s and d, or d
              and s where w is negative
    ``x, y``  controlling nodes of a diff edge: s and d, or d and s where a is negative
    ``w``     A, signed
    ``a, b``  1/V, signed
    ``c``     the constant in the argument
    ``g``     S, transconductance ``|w*a|`` of a diff edge, from (x, y) to (p, q)
    ``ga,gb`` S, signed transconductances ``|w|*a``, ``|w|*b`` from s and d to (p, q)
    ``i``     A, constant ``|w|*c`` from p to q
    ``r``     ohm, ``1/g``
    ``vt``    V, threshold: a diff edge's argument is positive where v(x) - v(y) > vt
    ========  ==========================================================================
    """
    w, a, b, c = (batch.column(name) for name in "wabc")
    w = w * weight
    src, dst = batch.src, batch.dst

    def nodes(which: NDArray[Any]) -> list[str]:
        return [names[node] for node in which.tolist()]

    def plain(values: NDArray[Any]) -> list[float]:
        return _plain(values, lambda row: ids[row])

    per_volt = scale.i0 / scale.v0
    return Columns(
        {
            "e": lambda: ids,
            "s": lambda: nodes(src),
            "d": lambda: nodes(dst),
            "p": lambda: nodes(np.where(w < 0, dst, src)),
            "q": lambda: nodes(np.where(w < 0, src, dst)),
            "x": lambda: nodes(np.where(a < 0, dst, src)),
            "y": lambda: nodes(np.where(a < 0, src, dst)),
            "w": lambda: plain(w * scale.i0),
            "a": lambda: plain(a / scale.v0),
            "b": lambda: plain(b / scale.v0),
            "c": lambda: plain(c),
            "g": lambda: plain(np.abs(w * a) * per_volt),
            "ga": lambda: plain(np.abs(w) * a * per_volt),
            "gb": lambda: plain(np.abs(w) * b * per_volt),
            "i": lambda: plain(np.abs(w) * c * scale.i0),
            "r": lambda: plain(1.0 / (np.abs(w * a) * per_volt)),
            "vt": lambda: plain(-c / np.abs(a) * scale.v0),
        }
    )


def table_columns(
    table: PiecewiseLinear, names: list[str], ids: list[str], scale: Scale
) -> Columns:
    """Columns of grouped edges, each group one piecewise-linear function of v(p) - v(q).

    ==========  ==================================================================
    ``e``       the element's id
    ``p, q``    the pair of nodes; the current flows out of p, into q
    ``points``  the table ``x0,y0, x1,y1, ...`` in volts and amperes, ascending
    ==========  ==================================================================
    """

    def nodes(which: NDArray[Any]) -> list[str]:
        return [names[node] for node in which.tolist()]

    def points() -> list[str]:
        def name(point: int) -> str:
            return ids[int(np.searchsorted(table.ptr, point, side="right")) - 1]

        x, y = _plain(table.x * scale.v0, name), _plain(table.y * scale.i0, name)
        pairs = [f"{u!r},{i!r}" for u, i in zip(x, y, strict=True)]
        ptr = table.ptr.tolist()
        return [", ".join(pairs[k:m]) for k, m in pairwise(ptr)]

    return Columns(
        {
            "e": lambda: ids,
            "p": lambda: nodes(table.high),
            "q": lambda: nodes(table.low),
            "points": points,
        }
    )


def _plain(values: NDArray[Any], name: Callable[[int], str]) -> list[float]:
    """The numbers for a deck, without -0.0; ``name`` gives the element behind an index.

    Raises:
        GraphError: one of them is beyond double precision.
    """
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise GraphError(
            f"element {name(int(bad[0]))} needs a number beyond double precision",
            hint="its parameters are too large or too small for the circuit's units",
        )
    return (values + 0.0).tolist()
