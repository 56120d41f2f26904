"""Compiles every kernel that ``TritonForm`` launches for a GPU that is not there.

The interpreter takes what the compiler refuses, so that tests in the interpreter are not enough.
Launches are bound and compiled as they would be, but not run. Prints each kernel's name, and what
it uses that it should not: local memory, which means spilled registers, and atomic additions.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import torch
import triton
from networks import random_edges
from triton.backends.compiler import GPUTarget

from kcompile.nn import triton_form
from kcompile.nn.triton_form import Incidences, TritonForm


class Driver:
    """As much of a GPU's driver as compilation asks for."""

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 80, 32)


def compile_only(kernel: Any, grid: tuple[int, ...], *arguments: Any, warps: int) -> None:
    """In place of a launch."""
    ptx = kernel.warmup(*arguments, grid=grid, num_warps=warps).asm["ptx"]
    found = set(re.findall(r"\.local|\batom|\bred\b", ptx))
    sys.stdout.write(f"{kernel.fn.__name__} {' '.join(sorted(found)) or 'clean'}\n")


def main() -> None:
    """Whatever changes the compiled text: phi, precision, trace, one sample or many."""
    triton.runtime.driver.set_active(Driver())
    triton_form._launch = compile_only
    random = np.random.default_rng(0)
    for law, dtype, samples, traced in (
        ("tanh_diff", torch.float32, 64, True),
        ("canonical_tanh", torch.float64, 64, True),
        ("shift_leaky_relu", torch.float64, 1, False),
    ):
        batches = [random_edges(law, 5, 40, random).to(dtype)]
        form = TritonForm(Incidences.of(batches, 5), batches, 5, None)
        v = torch.zeros(5, samples, dtype=dtype, requires_grad=True)
        result = form.flow(torch.cat((v, v[:1]))) if traced else form.derivative(v)
        result.sum().backward()


if __name__ == "__main__":
    main()
