"""Graph to graph: one pass a file, and the pipeline."""

from kcompile.passes.base import Pass, PassResult
from kcompile.passes.drop_dead import DropDead
from kcompile.passes.drop_negligible import DropNegligible
from kcompile.passes.fold_ground import FoldGround
from kcompile.passes.group_pairs import GroupPairs
from kcompile.passes.merge_equal import MergeEqual
from kcompile.passes.order_edges import OrderEdges
from kcompile.passes.pipeline import (
    BOUNDED,
    GROUPED,
    LEVELS,
    PassRecord,
    bounded_passes,
    check_level,
    devices,
    optimise,
    run_passes,
)
from kcompile.passes.ranges import Approximation, VoltageRange
from kcompile.passes.tabulate_pairs import TabulatePairs

__all__ = [
    "BOUNDED",
    "GROUPED",
    "LEVELS",
    "Approximation",
    "DropDead",
    "DropNegligible",
    "FoldGround",
    "GroupPairs",
    "MergeEqual",
    "OrderEdges",
    "Pass",
    "PassRecord",
    "PassResult",
    "TabulatePairs",
    "VoltageRange",
    "bounded_passes",
    "check_level",
    "devices",
    "optimise",
    "run_passes",
]
