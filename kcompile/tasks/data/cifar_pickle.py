"""Reading CIFAR-10's pickles without running anything in them.

Such a file holds a dictionary of lists, texts and one numpy array. The few names that it may ask
for are answered with recorders that keep what they are given and call nothing, neither numpy nor a
codec; any other name ends the reading. The recorders are made anew for every file, so that no file
can leave a change in them behind.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import DataError
from kcompile.tasks.data.labelled import Labels, Pixels

_SIZE_LIMIT = 1 << 26
_BYTE_TYPES = ("u1", "uint8", b"u1", b"uint8")
_NUMBERING = ("PUT", "BINPUT", "LONG_BINPUT")
_HINT = "expected a batch of cifar-10-python.tar.gz as it was published"


class _Refused(Exception):
    """The pickle asks for a name that no batch needs."""


class _Recorders:
    """Stand-ins for what a batch's pickle may name, for one file."""

    def __init__(self) -> None:
        class Recorder:
            """Keeps its arguments and its state; a pickle may make one without arguments."""

            arguments: tuple[object, ...] = ()
            state: object = None

            def __init__(self, *arguments: object) -> None:
                self.arguments = arguments

            def __setstate__(self, state: object) -> None:
                self.state = state

        class Array(Recorder):
            """Stands for a numpy array."""

        class Kind(Recorder):
            """Stands for a numpy dtype."""

        class Text(Recorder):
            """Stands for bytes that Python 3 wrote in an old protocol, as text and codec."""

        self.array: type[Any] = Array
        self.kind: type[Any] = Kind
        self.text: type[Any] = Text
        self.by_name: dict[tuple[str, str], type[Any]] = {
            ("numpy.core.multiarray", "_reconstruct"): Array,
            ("numpy._core.multiarray", "_reconstruct"): Array,
            ("numpy", "ndarray"): Recorder,
            ("numpy", "dtype"): Kind,
            ("_codecs", "encode"): Text,
        }

    def bytes_of(self, value: object) -> bytes | None:
        """The bytes that a value of the pickle stands for, or None."""
        if isinstance(value, self.text):
            text, *codec = cast(Any, value).arguments or ("",)
            if not isinstance(text, str) or codec != ["latin1"]:
                return None
            value = text
        if isinstance(value, str):
            try:
                return value.encode("latin1")
            except UnicodeEncodeError:
                return None
        return value if isinstance(value, bytes) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, recorders: _Recorders) -> None:
        # Texts of Python 2 are bytes.
        super().__init__(io.BytesIO(content), fix_imports=False, encoding="bytes")
        self._recorders = recorders

    def find_class(self, module: str, name: str) -> Any:
        """The recorder of a name."""
        found = self._recorders.by_name.get((module, name))
        if found is None:
            raise _Refused(f"{module}.{name}")
        return found

    def persistent_load(self, pid: object) -> Any:
        """Nothing: no batch refers to anything outside."""
        raise _Refused("something outside")


def read_batch(content: bytes, where: Path) -> tuple[Pixels, Labels]:
    """The pixels and classes in a pickled batch.

    Args:
        content: of the file.
        where: what errors call it.

    Returns:
        ``uint8[S, P]`` and ``int64[S]``.

    Raises:
        DataError: it is cut, holds something else, or names anything but an array of bytes.
    """
    if len(content) > _SIZE_LIMIT:
        raise DataError(f"{len(content)} bytes are too many for a batch", where=where)
    recorders = _Recorders()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _check_numbering(content)
            value: object = _Unpickler(content, recorders).load()
    except _Refused as error:
        raise DataError(
            f"asks for {error!s:.80}, which a batch has no use for; nothing was run",
            where=where,
            hint=_HINT,
        ) from error
    except (
        pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError,
        AttributeError, OverflowError, MemoryError, ImportError, RecursionError,
    ) as error:  # fmt: skip
        raise DataError("is not a whole pickle", where=where, hint=_HINT) from error
    if not isinstance(value, dict):
        raise _foreign(where)
    entries = {recorders.bytes_of(key): item for key, item in cast(Any, value).items()}
    return _pixels(entries.get(b"data"), recorders, where), _labels(entries.get(b"labels"), where)


def _check_numbering(content: bytes) -> None:
    """Refuses numbers that are larger than a pickle of its length can use.

    The unpickler keeps a place for every number up to the largest: a few bytes would fill the
    memory.

    Raises:
        UnpicklingError: there is such a number.
        ValueError: it is cut.
    """
    for operation, argument, _ in pickletools.genops(content):
        if operation.name in _NUMBERING and int(argument or 0) > len(content):
            raise pickle.UnpicklingError


def _pixels(value: object, recorders: _Recorders, where: Path) -> Pixels:
    """The array that was recorded: version, shape, dtype, order, bytes."""
    state: Any = cast(Any, value).state if isinstance(value, recorders.array) else None
    if not isinstance(state, tuple) or len(cast(Any, state)) != 5:
        raise _foreign(where)
    _, shape, kind, fortran, content = cast(tuple[Any, Any, Any, Any, Any], state)
    name = kind.arguments[:1] if isinstance(kind, recorders.kind) else ()
    raw = recorders.bytes_of(content)
    if not name or name[0] not in _BYTE_TYPES or fortran is True or raw is None:
        raise _foreign(where)
    try:
        return np.frombuffer(raw, dtype=np.uint8).reshape(_shape(shape))
    except ValueError as error:
        raise _foreign(where) from error


def _shape(value: object) -> tuple[int, ...]:
    sizes = cast(tuple[object, ...], value) if isinstance(value, tuple) else ()
    if not sizes or not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError
    return cast(tuple[int, ...], sizes)


def _labels(value: object, where: Path) -> Labels:
    items = cast(list[object], value) if isinstance(value, list) else None
    # A bool is an int, and a long one fits nowhere.
    if items is None or not all(type(item) is int and 0 <= item < 256 for item in items):
        raise _foreign(where)
    found: NDArray[np.int64] = np.array(items, dtype=np.int64)
    return found


def _foreign(where: Path) -> DataError:
    return DataError("is a pickle, but holds no batch of images", where=where, hint=_HINT)
