"""Reading what ``torch.save`` wrote, as numpy arrays, without running anything in it.

A file must be a sane archive (stored, not compressed, no larger unpacked than it is), its pickle
may name nothing but tensors and their containers, and torch reads it with ``weights_only``. The
first two are checked before torch is imported: a bomb or an intruder is named without it.
"""

from __future__ import annotations

import math
import pickle
import pickletools
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import CheckpointError, MissingExtra
from kcompile.files import require_file, storage_error

if TYPE_CHECKING:
    import torch

State = dict[str, NDArray[Any]]
"""Arrays by name: ``float32``, ``float64`` or ``int64``."""

_PICKLE_LIMIT = 1 << 24
_AGAIN = "save it again with torch.save(net.state_dict(), path)"

# Whatever a state_dict of plain tensors is made of. ``weights_only`` lets more pass (bytearray of
# any length, sparse and quantised tensors), none of which such a file needs.
_ALLOWED = frozenset(
    {
        "collections OrderedDict",
        "torch._utils _rebuild_parameter",
        "torch._utils _rebuild_tensor_v2",
        *(
            f"torch {kind}Storage"
            for kind in ("BFloat16", "Double", "Float", "Half", "Int", "Long", "Short")
        ),
    }
)


# Whatever brings a name of code into a pickle.
_CALLING = frozenset({"GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"})


def is_zip(head: bytes) -> bool:
    """Whether a file that begins with ``head`` may be a torch archive."""
    return head.startswith(b"PK\x03\x04")


def read_state(path: Path) -> State:
    """The tensors of a state_dict.

    Raises:
        CheckpointError: it is cut, compressed, holds anything but plain tensors by name, or
            names code.
        MissingExtra: torch is not installed.
        UsageError, StorageError: it is not there or cannot be read.
    """
    require_file(path)
    try:
        size = path.stat().st_size
        # What is odd enough to be warned of is refused; a reader's terminal is not for it.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _check_pickle(_pickle_of(path, size))
            return _plain(_torch_load(path), size)
    except OSError as error:
        raise storage_error(error, path) from error


def _pickle_of(path: Path, size: int) -> bytes:
    """The archive's pickle, once the archive is known to be a sane one."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            pickles = [entry for entry in entries if entry.filename.split("/")[1:] == ["data.pkl"]]
            script = any(name.endswith("/constants.pkl") for name in names)
            if len(pickles) != 1 or len(set(names)) != len(names) or script:
                raise CheckpointError("an archive, but not one that torch.save wrote", hint=_AGAIN)
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            if packed or sum(entry.file_size for entry in entries) > size:
                raise CheckpointError(
                    "a packed archive, or one that unpacks to more than it is, "
                    "neither of which torch.save writes",
                    hint=_AGAIN,
                )
            if pickles[0].file_size > _PICKLE_LIMIT:
                raise CheckpointError("its description is too large for a network", hint=_AGAIN)
            return archive.read(pickles[0])
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        raise CheckpointError(
            "not a whole archive", hint="it may be cut: copy or download it again"
        ) from error


def _check_pickle(content: bytes) -> None:
    """Refuses a pickle that names anything a state_dict of tensors has no use for."""
    protocol, texts = 2, ["", ""]
    try:
        for operation, argument, _ in pickletools.genops(content):
            if operation.name == "PROTO" and argument != 2:
                protocol = argument
            elif operation.name in _CALLING and argument not in _ALLOWED:
                called = ".".join(texts) if argument is None else str(argument)
                raise CheckpointError(
                    f"it asks for {called.replace(' ', '.'):.80}, which a state_dict of tensors "
                    "has no use for; nothing was run",
                    hint=_AGAIN,
                )
            elif isinstance(argument, str):
                texts = [texts[1], argument]
    except (ValueError, EOFError) as error:
        raise CheckpointError("its description cannot be read", hint=_AGAIN) from error
    if protocol != 2:
        raise CheckpointError(f"pickle protocol {protocol}, torch writes 2", hint=_AGAIN)


def _torch_load(path: Path) -> object:
    try:
        import torch
    except ImportError as error:
        raise MissingExtra(
            "reading a torch file needs torch", where=path, hint="pip install 'kcompile[torch]'"
        ) from error
    try:
        # A stream: given a path, torch takes the suffix for the format.
        with path.open("rb") as stream:
            return cast(object, torch.load(stream, map_location="cpu", weights_only=True))
    except (
        pickle.UnpicklingError, RuntimeError, ValueError, TypeError, KeyError, IndexError,
        AttributeError, AssertionError, EOFError, MemoryError, OverflowError,
    ) as error:  # fmt: skip
        raise CheckpointError("torch cannot read it", hint=_AGAIN) from error


def _plain(state: object, size: int) -> State:
    import torch

    if not isinstance(state, dict):
        raise CheckpointError(f"it holds a {type(state).__name__}, not a state_dict", hint=_AGAIN)
    tensors: dict[str, torch.Tensor] = {}
    for name, value in cast(dict[object, object], state).items():
        if not isinstance(name, str) or type(value) not in (torch.Tensor, torch.nn.Parameter):
            raise CheckpointError(
                f"its entry {name!s:.60} is a {type(value).__name__}, not a tensor", hint=_AGAIN
            )
        tensors[name] = cast("torch.Tensor", value).detach()
    # Strides of zero make a large tensor out of one number.
    if sum(math.prod(t.shape) * t.element_size() for t in tensors.values()) > size:
        raise CheckpointError("its tensors are larger than the file", hint=_AGAIN)
    return {name: _array(name, tensor) for name, tensor in tensors.items()}


def _array(name: str, tensor: torch.Tensor) -> NDArray[Any]:
    import torch

    if tensor.is_floating_point():
        wide = tensor if tensor.dtype is torch.float64 else tensor.to(torch.float32)
    elif not tensor.is_complex() and tensor.dtype is not torch.bool:
        wide = tensor.to(torch.int64)
    else:
        raise CheckpointError(f"{name:.60} holds {tensor.dtype}, not numbers", hint=_AGAIN)
    return np.ascontiguousarray(wide.numpy())
