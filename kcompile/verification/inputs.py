"""The samples that a network is judged on: from a file, from the checkpoint, or drawn."""

from __future__ import annotations

import io
import tokenize
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import DataMissing, InputError, MissingExtra, UsageError
from kcompile.files import read_bytes
from kcompile.frontend.model import Model
from kcompile.ir import FloatArray
from kcompile.tasks import TASKS, first_samples
from kcompile.tasks.registry import PUBLISHED_NAMES

DEFAULT_SAMPLES = 8
"""How many samples are judged where nobody says, or fewer where the checkpoint carries fewer."""


def read_inputs(path: Path | str, model: Model) -> FloatArray:
    """The samples in a .npy or .npz file, ``float64[S, Nin]``.

    The format is sniffed; nothing in the file is executed. An .npz file holds one array, or one
    that is called ``inputs``.

    Args:
        path: the file; ``[Nin]`` or ``[S, Nin]`` numbers, software units.
        model: the network that will take them.

    Raises:
        InputError: the file is cut or foreign, or its samples do not fit the network.
        UsageError, StorageError: it is not there or cannot be read.
    """
    path = Path(path)
    content = read_bytes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns of headers that it then cannot read
            found: Any = np.load(io.BytesIO(content), allow_pickle=False)
            array = _member(found) if hasattr(found, "files") else found
    except InputError as error:
        error.where = str(path)
        raise
    except (
        ValueError, EOFError, KeyError, OSError, zipfile.BadZipFile, zlib.error, MemoryError,
        NotImplementedError, SyntaxError, TypeError, tokenize.TokenError,
    ) as error:  # fmt: skip
        raise InputError(
            "not a whole .npy or .npz file of numbers", where=path, hint="write it with numpy.save"
        ) from error
    return check_inputs(array, model, where=path)


def _member(archive: Any) -> NDArray[Any]:
    names: list[str] = list(archive.files)
    if "inputs" in names:
        return archive["inputs"]
    if len(names) != 1:
        raise InputError(
            f"it holds {len(names)} arrays, none of them called inputs",
            hint="store one array, or call it inputs",
        )
    return archive[names[0]]


def check_inputs(array: Any, model: Model, *, where: object = "inputs") -> FloatArray:
    """Samples as ``float64[S, Nin]``, once they are known to fit the network.

    Args:
        array: ``[Nin]`` or ``[S, Nin]``, real numbers, software units.
        model: the network that will take them.
        where: what they are called in an error.

    Raises:
        InputError: no sample, another width, or a value that is no finite number.
    """
    values = np.asarray(array)
    width = model.input_width
    if values.dtype.kind not in "fiub":
        raise InputError(f"values of type {values.dtype}", where=where, hint="give real numbers")
    values = values.astype(np.float64)
    values = values[None] if values.ndim == 1 else values
    if values.ndim != 2 or values.shape[1] != width or not len(values):
        raise InputError(
            f"an array of shape {list(np.shape(array))}",
            where=where,
            hint=f"this network takes [{width}] or [samples, {width}]",
        )
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        sample, column = bad[0].tolist()
        raise InputError(
            f"value {column} of sample {sample} is {float(values[sample, column])!r}",
            where=where,
            hint="clean the data",
        )
    return values


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """The samples that a network is judged on.

    Args:
        inputs: ``float64[S, Nin]``.
        targets: what the answers should be, where that is known.
        note: where they come from, for people.
    """

    inputs: FloatArray
    targets: NDArray[Any] | None
    note: str


def default_inputs(model: Model, samples: int | None = None, seed: int = 0) -> FloatArray:
    """The samples that a network is judged on when nobody names any, ``float64[S, Nin]``.

    As ``choose_inputs`` with none given.
    """
    return choose_inputs(model, None, samples, seed).inputs


def choose_inputs(
    model: Model,
    given: Any | None,
    samples: int | None = None,
    seed: int = 0,
    data: Path | None = None,
) -> Chosen:
    """The samples to judge a network on, with their targets where these are known.

    Without ``given``: the first of the task's test split; standard normal draws for generative
    tasks (the first rows do not depend on how many are drawn); else one sample of zeros, for more
    of them would tell nothing more.

    Args:
        model: the network.
        given: ``[Nin]`` or ``[S, Nin]``, or None.
        samples: how many (of those given, the first ones); None: all that are given, else 8, or
            as many as the checkpoint carries.
        seed: of the draws.
        data: a folder with the task's data, instead of what the checkpoint carries.

    Raises:
        InputError: those given do not fit the network.
        UsageError: less than one is asked for, or more than there are; or a folder is named where
            no data is read.
        DataMissing: so many want the task's data, which are not there.
        MissingExtra: the task's data wants a package that is not installed.
    """
    if samples is not None and samples < 1:
        raise UsageError(f"{samples} samples", where="--samples", hint="ask for one or more")
    if data is not None:
        _check_data(model, given)
    carried = model.samples
    if given is not None:
        inputs = check_inputs(given, model)
        if samples is not None and samples > len(inputs):
            raise UsageError(
                f"{samples} samples of {len(inputs)}", where="--samples", hint="ask for fewer"
            )
        inputs = inputs[:samples]
        count = len(inputs)
        same = carried is not None and np.array_equal(carried.inputs[:count], inputs)
        targets = carried.targets[:count] if same and carried is not None else None
        return Chosen(inputs, targets, "inputs as given")
    count = DEFAULT_SAMPLES if samples is None else samples
    if model.generative:
        draws = np.random.default_rng(seed).standard_normal((count, model.input_width))
        return Chosen(draws, None, f"inputs: standard normal draws, seed {seed}")
    if carried is not None and samples is None and data is None:
        count = min(count, len(carried))
    missing = "there are no test samples; give some with --inputs"
    try:
        found = first_samples(model, count, data)
    except (DataMissing, MissingExtra) as error:
        if samples is not None or data is not None:
            raise
        found, missing = None, str(error)
    if found is not None:
        note = f"inputs: the first test samples of {model.task or 'the checkpoint'}"
        return Chosen(check_inputs(found.inputs, model), found.targets, note)
    if carried is not None:
        raise UsageError(
            f"{count} samples, the checkpoint carries {len(carried)}",
            where="--samples",
            hint="ask for fewer, or give your own with --inputs",
        )
    note = f"inputs: 0 V only, for {missing}"
    return Chosen(np.zeros((1, model.input_width)), None, note)


def _check_data(model: Model, given: Any | None) -> None:
    """Refuses a folder of data that nobody would look into."""
    if given is not None:
        raise UsageError("--data and --inputs exclude each other", hint="give one of them")
    if model.generative:
        raise UsageError(
            f"{model.task} starts from draws", where="--data", hint="leave it out"
        )  # fmt: skip
    if PUBLISHED_NAMES.get(model.task or "", model.task) not in TASKS:
        raise UsageError(
            "no known task says what the network takes of the data", where="--data",
            hint="give samples with --inputs",
        )  # fmt: skip
