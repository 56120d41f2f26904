"""From a file to a model: our own checkpoint format and the published ones."""

from kcompile.frontend.checkpoint import load as load_checkpoint
from kcompile.frontend.checkpoint import save as save_checkpoint
from kcompile.frontend.load import load, read_network
from kcompile.frontend.model import Model, Samples, TrainingSolver
from kcompile.frontend.records import BatchRecord, Checkpoint, PhaseRecord
from kcompile.frontend.software import Linear, Relu, Reshape, Select, Software
from kcompile.frontend.topology import (
    TOPOLOGIES,
    FullyConnected,
    Mixed,
    Topology,
    share_of,
)

__all__ = [
    "TOPOLOGIES",
    "BatchRecord",
    "Checkpoint",
    "FullyConnected",
    "Linear",
    "Mixed",
    "Model",
    "PhaseRecord",
    "Relu",
    "Reshape",
    "Samples",
    "Select",
    "Software",
    "Topology",
    "TrainingSolver",
    "load",
    "load_checkpoint",
    "read_network",
    "save_checkpoint",
    "share_of",
]
