"""Graph to graph: one pass a file, and the pipeline."""

from kcompile.passes.base import Pass, PassResult
from kcompile.passes.drop_dead import DropDead
from kcompile.passes.fold_ground import FoldGround
from kcompile.passes.group_pairs import GroupPairs
from kcompile.passes.merge_equal import MergeEqual
from kcompile.passes.order_edges import OrderEdges
from kcompile.passes.pipeline import LEVELS, PassRecord, devices, optimise, run_passes

__all__ = [
    "LEVELS",
    "DropDead",
    "FoldGround",
    "GroupPairs",
    "MergeEqual",
    "OrderEdges",
    "Pass",
    "PassRecord",
    "PassResult",
    "devices",
    "optimise",
    "run_passes",
]
