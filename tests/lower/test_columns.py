"""What decks say of edges are numbers, or there is no deck."""

from __future__ import annotations

import numpy as np
import pytest

from kcompile.compiler import CompileOptions, compile_model
from kcompile.errors import GraphError
from kcompile.frontend.model import Model
from kcompile.ir import EdgeBatch, Graph, Phase, validate
from kcompile.units import Scale


@pytest.mark.parametrize(("device", "level"), [("ideal", 0), ("ideal", 2), ("switch", 0)])
def test_a_number_beyond_double_precision_is_an_error(tmp_path, device, level):
    """An infinity in a deck is a model name to ngspice, which then finds no such model."""
    edges = EdgeBatch("relu", [1, 1, 2], [2, 2, 1], [1.0, 1e200, 1.0], 1.0, -1.0, [0.5, 0.7, 0.5])
    model = Model(validate(Graph((Phase(2, 1.0, (edges,)),), 2, [2])), "test")
    options = CompileOptions(Scale(1.0, 1e150, 1e-15), device, level)
    compiled = compile_model(model, options)
    with pytest.raises(GraphError, match=r"element (1|p0_2_1) needs a number beyond double"):
        compiled.write(tmp_path / "deck", np.zeros(2))
    assert not (tmp_path / "deck").exists()
