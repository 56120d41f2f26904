"""What an experiment is to do, once it makes sense."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from kcompile.compiler import CompileOptions
from kcompile.errors import UsageError
from kcompile.experiments.engines import OdeEngine, SpiceEngine
from kcompile.lower import read_family
from kcompile.variations import Temperature, Variations
from kcompile.variations.parameters import NOMINAL

_ALONE = 100
"""Draws of each effect alone."""


@dataclass(frozen=True)
class Plan:
    """What a Monte Carlo is to do.

    Args:
        variations: what circuits are drawn from.
        runs: how many circuits.
        seed: of the draws.
        engine: ``ode``, or ``spice`` for every circuit.
        checks: how many of the circuits are simulated in SPICE as well (with ``ode``).
        check_samples: how many samples each of them gets.
        alone: draws of each effect alone, for the ranking; 0: none.
        tolerance: how exact answers are to be, relative to ``max(1, largest read-out)``.
        specification: such as ``accuracy>=0.95``; None: no yield is told.
        options: how circuits are compiled for SPICE; of no device family: ideal.
        simulator, ngspice, jobs, timeout: as for ``verify``.
    """

    variations: Variations
    runs: int = 1000
    seed: int = 0
    engine: str = "ode"
    checks: int = 0
    check_samples: int = 4
    alone: int = _ALONE
    tolerance: float = 1e-3
    specification: str | None = None
    options: CompileOptions = field(default_factory=CompileOptions)
    simulator: str = "ngspice"
    ngspice: Path | str | None = None
    jobs: int = 2
    timeout: float = 3600.0

    def __post_init__(self) -> None:
        for name, least in (
            ("runs", 1), ("seed", 0), ("checks", 0), ("check_samples", 1), ("alone", 0), ("jobs", 1)
        ):  # fmt: skip
            if getattr(self, name) < least:
                raise UsageError(
                    f"{name} is {getattr(self, name)}",
                    where=f"--{name.replace('_', '-')}",
                    hint=f"give {least} or more",
                )
        if self.engine not in (OdeEngine.name, SpiceEngine.name):
            raise UsageError(
                f"unknown engine {self.engine!r}", where="--engine", hint="ode or spice"
            )
        if not 0 < self.tolerance < 1:
            raise UsageError(
                f"the tolerance is {self.tolerance!r}", where="--tolerance",
                hint="give a number between 0 and 1",
            )  # fmt: skip
        if self.options.device is None:  # Fig. 5 drawn out would take its time, a thousand times
            object.__setattr__(self, "options", replace(self.options, device="ideal"))
        self._check_temperatures()
        if self.options.imperfect is not None:
            raise UsageError(
                "circuits are drawn with their timing", where="--timing",
                hint="give it by --vary timing.NAME=VALUE",
            )  # fmt: skip
        self.variations.check()

    def _check_temperatures(self) -> None:
        """The circuit has one temperature, of which its equations know as its devices do."""
        temperature: Temperature = self.variations.effect(Temperature)
        given = self.options.temperature
        if temperature.active and given is not None:
            raise UsageError(
                "the circuit has two temperatures", where="--temperature",
                hint="give it by --temperature or by temperature.celsius, not by both",
            )  # fmt: skip
        device = self.options.device
        family = None if device is None else read_family(device, self.options.pdk)
        if family is None or not family.thermal:
            return
        if temperature.active and temperature.nominal != NOMINAL:
            raise UsageError(
                f"devices of {family.name} are programmed for {NOMINAL:g} degrees",
                where="temperature.nominal", hint="leave it out",
            )  # fmt: skip
        if given is not None and self.engine == OdeEngine.name:
            raise UsageError(
                "the equations do not know it", where="--temperature",
                hint="say --vary temperature.celsius=...",
            )  # fmt: skip

    @property
    def by_spice(self) -> bool:
        """Whether SPICE answers for every circuit."""
        return self.engine == SpiceEngine.name
