"""Any file that holds a network, as a model: what it is its content says, never its name."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from kcompile.errors import CheckpointError, ConfigError, ContentError, GraphError, UsageError
from kcompile.files import is_file, require_file, storage_error
from kcompile.frontend import checkpoint
from kcompile.frontend.model import Model
from kcompile.frontend.records import Checkpoint
from kcompile.frontend.torch_file import State, is_zip, read_state


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
    with _of_file(path):
        found, notes = _read(path, config, law, duration)
        return found.model(path, notes)


def read_network(path: Path) -> Checkpoint:
    """What a file says of its network, whichever of the formats it has.

    A published network's ``config.yaml`` is the one beside it.

    Args:
        path: the file.

    Raises:
        CheckpointError: it is the authors' minimal example, which leaves its law open; and, with
            ConfigError, MissingExtra, UsageError and StorageError, as for ``load``.
    """
    with _of_file(path):
        if not is_zip(_head(path)):
            return _read(path, None, None, None)[0]
        from kcompile.frontend import published

        state = read_state(path)
        if published.is_minimal(state):
            raise CheckpointError(
                "the authors' minimal example does not say its law",
                hint="give a network with its config.yaml, or one of kcompile's own",
            )
        return _published(path, state, None, _BESIDE)[0]


@contextmanager
def _of_file(path: Path) -> Generator[None]:
    """Names the file in errors that come from what is in it."""
    try:
        yield
    except (ContentError, UsageError) as error:
        # Whatever part it is about, a reader wants to know of which file.
        if error.where is None:
            error.where = str(path)
        elif isinstance(error, CheckpointError | GraphError) and error.where != str(path):
            error.where = f"{path}, {error.where}"
        raise


def _read(
    path: Path, config: Path | None, law: str | None, duration: float | None
) -> tuple[Checkpoint, tuple[str, ...]]:
    """A network as its file has it, and notes about how it was read."""
    if config is not None:
        require_file(config)
    head = _head(path)
    if is_zip(head):
        return _read_torch(path, config, law, duration)
    if not checkpoint.is_checkpoint(head):
        raise _foreign(head)
    _refuse_options(law, duration)
    return checkpoint.load(path), _unused(config)


def _read_torch(
    path: Path, config: Path | None, law: str | None, duration: float | None
) -> tuple[Checkpoint, tuple[str, ...]]:
    from kcompile.frontend import published

    state = read_state(path)
    if published.is_minimal(state):
        return published.minimal_checkpoint(state, law, duration), _unused(config)
    _refuse_options(law, duration)
    return _published(path, state, config, f"{_BESIDE}, or name it with --config")


_BESIDE = "lay the config.yaml published with it beside it"


def _published(
    path: Path, state: State, config: Path | None, hint: str
) -> tuple[Checkpoint, tuple[str, ...]]:
    """The network of a state_dict whose config is given or lies beside it."""
    from kcompile.frontend import published

    beside = path.with_name("config.yaml")
    if config is None and not is_file(beside):
        raise CheckpointError("a state_dict alone does not say what the network is", hint=hint)
    config = config or beside
    try:
        return published.published_checkpoint(state, published.read_config(config))
    except ConfigError as error:
        error.where = error.where or str(config)
        raise


def _unused(config: Path | None) -> tuple[str, ...]:
    """What to note of a config that says nothing about the file."""
    if config is None:
        return ()
    return (f"the file says everything itself: {config} was not read",)


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
