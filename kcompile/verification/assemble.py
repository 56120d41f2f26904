"""From findings to a report: every section of ``report.json``."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

import numpy as np

from kcompile import __version__
from kcompile.compiler import Compiled
from kcompile.errors import KcompileError, SimulationFailed
from kcompile.frontend.model import Model
from kcompile.ir import FloatArray
from kcompile.reference import Reference
from kcompile.simulation import Ngspice, PySpice
from kcompile.tasks import task_metrics
from kcompile.verification.deck import DeckFacts
from kcompile.verification.deviation import Answers, timing_section
from kcompile.verification.energy import EnergyMeter
from kcompile.verification.evidence import Evidence
from kcompile.verification.inputs import Chosen
from kcompile.verification.many import ManyRuns
from kcompile.verification.metrics import OutputErrors, PhaseWaves, output_errors
from kcompile.verification.report import Report
from kcompile.verification.sections import (
    CompileSection,
    ModelSection,
    PassSection,
    ProvenanceSection,
    ReferenceSection,
    SampleSection,
    ScaleSection,
    SimulatorSection,
    SummarySection,
    TaskMetric,
    TimingSection,
)
from kcompile.verification.simulate import SampleRun
from kcompile.verification.verdict import Verdict, judge

_NAMED = 3
"""Most samples that notes name."""

TRAINING_SAMPLES = 8
"""Most samples that the training solver is tried on."""


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """All that was learnt about a circuit.

    Args:
        compiled: what was compiled.
        chosen: the samples.
        reference: the golden solution.
        program: the simulator.
        deck: what was simulated.
        given: whether the decks were given rather than written afresh.
        runs: one per sample, in order.
        waves: the waveforms to show, with their sample, or None.
        wave_error: the largest error of any node at any time in any sample.
        energy: which has seen the waveforms.
        ideal: ``float64[S, M]``, read-outs with perfect timing, where the circuit's is another
            and so is the reference; else None.
        many: how the samples were run together, or None: each by the decks' own script.
        writing_seconds, simulation_seconds: wall time.
        jobs: simulations at a time.
        seed: of drawn inputs.
        command: the command line, or None.
        notes: what else a reader should know.
    """

    compiled: Compiled
    chosen: Chosen
    reference: Reference
    program: Ngspice | PySpice
    deck: DeckFacts
    given: bool
    runs: tuple[SampleRun, ...]
    waves: tuple[int, tuple[PhaseWaves, ...]] | None
    wave_error: float | None
    energy: EnergyMeter
    ideal: FloatArray | None
    many: ManyRuns | None
    writing_seconds: float
    simulation_seconds: float
    jobs: int
    seed: int
    command: str | None
    notes: tuple[str, ...] = ()


def assemble(findings: Findings) -> Report:
    """The report: the verdict and all that led to it."""
    compiled, reference = findings.compiled, findings.reference
    model = compiled.model
    nodes = tuple(model.graph.outputs.tolist())
    spice = np.stack([run.outputs for run in findings.runs])
    errors = output_errors(spice, reference.outputs)
    verdict = judge(errors, [run.problem for run in findings.runs], reference, nodes)
    ideal = reference.outputs if findings.ideal is None else findings.ideal
    training_error, training_note = _training_error(model, findings.chosen.inputs, ideal)
    sample, waves = findings.waves or (None, ())
    return Report(
        verdict=verdict.word,
        reason=verdict.reason,
        model=_model(model),
        scale=_scale(compiled),
        compile=_compile(findings),
        simulator=_simulator(findings),
        reference=ReferenceSection(
            reference.method, reference.rtol, reference.atol, reference.convergence_error,
            training_error, reference.seconds,
        ),
        samples=tuple(_sample(run, errors) for run in findings.runs),
        summary=_summary(findings, spice, errors),
        energy=findings.energy.section(reference) | _supplies(findings.runs),
        provenance=_provenance(findings),
        notes=(*_notes(findings), *training_note),
        timing=_timing(findings, spice),
        exit_status=_exit_status(verdict, findings),
        evidence=Evidence(
            findings.chosen.inputs, spice, reference.outputs, nodes,
            reference.absolute_tolerance, compiled.scale.time_unit, sample, waves,
        ),
    )  # fmt: skip


def _exit_status(verdict: Verdict, findings: Findings) -> int:
    """0 pass, 1 fail; 4 where nothing of what we wrote ourselves could be simulated.

    A given deck that cannot be simulated is a deck that fails.
    """
    if verdict.passed:
        return 0
    judged = findings.given or any(run.finished for run in findings.runs)
    return 1 if judged else SimulationFailed.exit_status


def _model(model: Model) -> ModelSection:
    graph = model.graph
    path = None if model.source is None else str(model.source)
    return ModelSection(
        path, model.sha256, model.law, graph.nodes, graph.edges, len(graph.phases), model.task
    )


def _scale(compiled: Compiled) -> ScaleSection:
    scale = compiled.scale
    return ScaleSection(scale.time_unit, scale.v0, scale.i0, scale.c0)


def _compile(findings: Findings) -> CompileSection:
    """How the decks were made; of decks that were given, only what they say themselves."""
    deck, compiled = findings.deck, findings.compiled
    passes = () if findings.given else compiled.passes
    return CompileSection(
        deck.opt_level,
        tuple(PassSection(p.name, p.edges_before, p.edges_after, p.error_bound) for p in passes),
        deck.device,
        deck.elements,
        deck.bytes,
        deck.sha256,
        compiled.seconds + findings.writing_seconds,
    )


def _simulator(findings: Findings) -> SimulatorSection:
    program, runs, many = findings.program, findings.runs, findings.many
    return SimulatorSection(
        "ngspice" if isinstance(program, Ngspice) else "pyspice",
        str(program.version),
        findings.deck.options,
        findings.jobs,
        findings.simulation_seconds,
        None if many is None else many.choice.seconds,
        sum(run.time_points for run in runs),
        sum(run.iterations for run in runs),
        None if many is None else many.choice.calibration,
        None if many is None else many.choice.acceleration,
    )


def _sample(run: SampleRun, errors: OutputErrors) -> SampleSection:
    largest, rms = float(errors.max_abs[run.index]), float(errors.rms[run.index])
    known = bool(np.isfinite(largest))
    return SampleSection(
        run.index, run.status, largest if known else None, rms if known else None, run.seconds,
        run.attempts, run.earlier or None, run.steps, run.supply_energy,
    )  # fmt: skip


def _summary(findings: Findings, spice: FloatArray, errors: OutputErrors) -> SummarySection:
    runs, reference = findings.runs, findings.reference
    times = [run.inference_time for run in runs if run.inference_time is not None]
    return SummarySection(
        len(runs),
        sum(run.problem is not None for run in runs),
        errors.overall_max,
        errors.overall_rms,
        reference.peak,
        reference.tolerance,
        findings.wave_error,
        max(times, default=None),
        _task_metrics(findings, spice),
    )


def _supplies(runs: tuple[SampleRun, ...]) -> dict[str, float]:
    """What the supplies delivered, the mean over the samples; nothing where there are none."""
    known = [run.supply_energy for run in runs if run.supply_energy is not None]
    return {"measured_supply_j": float(np.mean(known))} if known else {}


def _task_metrics(findings: Findings, spice: FloatArray) -> dict[str, TaskMetric]:
    """The task's own metric over the samples that have a result, behind the model's head."""
    targets, model = findings.chosen.targets, findings.compiled.model
    known = np.isfinite(spice).all(axis=1)
    if not known.any():
        return {}
    software, circuit = model.head(findings.reference.outputs[known]), model.head(spice[known])
    wanted = None if targets is None else targets[known]
    found = task_metrics(model.task, software, circuit, wanted)
    return {name: TaskMetric(**values) for name, values in found.items()}


def _timing(findings: Findings, spice: FloatArray) -> TimingSection | None:
    """How far imperfect timing brings both engines from perfect timing."""
    if findings.ideal is None:
        return None
    answers = Answers(findings.ideal, findings.reference.outputs, spice)
    return timing_section(findings.compiled, answers, findings.chosen.targets)


def _training_error(
    model: Model, inputs: FloatArray, ideal: FloatArray
) -> tuple[float | None, tuple[str, ...]]:
    """How far the solver that a network was trained with is from its ODE; a note where unknown."""
    if model.solver is None:
        return None, ()
    try:
        from kcompile.nn import training_solution

        answers = training_solution(model, inputs[:TRAINING_SAMPLES])
    except KcompileError as error:
        return None, (f"the training solver's error is unknown: {error.message}",)
    error = float(np.abs(answers - ideal[:TRAINING_SAMPLES]).max(initial=0.0))
    return (error, ()) if np.isfinite(error) else (None, ("the training solver diverges",))


def _provenance(findings: Findings) -> ProvenanceSection:
    lines = findings.program.banner.splitlines()
    about = next((line for line in lines if "ngspice-" in line), findings.program.version)
    return ProvenanceSection(
        __version__, str(about), _torch_version(), findings.seed, findings.command
    )


def _torch_version() -> str | None:
    """The version that is installed, found without importing it."""
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None


def _notes(findings: Findings) -> tuple[str, ...]:
    """What a reader should know beside the numbers."""
    model, chosen = findings.compiled.model, findings.chosen
    notes = [*model.notes]
    if findings.given:
        notes.append(f"decks as they lie in {findings.deck.folder}")
    else:
        notes += findings.compiled.notes
    notes.append(chosen.note)
    notes += findings.notes
    if findings.many is not None:
        notes += findings.many.notes
    repeated = [run for run in findings.runs if run.earlier]
    notes += [f"sample {run.index} ran twice ({run.earlier})" for run in repeated[:_NAMED]]
    if len(repeated) > _NAMED:
        notes.append(f"{len(repeated)} samples ran twice: the report's list says why")
    if model.encoder:
        notes.append(f"in software before the circuit: {model.encoder.describe()}")
    if model.head:
        notes.append(f"in software behind the read-out nodes: {model.head.describe()}")
    return tuple(dict.fromkeys(notes))
