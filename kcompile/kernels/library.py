"""The compiled library: where it lies, what it can do on this processor."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from kcompile.errors import UsageError

VARIABLE = "KCOMPILE_KERNEL"
"""Environment variable that names the suite to run; otherwise the widest runs.

Or it says ``none``: plain numpy and torch everywhere. Or ``triton``: networks run through Triton's
kernels even on the CPU, in Triton's interpreter (``TRITON_INTERPRET=1``), which is for tests.
Without it, networks on a GPU run through Triton where that is installed.
"""

TRITON = "triton"
"""That value; nothing else that is compiled runs then."""

_LIBRARY = "libkcompile_kernels"
_ENTRY = "kcompile_suite_2"
"""What gives its suites (native/dispatch.cpp)."""

_REALS = (np.float32, np.float64)


class BatchArgument(ctypes.Structure):
    """``Batch`` of native/layer.h."""

    _fields_ = (
        ("edges", ctypes.c_int64),
        ("phi", ctypes.c_int32),
        ("steps", ctypes.c_int32 * 4),
        ("src", ctypes.c_void_p),
        ("dst", ctypes.c_void_p),
        ("coefficients", ctypes.c_void_p * 4),
        ("gradients", ctypes.c_void_p * 4),
    )


class LayerArgument(ctypes.Structure):
    """``Layer`` of native/layer.h."""

    _fields_ = (
        ("nodes", ctypes.c_int32),
        ("batches", ctypes.c_int32),
        ("batch", ctypes.POINTER(BatchArgument)),
        ("conductance", ctypes.c_void_p),
    )


class RangeArgument(ctypes.Structure):
    """``Range`` of native/layer.h."""

    _fields_ = (
        ("samples", ctypes.c_int64),
        ("begin", ctypes.c_int64),
        ("end", ctypes.c_int64),
    )


_LAYER, _RANGE = ctypes.POINTER(LayerArgument), ctypes.POINTER(RangeArgument)
_ARRAY, _STEPS, _REAL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
_STATUS = ctypes.c_int32
_DERIVATIVE = ctypes.CFUNCTYPE(_STATUS, _LAYER, _RANGE, _ARRAY, _ARRAY, _ARRAY)
_PULLBACK = ctypes.CFUNCTYPE(_STATUS, _LAYER, _RANGE, _ARRAY, _ARRAY, _ARRAY, _ARRAY)
_RK4 = ctypes.CFUNCTYPE(_STATUS, _LAYER, _RANGE, _STEPS, _REAL, _ARRAY, _ARRAY, _ARRAY)


class _SuiteResult(ctypes.Structure):
    """``Suite`` of native/layer.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("derivative", _DERIVATIVE),
        ("pullback", _PULLBACK),
        ("rk4", _RK4),
        ("rk4_pullback", _RK4),
    )


@dataclass(frozen=True, eq=False)
class Suite:
    """The kernel's functions for one set of instructions and one real type.

    Args:
        name: ``baseline``, ``avx2`` or ``avx512``.
        derivative, pullback, rk4, rk4_pullback: as native/layer.h describes them; they give its
            ``Status``, 0 for DONE, and let other Python threads run.
    """

    name: str
    derivative: Callable[..., int]
    pullback: Callable[..., int]
    rk4: Callable[..., int]
    rk4_pullback: Callable[..., int]


def suites() -> tuple[str, ...]:
    """The suites that run on this processor, widest first; none where nothing was compiled."""
    return tuple(_suites(np.float64))


def chosen() -> str | None:
    """The suite that runs unless a caller names one; None: nothing compiled is used.

    Raises:
        UsageError: ``KCOMPILE_KERNEL`` names one that there is not.
    """
    found = suites()
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return found[0] if found else None
    if wanted in {"none", TRITON}:
        return None
    if wanted not in found:
        known = ", ".join((*found, "none", TRITON))
        raise UsageError(f"no kernel {wanted!r}", where=VARIABLE, hint=f"here run: {known}")
    return wanted


def suite(dtype: DTypeLike, name: str | None = None) -> Suite | None:
    """The functions for float32 or float64 arrays; None where nothing compiled is to be used.

    Args:
        dtype: of all arrays.
        name: a suite of ``suites()``; default: ``chosen()``.
    """
    name = name or chosen()
    return None if name is None else _suites(np.dtype(dtype).type)[name]


def failure() -> str | None:
    """Why the library that is there cannot be used; None where it can, or where there is none."""
    return _load()[1]


@lru_cache
def _suites(real: type[np.floating[Any]]) -> dict[str, Suite]:
    library, _ = _load()
    if library is None:
        return {}
    get = library[_ENTRY]
    get.restype = ctypes.POINTER(_SuiteResult)
    get.argtypes = (ctypes.c_int, ctypes.c_int)
    found: dict[str, Suite] = {}
    while result := get(len(found), _REALS.index(real)):
        entry = result.contents
        name = entry.name.decode()
        functions = (getattr(entry, n) for n in ("derivative", "pullback", "rk4", "rk4_pullback"))
        found[name] = Suite(name, *functions)
    return found


@lru_cache
def _load() -> tuple[ctypes.CDLL | None, str | None]:
    """The library, and why it cannot be used; neither where there was no compiler to build it.

    An editable install keeps it in site-packages, away from the Python files, so it is looked for
    along the package's path.
    """
    from kcompile import kernels

    for folder in kernels.__path__:
        for suffix in (".so", ".dylib"):
            path = Path(folder, _LIBRARY + suffix)
            if path.is_file():
                try:
                    found = ctypes.CDLL(str(path))
                except OSError as error:  # it is for another system, or lacks another
                    said = str(error).removeprefix(f"{path}: ")
                    return None, f"{path} cannot be loaded: {said}"
                if not hasattr(found, _ENTRY):
                    return None, f"{path} is of another version of kcompile"
                return found, None
    return None, None
