"""One circuit with imperfections: SPICE against its equations, and how far it is from the ideal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kcompile.compiler import CompileOptions
from kcompile.errors import UsageError
from kcompile.experiments.engines import OdeEngine
from kcompile.experiments.judging import Judge
from kcompile.frontend import Model
from kcompile.lower import read_family
from kcompile.passes import BOUNDED
from kcompile.variations import Temperature, Variations, draw
from kcompile.verification import Report, choose_inputs, verify_model

_TERMINALS = ("input", "readout")
"""Effects that differ from sample to sample: not of one circuit."""

_TIMED = ("noise",)
"""Effects that differ in time, which the reference does not know."""


def drawn_circuit(
    model: Model,
    options: CompileOptions,
    variations: Variations,
    seed: int,
    *,
    timed: bool = False,
) -> tuple[Model, CompileOptions]:
    """The first circuit that the variations give, and how it is compiled.

    Args:
        model: the ideal network.
        options: how to compile.
        variations: the imperfections.
        seed: of the draw.
        timed: whether currents that change in time are welcome.

    Raises:
        UsageError: an effect is not one of the circuit alone.
    """
    variations.check()
    refused = _TERMINALS if timed else (*_TERMINALS, *_TIMED)
    found = [name for name in refused if name in variations.active]
    if found:
        raise UsageError(
            f"{found[0]} is no property of one circuit", where="--vary",
            hint="use 'kcompile montecarlo', with --checks for SPICE",
        )  # fmt: skip
    family = None if options.device is None else read_family(options.device, options.pdk)
    if family is not None and family.thermal and Temperature.name in variations.active:
        raise UsageError(
            f"devices of {family.name} follow the circuit's temperature", where="--vary",
            hint="use --temperature",
        )  # fmt: skip
    parameters = {**options.parameters, **variations.device}
    options = replace(options, parameters=parameters)
    drawn = draw(model, variations, seed)
    if (timing := drawn.timing) is not None:
        if options.imperfect is not None:
            raise UsageError(
                "the circuit has two timings", where="--timing",
                hint="give it by --timing or by --vary, not by both",
            )  # fmt: skip
        options = replace(options, single_deck=True, timing=timing)
    if drawn.noisy and options.opt_level == BOUNDED:
        raise UsageError(
            f"-O{BOUNDED} holds near trajectories without noise", where="--vary noise",
            hint="use -O2",
        )  # fmt: skip
    return drawn.of_sample(0), options


def verify_drawn(
    model: Model,
    options: CompileOptions,
    variations: Variations,
    *,
    inputs: Any | None = None,
    samples: int | None = None,
    data: Path | None = None,
    tolerance: float = 1e-3,
    seed: int = 0,
    **others: Any,
) -> Report:
    """Whether a circuit with imperfections does what its equations say, and what they cost.

    The verdict compares SPICE with the equations of the same circuit. The report's ``variations``
    say how far SPICE is from the ideal network.

    Args:
        model: the ideal network.
        options: how to compile.
        variations: the imperfections; the circuit is the first that ``seed`` gives.
        inputs, samples, data, tolerance, seed, others: as for ``verify_model``.

    Raises:
        UsageError: an effect is not one of the circuit alone.
        KcompileError: as ``verify_model``.
    """
    circuit, asked = drawn_circuit(model, options, variations, seed)
    report = verify_model(
        circuit, asked, inputs=inputs, samples=samples, data=data, tolerance=tolerance, seed=seed,
        **others,
    )  # fmt: skip
    chosen = choose_inputs(model, inputs, samples, seed, data)
    ideal = OdeEngine(model, chosen.inputs, tolerance)
    judge = Judge(model, ideal.ideal, chosen.targets)
    section: dict[str, Any] = {
        "effects": variations.to_mapping(),
        "seed": seed,
        "ideal": {"peak": judge.peak},
    }
    assert report.evidence is not None
    spice = report.evidence.spice
    if np.isfinite(spice).all():
        largest, rms = judge.errors(spice)
        section["from_ideal"] = {"max_abs_error": largest, "rms_error": rms}
        if judge.metric is not None:
            section["metric"] = {
                "name": judge.metric.name, "ideal": judge.ideal_metric, "spice": judge.value(spice)
            }  # fmt: skip
    return replace(report, variations=section)
