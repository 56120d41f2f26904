"""Published read-outs and encoders: which nodes are read, and what is left to software."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kcompile.errors import CheckpointError, ConfigError
from kcompile.frontend.published.config import Config
from kcompile.frontend.software import Linear, Relu, Reshape, Select, Software, Step
from kcompile.frontend.torch_file import State

_FORMS = re.compile(r"(last|first|reshape)(\d{1,9})|mlp_(\d{1,9})_(\d{1,9})")
_KNOWN = "known: lastK, firstK, reshapeK, mlp_<in>_<out>"


@dataclass(frozen=True, eq=False)
class ReadOut:
    """The nodes that are read and the software behind them.

    Args:
        outputs: ``int32[M]``, nodes in order.
        head: applied to their voltages.
    """

    outputs: NDArray[np.int32]
    head: Software


def read_out(config: Config, nodes: int, state: State) -> ReadOut:
    """The read-out of a last layer of ``nodes`` nodes.

    ``lastK`` and ``firstK`` in front choose the nodes; from the first other step on it is
    software's. Their parameters are taken out of ``state``.

    Raises:
        ConfigError: an unknown step, or one that does not take what the step before gives.
        CheckpointError: its parameters are missing or of another shape.
    """
    outputs = np.arange(1, nodes + 1, dtype=np.int32)
    steps: list[Step] = []
    width = nodes
    for text, key in zip(config.projector, config.projector_keys, strict=True):
        step = _step(text, width, key, state)
        if any(isinstance(earlier, Reshape) for earlier in steps) and isinstance(step, Reshape):
            raise ConfigError(f"network.projector: '{text:.40}' of what is reshaped already")
        out = step.output_width(width)
        if out is None:
            raise ConfigError(
                f"network.projector: '{text:.40}' does not take the {width} values it is given"
            )
        width = out
        if isinstance(step, Select) and not steps:
            outputs = outputs[step.start : step.stop]
        else:
            steps.append(step)
    return ReadOut(outputs, Software(tuple(steps)))


def encoder(config: Config, state: State) -> Software:
    """The MLP in front: linear steps with a relu between each two.

    Raises:
        CheckpointError: its parameters are missing or of another shape.
    """
    steps: list[Step] = []
    for i in range(len(config.encoder) - 1):
        given, out = config.encoder[i : i + 2]
        # A relu stands between the linear steps and takes a number of its own.
        steps += [_linear(f"encoder.net.{2 * i}", given, out, state), Relu()]
    return Software(tuple(steps[:-1]))


def _step(text: str, width: int, key: str, state: State) -> Step:
    form = _FORMS.fullmatch(text)
    if form is None:
        raise ConfigError(f"network.projector: unknown read-out '{text:.40}'", hint=_KNOWN)
    kind, number, given, out = form.groups()
    if kind is None:
        return _linear(f"{key}.net.0", int(given), int(out), state)
    count = int(number)
    if count < 1 or (kind != "reshape" and count > width):
        raise ConfigError(f"network.projector: '{text}' of {width} values")
    if kind == "reshape":
        return Reshape(count)
    return Select(-count, None) if kind == "last" else Select(0, count)


def _linear(name: str, given: int, out: int, state: State) -> Linear:
    weight, bias = (_take(f"{name}.{part}", state) for part in ("weight", "bias"))
    if weight.shape != (out, given) or bias.shape != (out,):
        raise CheckpointError(
            f"{name} has weight {list(weight.shape)} and bias {list(bias.shape)}, the config asks "
            f"for [{out}, {given}] and [{out}]",
            hint="does the config belong to this model?",
        )
    return Linear(weight, bias)


def _take(name: str, state: State) -> NDArray[Any]:
    if name not in state:
        raise CheckpointError(
            f"it holds no {name}, which the config asks for",
            hint="does the config belong to this model?",
        )
    return state.pop(name)
