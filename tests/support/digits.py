"""A tiny folder of digits as torchvision leaves one."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

RANDOM = np.random.default_rng(11)
IMAGES = RANDOM.integers(256, size=(6, 28, 28), dtype=np.uint8)
"""Three images to train with and three to test with."""
LABELS = np.array([2, 7, 1, 2, 0, 2], dtype=np.uint8)


def write_digits(folder: Path) -> Path:
    """Writes them in MNIST's own format; gives the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, rows in (("train", slice(3)), ("t10k", slice(3, None))):
        for name, values in (("images-idx3", IMAGES[rows]), ("labels-idx1", LABELS[rows])):
            head = bytes([0, 0, 8, values.ndim])
            shape = struct.pack(f">{values.ndim}I", *values.shape)
            (folder / f"{part}-{name}-ubyte").write_bytes(head + shape + values.tobytes())
    return folder
