"""Device families: what they are, once their descriptions have been read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from kcompile.errors import UsageError
from kcompile.ir import Phi
from kcompile.lower.parameters import Parameter, Preset
from kcompile.netlist import DIALECTS
from kcompile.units import Scale

CONTROLS = ("diff", "affine", "table")
GRAINS = ("edge", "pair", "layer")
PRESET_SIGN = ":"
"""What stands between a family's name and a preset's."""


@dataclass(frozen=True)
class Form:
    """A row template and the edges it is for.

    Args:
        template: file name in the family's folder.
        phi: nonlinearities it implements.
        control: ``diff`` (one voltage difference), ``affine`` (two node voltages) or ``table``
            (a piecewise-linear function of one difference, for grouped edges).
        conductive: only edges whose current grows with their own voltage (``w*a > 0``).
        gated: whether it can be switched by a gate in a single deck.
        offset: False: only edges with ``c == 0``.
        reach: only edges whose argument is zero within so many v0: ``|c| <= reach*|a|``.
    """

    template: str
    phi: frozenset[Phi]
    control: str
    conductive: bool = False
    gated: bool = True
    offset: bool = True
    reach: float = math.inf


@dataclass(frozen=True)
class FamilySpec:
    """A device family as its description says.

    Args:
        name: what ``--device`` takes, with a preset's name behind a colon where one is chosen.
        title: one line for people.
        folders: where description and templates lie: its own, then that of the family it extends.
        parameters: by name.
        forms: in order of preference.
        default_level: the ``-O`` level that suits it.
        klu: whether its circuits suit the KLU solver. ngspice's KLU keeps the pivots of the first
            factorisation, which loses digits where conductances change by many decades.
        grain: of compiled devices, how much one holds (``edge``, ``pair`` or ``layer``); None: it
            needs no compiled devices.
        dialect: what its decks are written in.
        files: further files of the family that lie beside every deck.
        supplies: names of its supply nodes, each with a voltage source of the same name, whose
            voltage is the parameter of that name.
        presets: by name.
        preset: the one that is chosen, if any.
        thermal: whether its devices follow the circuit's temperature.
    """

    name: str
    title: str
    folders: tuple[Path, ...]
    parameters: Mapping[str, Parameter]
    forms: tuple[Form, ...]
    default_level: int
    klu: bool
    grain: str | None = None
    dialect: str = DIALECTS[0]
    files: tuple[Path, ...] = ()
    supplies: tuple[str, ...] = ()
    presets: Mapping[str, Preset] = field(default_factory=dict[str, Preset])
    preset: Preset | None = None
    thermal: bool = False

    @property
    def phis(self) -> frozenset[Phi]:
        """The nonlinearities it can build for any edge."""
        if self.grain is not None:
            return frozenset(Phi)
        direct = frozenset[Phi]().union(*(f.phi for f in self.forms if f.control == "affine"))
        if {Phi.RELU, Phi.IDENTITY} <= direct:
            direct |= {Phi.LEAKY_RELU}
        return direct

    def with_preset(self, name: str) -> FamilySpec:
        """The family with a preset's values in the place of its defaults.

        Raises:
            UsageError: it has no preset of that name.
        """
        if name not in self.presets:
            raise UsageError(
                f"family {self.name} has no preset {name!r}", where="--device",
                hint=f"presets: {', '.join(self.presets) or 'none'}",
            )  # fmt: skip
        return replace(self, name=f"{self.name}{PRESET_SIGN}{name}", preset=self.presets[name])

    def values(self, scale: Scale, given: Mapping[str, float]) -> dict[str, float]:
        """Every parameter in SI units: as given, else as the preset says, else its default.

        Args:
            scale: the unit system.
            given: values by name, in the parameters' own units.

        Raises:
            UsageError: ``given`` names an unknown parameter, or a value is out of range.
        """
        for name in given:
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise UsageError(
                    f"family {self.name} has no parameter {name!r}", hint=f"it has: {known}"
                )
        fixed: Mapping[str, float] = {} if self.preset is None else self.preset.values
        return {
            name: parameter.absolute(scale, fixed[name])
            if name in fixed and name not in given
            else parameter.value(scale, given.get(name))
            for name, parameter in self.parameters.items()
        }
