"""What a row template may name about an edge, in SI units, computed when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import GraphError
from kcompile.ir import EdgeBatch, FloatArray
from kcompile.lower.tables import PiecewiseLinear, groups, piecewise_linear
from kcompile.netlist import Column, Computed
from kcompile.units import Scale


class Columns(Mapping[str, Column]):
    """Named columns, of which nothing is kept: a deck is written some thousand rows at a time.

    Args:
        count: of rows.
        makers: by name, what gives a column's values in rows ``start .. stop-1``.
    """

    def __init__(self, count: int, makers: Mapping[str, Callable[[int, int], list[Any]]]) -> None:
        self._columns = {name: Computed(count, maker) for name, maker in makers.items()}

    def __getitem__(self, name: str) -> Column:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


class _Edges(NamedTuple):
    """Coefficients of some edges."""

    w: FloatArray
    a: FloatArray
    b: FloatArray
    c: FloatArray


def edge_columns(
    batch: EdgeBatch, names: Sequence[str], ids: Sequence[str], scale: Scale, weight: float = 1.0
) -> Columns:
    """Columns of single edges ``weight * w * phi(a*v_src + b*v_dst + c)``.

    ========  ==========================================================================
    ``e``     the element's id: the number of its checkpoint edge
    ``s, d``  source and destination node
    ``p, q``  terminals between which the current flows out of p, into q: s and d, or d
              and s where w is negative
    ``x, y``  controlling nodes of a diff edge: s and d, or d and s where a is negative
    ``w, aw`` A, signed, and its absolute value
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
    src, dst = batch.src, batch.dst
    per_volt = scale.i0 / scale.v0

    def ends(
        own: NDArray[Any], other: NDArray[Any], by: NDArray[Any] | None = None
    ) -> Callable[[int, int], list[str]]:
        """Names of the nodes ``own``, or of ``other`` where ``by`` is negative."""

        def make(start: int, stop: int) -> list[str]:
            found = own[start:stop]
            if by is not None:
                found = np.where(by[start:stop] * weight < 0, other[start:stop], found)
            return [names[node] for node in cast(list[int], found.tolist())]

        return make

    def numbers(formula: Callable[[_Edges], Any]) -> Callable[[int, int], list[float]]:
        """Values of a formula of the edges' coefficients."""

        def make(start: int, stop: int) -> list[float]:
            # What overflows is an error of its own, not a warning.
            with np.errstate(all="ignore"):
                rows = slice(start, stop)
                values = formula(_Edges(w[rows] * weight, a[rows], b[rows], c[rows]))
            return _plain(values, lambda row: ids[start + row])

        return make

    return Columns(
        len(batch),
        {
            "e": lambda start, stop: list(ids[start:stop]),
            "s": ends(src, dst),
            "d": ends(dst, src),
            "p": ends(src, dst, w),
            "q": ends(dst, src, w),
            "x": ends(src, dst, a),
            "y": ends(dst, src, a),
            "w": numbers(lambda k: k.w * scale.i0),
            "aw": numbers(lambda k: np.abs(k.w) * scale.i0),
            "a": numbers(lambda k: k.a / scale.v0),
            "b": numbers(lambda k: k.b / scale.v0),
            "c": numbers(lambda k: k.c),
            "g": numbers(lambda k: np.abs(k.w * k.a) * per_volt),
            "ga": numbers(lambda k: np.abs(k.w) * k.a * per_volt),
            "gb": numbers(lambda k: np.abs(k.w) * k.b * per_volt),
            "i": numbers(lambda k: np.abs(k.w) * k.c * scale.i0),
            "r": numbers(lambda k: 1.0 / (np.abs(k.w * k.a) * per_volt)),
            "vt": numbers(lambda k: -k.c / np.abs(k.a) * scale.v0),
        },
    )


def group_ends(batch: EdgeBatch, start: int, stop: int) -> list[tuple[int, int]]:
    """The higher and the lower node of the groups ``start .. stop-1``."""
    assert batch.group_ptr is not None
    first = batch.group_ptr[start:stop]
    src, dst = batch.src[first], batch.dst[first]
    return list(zip(np.maximum(src, dst).tolist(), np.minimum(src, dst).tolist(), strict=True))


def group_names(batch: EdgeBatch, prefix: str) -> Computed[str]:
    """Names of a batch's groups after their nodes, ``<prefix>_<high>_<low>``."""

    def make(start: int, stop: int) -> list[str]:
        return [f"{prefix}_{high}_{low}" for high, low in group_ends(batch, start, stop)]

    assert batch.group_ptr is not None
    return Computed(len(batch.group_ptr) - 1, make)


def table_columns(
    batch: EdgeBatch, names: Sequence[str], ids: Sequence[str], scale: Scale
) -> Columns:
    """Columns of grouped edges, each group one piecewise-linear function of v(p) - v(q).

    ==========  ==================================================================
    ``e``       the element's id
    ``p, q``    the pair of nodes; the current flows out of p, into q
    ``points``  the table ``x0,y0, x1,y1, ...`` in volts and amperes, ascending
    ==========  ==================================================================
    """

    def points(start: int, stop: int) -> list[str]:
        # What overflows is an error of its own, not a warning.
        with np.errstate(all="ignore"):
            table = piecewise_linear(groups(batch, start, stop))
            x, y = table.x * scale.v0, table.y * scale.i0

        def name(point: int) -> str:
            return ids[start + int(np.searchsorted(table.ptr, point, side="right")) - 1]

        x, y = _plain(x, name), _plain(y, name)
        values, form = tuple(chain.from_iterable(zip(x, y, strict=True))), _forms(table)
        return (form % values).split("\n") if form else []

    assert batch.group_ptr is not None
    return Columns(
        len(batch.group_ptr) - 1,
        {
            "e": lambda start, stop: list(ids[start:stop]),
            "p": lambda start, stop: [names[high] for high, _ in group_ends(batch, start, stop)],
            "q": lambda start, stop: [names[low] for _, low in group_ends(batch, start, stop)],
            "points": points,
        },
    )


def _forms(table: PiecewiseLinear) -> str:
    """A line a table, with two places a point."""
    sizes = np.diff(table.ptr).tolist()
    known = {size: ", ".join(["%r,%r"] * size) for size in set(sizes)}
    return "\n".join([known[size] for size in sizes])


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
