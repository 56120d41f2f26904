"""Deck to waveforms: the ngspice runner, the raw-file reader, the pool."""

from kcompile.simulation.job import Job, JobResult, LayerDeck, Simulator, Status
from kcompile.simulation.locate import Ngspice, find_ngspice
from kcompile.simulation.pool import run_jobs
from kcompile.simulation.pyspice import PySpice, find_pyspice
from kcompile.simulation.rawfile import Waveforms, read_raw, read_raws
from kcompile.simulation.runner import run_job
from kcompile.simulation.session import Session, SessionDeck, SessionLayer, Transient
from kcompile.simulation.sessions import Sample, run_sessions

__all__ = [
    "Job",
    "JobResult",
    "LayerDeck",
    "Ngspice",
    "PySpice",
    "Sample",
    "Session",
    "SessionDeck",
    "SessionLayer",
    "Simulator",
    "Status",
    "Transient",
    "Waveforms",
    "find_ngspice",
    "find_pyspice",
    "read_raw",
    "read_raws",
    "run_job",
    "run_jobs",
    "run_sessions",
]
