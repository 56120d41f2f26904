"""Large networks: what is not text does not pile up, and columns are the lists they stand for."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from kcompile.compiler import CompileOptions, compile_model
from kcompile.frontend import Checkpoint, Model, load, save_checkpoint
from kcompile.frontend.records import BatchRecord, PhaseRecord
from kcompile.frontend.topology import Mixed
from kcompile.netlist import Computed


def mixed(path: Path, side: int, layers: int) -> Model:
    """Layers of the published mnist's shape, in a file."""
    src, dst = Mixed(1, side, side, 4, 10, repeat=(1, 1)).edges()
    random = np.random.default_rng(0)
    batches = (
        BatchRecord("shift_relu", src, dst, random.normal(size=(2, len(src))).astype(np.float32))
        for _ in range(layers)
    )
    nodes = side * side + 10
    phases = tuple(PhaseRecord(nodes, 1.0, (batch,)) for batch in batches)
    save_checkpoint(path, Checkpoint(phases, side * side, np.array([nodes])))
    return load(path)


@pytest.mark.parametrize(
    ("device", "level"), [("ideal", 2), ("native", 2), ("native-pair", 2), ("veriloga", 0)]
)
def test_memory_stays_below_150_bytes_an_edge(tmp_path: Path, device: str, level: int) -> None:
    options = CompileOptions(device=device, opt_level=level)
    small = mixed(tmp_path / "small.safetensors", 5, 1)  # what is loaded and cached once
    compile_model(small, options).write(tmp_path / "small", np.zeros(35))
    mixed(tmp_path / "large.safetensors", 14, 4)
    tracemalloc.start()
    try:
        model = load(tmp_path / "large.safetensors")
        compile_model(model, options).write(tmp_path / "large", np.zeros(206))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Some megabytes are there whatever the size, for the rows that are being written.
    assert peak - 3e6 < 150 * model.graph.edges


def test_a_computed_column_is_the_list_it_stands_for() -> None:
    asked: list[tuple[int, int]] = []

    def make(start: int, stop: int) -> list[int]:
        asked.append((start, stop))
        return [k * k for k in range(start, stop)]

    values, column = [k * k for k in range(10_000)], Computed(10_000, make)
    assert len(column) == 10_000
    assert not asked
    assert column[3] == 9
    assert column[-1] == 9999**2
    assert column[5:8] == [25, 36, 49]
    assert column[9_998:20_000] == values[9_998:]
    assert column[20_000:30_000] == []
    assert max(stop - start for start, stop in asked) == 3
    assert list(column) == values
    assert column[::-5] == values[::-5]
    with pytest.raises(IndexError):
        column[10_000]
