"""The published device laws and what they are called here."""

from __future__ import annotations

from dataclasses import dataclass

from kcompile.errors import ConfigError
from kcompile.frontend.fields import Field


@dataclass(frozen=True)
class PublishedLaw:
    """A device law of the published program.

    Args:
        name: what a config calls it.
        law: the same law in ``kcompile.ir.LAWS``.
        rows: parameter rows it stores.
        order: which of them are the rows of ``law``; any other has no effect.
    """

    name: str
    law: str
    rows: int
    order: tuple[int, ...]


_NAMED = {
    law.name: law
    for law in (
        PublishedLaw("ShiftRelu1", "shift_relu", 2, (0, 1)),
        PublishedLaw("ShiftLeakyRelu1", "shift_leaky_relu", 2, (0, 1)),
        PublishedLaw("ShiftTanh1", "tanh_diff", 3, (1, 0)),
        PublishedLaw("ShiftRelu2", "relu_affine", 3, (0, 1, 2)),
        PublishedLaw("ShiftLeakyRelu2", "leaky_relu_affine", 3, (0, 1, 2)),
        PublishedLaw("ShiftTanh2", "tanh_affine", 3, (0, 1, 2)),
        PublishedLaw("Conductance", "conductance", 3, (0,)),
    )
}

_ACTIVATIONS = ("relu", "tanh", "leaky_relu")


def published_law(model: Field) -> PublishedLaw:
    """The law that ``network.model`` names.

    Raises:
        ConfigError: no such law, or arguments that it does not take.
    """
    name = model.key("name").choice((*_NAMED, "Device"))
    args = model.get("args")
    expected = ("negation", "activation") if name == "Device" else ()
    for argument in () if args is None else args.names():
        if argument not in expected:
            raise ConfigError(f"{model.path}.args.{argument:.40} is no argument of {name}")
    if name != "Device":
        return _NAMED[name]
    if args is None:
        raise ConfigError(f"{model.path}.args is missing", hint="Device needs negation, activation")
    activation = args.key("activation")
    phi = "identity" if activation.value is None else activation.choice(_ACTIVATIONS)
    if args.key("negation").flag():
        return PublishedLaw("Device", f"{phi}_diff", 2, (1, 0))
    return PublishedLaw("Device", f"{phi}_affine", 3, (0, 1, 2))
