"""Golden recipes: small seeded networks described in a few lines of TOML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from kcompile.errors import GoldenError, KcompileError
from kcompile.frontend import TOPOLOGIES, BatchRecord, Checkpoint, PhaseRecord, share_of
from kcompile.ir import Fill, get_law

_LAYER_KEYS = {"topology", "arguments", "law", "duration", "fill", "residual", "spread"}


def build_network(recipe: Mapping[str, Any], where: object) -> Checkpoint:
    """The network that a ``[network]`` table describes; the same every time.

    ``seed`` seeds the parameters, ``inputs`` and ``outputs`` (node numbers) are the network's; each
    ``[[network.layers]]`` has a ``topology`` with ``arguments``, a ``law``, a ``duration``, and
    may have ``fill``, ``residual`` (index of an earlier layer) and ``spread``, the standard
    deviation of its normal parameters.

    Raises:
        GoldenError: something is missing, unknown or out of range.
    """
    try:
        rng = np.random.default_rng(int(recipe["seed"]))
        phases = tuple(_layer(cast(dict[str, Any], layer), rng) for layer in recipe["layers"])
        outputs = np.asarray(recipe["outputs"], dtype=np.int32)
        checkpoint = Checkpoint(phases, int(recipe["inputs"]), outputs)
        checkpoint.model()
    except KcompileError as error:
        raise GoldenError(f"the recipe does not build: {error}", where=where) from error
    except (KeyError, TypeError, ValueError) as error:
        raise GoldenError(f"recipe: {type(error).__name__}: {error}", where=where) from error
    return checkpoint


def _layer(layer: dict[str, Any], rng: np.random.Generator) -> PhaseRecord:
    unknown = set(layer) - _LAYER_KEYS
    if unknown:
        raise ValueError(f"layer keys {sorted(unknown)} are unknown")
    topology = str(layer["topology"])
    arguments = dict(layer.get("arguments", {}))
    generator = TOPOLOGIES[topology](**arguments)
    src, dst = generator.edges()
    share = share_of(generator)
    columns = len(src) if share is None else int(share.max()) + 1
    law = get_law(str(layer["law"]))
    params = rng.normal(0.0, float(layer.get("spread", 0.4)), (law.rows, columns))
    batch = BatchRecord(
        law.name, src, dst, params.astype(np.float32), {"topology": topology, **arguments}, share
    )
    residual = layer.get("residual")
    return PhaseRecord(
        int(max(src.max(), dst.max())),
        float(layer["duration"]),
        (batch,),
        Fill(layer.get("fill", "zero")),
        None if residual is None else int(residual),
    )
