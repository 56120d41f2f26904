"""How many cores the network may use."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

import torch

VARIABLE = "KCOMPILE_THREADS"
"""Environment variable: at most so many threads of the compiled kernel."""


@contextmanager
def one_thread() -> Generator[None]:
    """One torch thread inside the block: small networks are slower on more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def workers() -> int:
    """Threads that share the samples of large layers: the cores that this process may use.

    ``KCOMPILE_THREADS`` limits them. Results do not depend on it.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    limit = os.environ.get(VARIABLE, "")
    return max(1, min(cores, int(limit))) if limit.isdecimal() else cores
