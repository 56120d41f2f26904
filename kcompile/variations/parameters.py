"""Effects on the numbers that devices are given: how exactly they can be stored and met."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

import numpy as np

from kcompile.errors import UsageError
from kcompile.ir import Phi
from kcompile.variations.devices import Devices
from kcompile.variations.effect import Effect, number

ZERO_CELSIUS = 273.15
"""Kelvin."""

NOMINAL = 27.0
"""Degrees Celsius: what circuits are programmed for, and simulators assume."""


@dataclass(frozen=True)
class DeviceEffect(Effect):
    """An effect on the numbers of each device."""

    @abstractmethod
    def apply(self, devices: Devices, rng: np.random.Generator) -> Devices:
        """The devices as they really are."""


@dataclass(frozen=True)
class Quantisation(DeviceEffect):
    """Stored numbers have so many bits: ``2^(bits-1) - 1`` equal steps on each side of zero.

    The largest step is ``clip`` times the largest magnitude of that coefficient in the layer;
    larger numbers are cut off.
    """

    name: ClassVar[str] = "quantisation"

    bits: float = number("bits of a stored number, sign included; 0: exact", most=32, whole=True)
    clip: float = number("the full scale, relative to the largest number", "", 1.0, most=1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bits == 1:
            _refuse("quantisation.bits is 1", "one bit holds a sign only: give 2 or more")
        if self.clip == 0:
            _refuse("quantisation.clip is 0", "nothing would be left: give a number up to 1")

    @property
    def active(self) -> bool:
        """Whether numbers are stored in bits at all."""
        return self.bits > 0

    def apply(self, devices: Devices, rng: np.random.Generator) -> Devices:
        """See ``DeviceEffect``."""
        del rng
        steps = 2.0 ** (int(self.bits) - 1) - 1.0
        arithmetic = devices.arithmetic

        def store(_name: str, value: Any) -> Any:
            full = self.clip * arithmetic.largest(value)
            if float(full) == 0.0:
                return value
            step = full / steps
            return arithmetic.rounded(arithmetic.clipped(value, full) / step) * step

        return devices.with_programmed(store)


@dataclass(frozen=True)
class Programming(DeviceEffect):
    """Stored numbers are written with an error, normally distributed.

    ``proportional`` is relative to the number itself, ``independent`` to the largest magnitude of
    that coefficient in the layer (as of a memory cell whose error does not depend on its state).
    """

    name: ClassVar[str] = "programming"

    proportional: float = number("sd of the error, relative to the number")
    independent: float = number("sd of the error, relative to the largest number of the layer")

    def apply(self, devices: Devices, rng: np.random.Generator) -> Devices:
        """See ``DeviceEffect``."""

        def write(_name: str, value: Any) -> Any:
            relative = devices.drawn(rng.standard_normal(devices.count))
            absolute = devices.drawn(rng.standard_normal(devices.count))
            full = devices.arithmetic.largest(value)
            if self.proportional:
                value = value * (1.0 + self.proportional * relative)
            return value + (self.independent * full) * absolute if self.independent else value

        return devices.with_programmed(write)


@dataclass(frozen=True)
class Mismatch(DeviceEffect):
    """Devices made alike differ: in gain, and in the voltage at which they see zero.

    The current of every device is multiplied by ``1 + gain*N(0, 1)``; ``offset*N(0, 1)`` adds to
    the voltage difference of a diff device, and to each of the two voltages of an affine one.
    """

    name: ClassVar[str] = "mismatch"

    gain: float = number("sd of a device's current, relative")
    offset: float = number("sd of the offset at its input", "v0")

    def apply(self, devices: Devices, rng: np.random.Generator) -> Devices:
        """See ``DeviceEffect``."""
        gain, first, second = (devices.drawn(rng.standard_normal(devices.count)) for _ in range(3))
        changed: dict[str, Any] = {}
        if self.gain:
            changed["w"] = devices.w * (1.0 + self.gain * gain)
        if self.offset:
            shift = devices.a * (self.offset * first)
            if not devices.diff:
                shift = shift + devices.b * (self.offset * second)
            changed["c"] = devices.c + shift
        return devices.with_numbers(**changed)


@dataclass(frozen=True)
class Temperature(DeviceEffect):
    """A tanh made of a differential pair is the steeper the colder it is.

    Its argument is divided by T, while the circuit was programmed for the nominal temperature. Laws
    that are not tanh do not change, for their ideal devices know no temperature. Families of real
    devices (``bjt``, ``diode``) are simulated at this temperature instead.
    """

    name: ClassVar[str] = "temperature"

    celsius: float = number(
        "temperature of the circuit", "degrees Celsius", NOMINAL, least=-200.0, most=500.0
    )
    nominal: float = number(
        "temperature that it was programmed for",
        "degrees Celsius",
        NOMINAL,
        least=-200.0,
        most=500.0,
    )

    @property
    def active(self) -> bool:
        """Whether the two temperatures differ."""
        return self.celsius != self.nominal

    def apply(self, devices: Devices, rng: np.random.Generator) -> Devices:
        """See ``DeviceEffect``."""
        del rng
        if devices.phi is not Phi.TANH:
            return devices
        factor = (self.nominal + ZERO_CELSIUS) / (self.celsius + ZERO_CELSIUS)
        changed = {"a": devices.a * factor, "c": devices.c * factor}
        return devices.with_numbers(
            **changed, **({} if devices.diff else {"b": devices.b * factor})
        )


@dataclass(frozen=True)
class Stuck(DeviceEffect):
    """Some devices do not work.

    Stuck open they carry no current; stuck on, a relu conducts in both directions (its switch never
    opens) and a tanh gives its full current ``w``.
    """

    name: ClassVar[str] = "stuck"

    open: float = number("share of devices that carry no current", most=1.0)
    on: float = number("share of devices that are always on", most=1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.open + self.on > 1.0:
            _refuse("stuck.open and stuck.on add up to more than 1", "give shares of all devices")

    def choose(self, count: int, rng: np.random.Generator) -> tuple[Any, Any]:
        """Which of so many devices are stuck open and which on, ``bool[count]`` each."""
        luck = rng.random(count)
        return luck < self.open, luck >= 1.0 - self.on

    def apply(self, devices: Devices, rng: np.random.Generator) -> Devices:
        """Devices that are stuck open; ``Devices.always_on`` has the law of those stuck on."""
        is_open, _ = self.choose(devices.count, rng)
        return devices.with_numbers(w=devices.w * devices.drawn(1.0 - is_open))


def _refuse(what: str, hint: str) -> NoReturn:
    raise UsageError(what, where="variations", hint=hint)
