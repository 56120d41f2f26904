"""How many threads share the samples of a large layer."""

from __future__ import annotations

import os

from kcompile.errors import UsageError

THREADS = "KCOMPILE_THREADS"
"""Environment variable: at most so many threads of the compiled kernel."""


def workers() -> int:
    """Threads that share the samples of large layers: the cores that this process may use.

    ``KCOMPILE_THREADS`` limits them. Results do not depend on it.

    Raises:
        UsageError: the variable holds no whole number from 1.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    said = os.environ.get(THREADS)
    if not said:
        return cores
    try:
        limit = int(said)
    except ValueError:
        limit = 0
    if limit < 1:
        raise UsageError(
            f"{said[:20]!r} is no number of threads",
            where=THREADS,
            hint="name a whole number from 1, or unset it",
        )
    return min(cores, limit)
