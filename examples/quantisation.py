"""A network with parameters of few bits: quantised after training, and trained with it.

Run it in a checkout: ``python examples/quantisation.py friedman CKPT --size m``. Every number of
bits gets a network of its own, fine-tuned from CKPT as ``kcompile train --from CKPT --vary
quantisation.bits=BITS`` does, kept as ``FOLDER/BITS.safetensors`` and not trained again.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt

import kcompile
from kcompile.experiments import Experiment, Plan
from kcompile.frontend import load_checkpoint, save_checkpoint
from kcompile.pictures import BLUE, GREY, RED, STYLE, Plots
from kcompile.tasks import get_task
from kcompile.tasks.training import train
from kcompile.variations import Variations


def main() -> None:
    """Prints the task's metric for every number of bits, and draws it where asked to."""
    arguments = _arguments()
    rows: list[tuple[int, float, float]] = []
    metric, ideal = "", float("nan")
    for bits in arguments.bits:
        variations = Variations.from_mapping({"quantisation": {"bits": bits}})
        tuned = arguments.folder / f"{bits}.safetensors"
        _train(arguments, variations, tuned)
        plan = Plan(variations, runs=1, alone=0, tolerance=arguments.tolerance)
        judge = partial(kcompile.montecarlo, plan=plan, samples=arguments.samples)
        found = [judge(kcompile.load(path)) for path in (arguments.checkpoint, tuned)]
        rows.append((bits, _value(found[0]), _value(found[1])))
        metric, ideal = str(found[0].metric), float(found[0].ideal_metric or "nan")
        print(f"{bits} bits: {rows[-1][1]:.4g} quantised after, {rows[-1][2]:.4g} trained with it")
    print(f"{ideal:.4g} not quantised ({metric})")
    if arguments.picture is not None:
        _draw(arguments.picture, metric, rows, ideal)


def _train(arguments: argparse.Namespace, variations: Variations, path: Path) -> None:
    """Fine-tunes into a file; nothing is left to do where it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    train(
        get_task(arguments.task), size=arguments.size, epochs=arguments.epochs,
        learning_rate=arguments.lr, variations=variations, start=arguments.checkpoint,
        resume=load_checkpoint(path) if path.exists() else None,
        save=partial(save_checkpoint, path),
    )  # fmt: skip


def _value(found: Experiment) -> float:
    value = found.circuits[0].metric
    return float("nan") if value is None else value


def _draw(path: Path, metric: str, rows: list[tuple[int, float, float]], ideal: float) -> None:
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
        bits = [row[0] for row in rows]
        axes.plot(bits, [row[1] for row in rows], "o-", color=RED, label="quantised after training")
        axes.plot(bits, [row[2] for row in rows], "s-", color=BLUE, label="trained with it")
        axes.axhline(ideal, color=GREY, linestyle=":", label="not quantised")
        axes.set_xlabel("bits of a parameter")
        axes.set_ylabel(metric)
        if metric != "accuracy":
            axes.set_yscale("log")
        axes.legend()
        Plots({path.stem: figure}).save(path.parent)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--size", default="s")
    parser.add_argument("--bits", type=int, nargs="+", default=range(2, 9))
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--samples", type=int, help="test samples [those of the checkpoint]")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="of the answers")
    parser.add_argument("--folder", type=Path, default=Path("quantised"))
    parser.add_argument("--picture", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
