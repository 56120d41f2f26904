"""What must hold of a published parameter matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import CheckpointError


def check_parameters(name: str, params: NDArray[Any], rows: int, law: str) -> None:
    """Sees that the parameters are finite numbers in ``rows`` rows.

    Args:
        name: the key they are stored under.
        params: ``[P, E]``.
        rows: P, as the law wants it.
        law: its name.

    Raises:
        CheckpointError: they are not; it names the first edge at fault.
    """
    if params.dtype.kind != "f" or params.ndim != 2 or params.shape[0] != rows:
        raise CheckpointError(
            f"{name} is {params.dtype} {list(params.shape)}, law {law} takes float [{rows}, edges]",
            hint="is the law the one it was trained with?",
        )
    bad = np.argwhere(~np.isfinite(params))
    if bad.size:
        row, edge = bad[0]
        raise CheckpointError(
            f"{name}, row {row} of edge {edge}, is {params[row, edge]}",
            hint="training broke down: there is nothing to compile",
        )
