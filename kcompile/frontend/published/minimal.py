"""The authors' minimal example: edges saved with the parameters, and no config."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import CheckpointError, UsageError
from kcompile.frontend.published.parameters import check_parameters
from kcompile.frontend.records import NODE_LIMIT, BatchRecord, Checkpoint, PhaseRecord
from kcompile.frontend.torch_file import State
from kcompile.ir import LAWS, Phi

MINIMAL_LAWS = tuple(f"{phi}_{form}" for form in ("diff", "affine") for phi in Phi)
"""The laws of the minimal example, ``act(p0*(vs-vd) + p1)`` and ``act(p0*vs + p1*vd + p2)``."""

_KEYS = ("src_node", "des_node", "model.param")


def is_minimal(state: State) -> bool:
    """Whether a state_dict is one of the minimal example."""
    return set(_KEYS) <= state.keys()


def minimal_checkpoint(state: State, law: str | None, duration: float | None) -> Checkpoint:
    """The network of a minimal example: one layer, every node given and read out.

    Args:
        state: its state_dict.
        law: one of ``MINIMAL_LAWS``; the file does not say.
        duration: software time units; the file does not say.

    Raises:
        UsageError: law or duration is not given or not possible.
        CheckpointError: the state_dict contradicts itself.
    """
    if law not in MINIMAL_LAWS:
        said = "which is not given" if law is None else f"not {law!r}"
        raise UsageError(
            f"this file does not say its device law, {said}",
            hint=f"give --law, one of {', '.join(MINIMAL_LAWS)}",
        )
    if duration is None or not (math.isfinite(duration) and duration > 0.0):
        said = "which is not given" if duration is None else f"not {duration!r}"
        raise UsageError(
            f"this file does not say how long it runs, {said}",
            hint="give --duration, a positive number",
        )
    for name in state:
        if name not in _KEYS:
            raise CheckpointError(f"it holds {name:.60} beside the minimal example's tensors")
    params = state["model.param"]
    check_parameters("model.param", params, LAWS[law].rows, law)
    src, dst = (_ends(name, state[name], params.shape[1]) for name in _KEYS[:2])
    nodes = int(max(src.max(), dst.max()))
    if nodes < 1:
        raise CheckpointError("all its edges join ground with itself")
    batch = BatchRecord(law, src, dst, params)
    outputs = np.arange(1, nodes + 1, dtype=np.int32)
    return Checkpoint((PhaseRecord(nodes, float(duration), (batch,)),), nodes, outputs)


def _ends(name: str, values: NDArray[Any], edges: int) -> NDArray[np.int32]:
    if values.dtype.kind != "i" or values.shape != (edges,):
        raise CheckpointError(
            f"{name} is {values.dtype} {list(values.shape)}, not one node for each of {edges} edges"
        )
    if not edges:
        raise CheckpointError("it has no edge")
    bad = np.flatnonzero((values < 0) | (values > NODE_LIMIT))
    if bad.size:
        raise CheckpointError(f"{name} of edge {bad[0]} is {values[bad[0]]}")
    return values.astype(np.int32)
