"""Any file that holds a network, as a model: what it is its content says, never its name."""

from __future__ import annotations

from pathlib import Path

from kcompile.errors import CheckpointError, ConfigError, ContentError, GraphError, UsageError
from kcompile.files import is_file, require_file, storage_error
from kcompile.frontend import checkpoint
from kcompile.frontend.model import Model
from kcompile.frontend.torch_file import is_zip, read_state

_UNUSED = "the file says everything itself: {} was not read"


def load(
    path: Path | str,
    config: Path | str | None = None,
    law: str | None = None,
    duration: float | None = None,
) -> Model:
    """Reads a network: our own checkpoint, or one of the published forms.

    Args:
        path: the file.
        config: the ``config.yaml`` of a published network; by default the one beside it.
        law: device law of the authors' minimal example, whose file does not say it.
        duration: how long that one runs, software time units.

    Raises:
        CheckpointError: it is empty, cut, foreign, malicious, or contradicts itself.
        ConfigError: the config is bad.
        GraphError: the circuit it describes breaks one of a circuit's rules.
        MissingExtra: a torch file, and torch is not installed.
        UsageError, StorageError: it is not there, cannot be read, or an option does not fit.
    """
    path, config = Path(path), None if config is None else Path(config)
    if config is not None:
        require_file(config)
    head = _head(path)
    try:
        if checkpoint.is_checkpoint(head):
            _refuse_options(law, duration)
            notes = () if config is None else (_UNUSED.format(config),)
            return checkpoint.load(path).model(path, notes)
        if is_zip(head):
            return _torch_model(path, config, law, duration)
        raise _foreign(head)
    except (ContentError, UsageError) as error:
        # Whatever part it is about, a reader wants to know of which file.
        if error.where is None:
            error.where = str(path)
        elif isinstance(error, CheckpointError | GraphError) and error.where != str(path):
            error.where = f"{path}, {error.where}"
        raise


def _torch_model(path: Path, config: Path | None, law: str | None, duration: float | None) -> Model:
    from kcompile.frontend import published

    state = read_state(path)
    if published.is_minimal(state):
        notes = () if config is None else (_UNUSED.format(config),)
        return published.minimal_checkpoint(state, law, duration).model(path, notes)
    _refuse_options(law, duration)
    beside = path.with_name("config.yaml")
    if config is None and not is_file(beside):
        raise CheckpointError(
            "a state_dict alone does not say what the network is",
            hint="give --config with the config.yaml published with it",
        )
    config = config or beside
    try:
        found, notes = published.published_checkpoint(state, published.read_config(config))
    except ConfigError as error:
        error.where = error.where or str(config)
        raise
    return found.model(path, notes)


def _refuse_options(law: str | None, duration: float | None) -> None:
    for name, value in (("law", law), ("duration", duration)):
        if value is not None:
            raise UsageError(
                f"--{name} is for the authors' minimal example, this file says it itself",
                hint=f"leave --{name} out",
            )


def _head(path: Path) -> bytes:
    require_file(path)
    try:
        with path.open("rb") as stream:
            return stream.read(16)
    except OSError as error:
        raise storage_error(error, path) from error


def _foreign(head: bytes) -> CheckpointError:
    if not head:
        return CheckpointError("the file is empty", hint="copy or write it again")
    if head.startswith(b"\x80"):
        return CheckpointError(
            "a bare pickle, which could run code; nothing was run",
            hint="save it again with a torch from 1.6 on: torch.save(net.state_dict(), path)",
        )
    return CheckpointError(
        "neither a kcompile checkpoint nor a torch state_dict",
        hint="give a network written by kcompile or published by the paper's authors",
    )
