"""What imperfect timing of a single deck's layers costs, by the equations and in SPICE.

Run it in a checkout::

    python examples/layer_timing.py [-o PICTURE] [--samples N] [--device FAMILY] [CHECKPOINT ...]

It sweeps each effect alone, prints a table and draws it (docs/timing.md says how to read it).
Compiled devices (``--device native``) take a minute, behavioural sources a quarter of an hour.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import kcompile
from kcompile.experiments import Plan
from kcompile.pictures import STYLE, Plots
from kcompile.variations import read_variations

TWOMOON = Path(__file__).resolve().parents[1] / "golden" / "twomoon" / "model.safetensors"
SHARES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
EFFECTS = {
    "late": ("gates close late", "#CC3311", "o"),
    "skew": ("skew between rows (5 circuits)", "#EE7733", "s"),
    "charge": ("charge injection", "#AA3377", "P"),
    "leak": ("leak", "#009988", "X"),
    "overlap": ("overlap, areas kept", "#4477AA", "D"),
    "rise": ("rise time", "#777777", "^"),
    "dead": ("dead time", "#222222", "v"),
}
CIRCUITS = 5


def errors(
    model: kcompile.Model, effect: str, engine: str, device: str, samples: int
) -> list[float]:
    """The rms error of the read-outs at every strength; of drawn circuits the median."""
    runs = CIRCUITS if effect == "skew" else 1
    options = kcompile.CompileOptions(device=device)
    plan = Plan(read_variations([]), runs, engine=engine, tolerance=1e-4, options=options)
    found = kcompile.sweep(model, f"timing.{effect}", SHARES, plan, samples=samples)
    return [point.spreads["rms_error"].quantiles[1] for point in found.points]


def draw(axes: Axes, name: str, found: dict[str, dict[str, list[float]]]) -> None:
    for effect, (label, colour, marker) in EFFECTS.items():
        look = {"color": colour, "ms": 6, "mfc": "none", "mew": 1.4}
        axes.loglog(SHARES, found[effect]["ode"], color=colour, lw=1.8)
        axes.loglog(SHARES, found[effect]["spice"], marker, **look)
        axes.plot([], [], f"{marker}-", label=label, **look)
    axes.set_title(name, loc="left")
    axes.set_xlabel("share of a layer's duration (charge: c0·v0, leak: i0/v0)")
    axes.set_xticks([0.002, 0.01, 0.05], ["0.2 %", "1 %", "5 %"])
    axes.set_xticks([0.005, 0.02, 0.1], ["0.5 %", "2 %", "10 %"], minor=True)
    axes.tick_params(axis="x", which="both", pad=6, length=4)
    axes.set_ylim(1e-6, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", nargs="*", type=Path, default=[TWOMOON])
    parser.add_argument("-o", "--output", type=Path, default=Path("layer-timing.png"))
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--device", default="ideal")
    chosen = parser.parse_args()
    engines = ("ode", "spice")
    with mpl.rc_context(STYLE):
        count = len(chosen.checkpoints)
        figure = Figure(figsize=(1.2 + 5.2 * count, 4.6), layout="constrained")
        panels = figure.subplots(1, count, sharey=True, squeeze=False)[0]
        for axes, checkpoint in zip(panels, chosen.checkpoints, strict=True):
            model = kcompile.load(checkpoint)
            print(f"{checkpoint}: rms error at {', '.join(f'{s:g}' for s in SHARES)}")
            found = {
                effect: {
                    e: errors(model, effect, e, chosen.device, chosen.samples) for e in engines
                }
                for effect in EFFECTS
            }
            for effect, both in found.items():
                for engine, values in both.items():
                    print(f"  {effect:8} {engine:6}" + "".join(f"{v:10.2g}" for v in values))
            published = checkpoint.suffix == ".pth"
            draw(axes, f"twomoon, {'as published' if published else 'trained here'}", found)
        panels[0].set_ylabel("rms error of the read-outs (software units)")
        panels[-1].legend(
            title="lines: equations, marks: SPICE", loc="center left", bbox_to_anchor=(1.0, 0.5)
        )
        picture = Plots({chosen.output.stem: figure}).png(chosen.output.stem)
    chosen.output.write_bytes(picture)
    print(f"wrote {chosen.output}")


if __name__ == "__main__":
    main()
