"""From a file to a model: our own checkpoint format and the published ones."""

from kcompile.frontend.checkpoint import load as load_checkpoint
from kcompile.frontend.checkpoint import save as save_checkpoint
from kcompile.frontend.load import load
from kcompile.frontend.model import GENERATIVE_TASKS, Model, Samples, TrainingSolver
from kcompile.frontend.records import BatchRecord, Checkpoint, PhaseRecord
from kcompile.frontend.software import Linear, Relu, Reshape, Select, Software
from kcompile.frontend.topology import (
    TOPOLOGIES,
    Chain,
    FullyConnected,
    Mixed,
    Neighbourhood,
    Topology,
    fully_connected,
    share_of,
)

__all__ = [
    "GENERATIVE_TASKS",
    "TOPOLOGIES",
    "BatchRecord",
    "Chain",
    "Checkpoint",
    "FullyConnected",
    "Linear",
    "Mixed",
    "Model",
    "Neighbourhood",
    "PhaseRecord",
    "Relu",
    "Reshape",
    "Samples",
    "Select",
    "Software",
    "Topology",
    "TrainingSolver",
    "fully_connected",
    "load",
    "load_checkpoint",
    "save_checkpoint",
    "share_of",
]
