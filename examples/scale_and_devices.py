"""One trained network at three scales and through three device families.

Run it in a checkout: ``python examples/scale_and_devices.py [CHECKPOINT]``. It shows that the
answer does not depend on the time scale, and how far each kind of circuit is from the ODE.
"""

from __future__ import annotations

import sys
from pathlib import Path

import kcompile

FRIEDMAN = Path(__file__).resolve().parents[1] / "golden" / "friedman" / "model.safetensors"


def main(checkpoint: Path) -> None:
    """Prints one line a scale and one line a family."""
    model = kcompile.load(checkpoint)
    print(f"{model.name}: {model.graph.nodes} nodes, {model.graph.edges} edges")

    for scale in (1.0, 1e-9, 1e-15):
        report = kcompile.verify(model, scale=scale, samples=4)
        summary = report.summary
        print(
            f"scale {scale:g}: {report.verdict}, error {summary.max_abs_error:.1e}, "
            f"inference {summary.inference_time_s:.3g} s, "
            f"{report.simulator.time_points} time points"
        )

    physical = kcompile.Scale(v0=0.1, i0=1e-5, c0=1e-12)
    for device in ("ideal", "switch", "diode"):
        report = kcompile.verify(model, scale=physical, device=device, samples=4)
        print(f"{device}: {report.verdict}, error {report.summary.max_abs_error:.1e}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FRIEDMAN)
