"""What happens to images in training: the same label, another picture every time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from kcompile.errors import UsageError

Shape = tuple[int, int, int]

_SHIFT = 2
_CROP = 4


def _moved(images: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Each image moved by up to ``most`` pixels along both axes, black where it moved away."""
    count, channels, height, width = images.shape
    padded = functional.pad(images, (most, most, most, most))
    rows, columns = torch.randint(0, 2 * most + 1, (2, count), generator=generator)
    y = (rows[:, None] + torch.arange(height))[:, None, :, None]
    x = (columns[:, None] + torch.arange(width))[:, None, None, :]
    sample = torch.arange(count)[:, None, None, None]
    channel = torch.arange(channels)[None, :, None, None]
    return padded[sample, channel, y, x]


def _shift(images: Tensor, generator: torch.Generator) -> Tensor:
    return _moved(images, _SHIFT, generator)


def _crop(images: Tensor, generator: torch.Generator) -> Tensor:
    return _moved(images, _CROP, generator)


def _flip(images: Tensor, generator: torch.Generator) -> Tensor:
    turned = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(turned[:, None, None, None], images.flip(3), images)


AUGMENTATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "shift": _shift,
    "crop": _crop,
    "flip": _flip,
}
"""By name: ``shift`` moves up to 2 pixels, ``crop`` cuts out of a frame padded by 4 (which moves up
to 4 pixels), ``flip`` mirrors every other image."""


def augment(inputs: Tensor, names: tuple[str, ...], shape: Shape, seed: torch.Generator) -> Tensor:
    """Images ``[S, c*h*w]`` changed by each augmentation in turn; the generator decides how.

    Raises:
        UsageError: there is no such augmentation.
    """
    images = inputs.reshape(-1, *shape)
    for name in names:
        if name not in AUGMENTATIONS:
            raise UsageError(
                f"no augmentation {name!r}", hint=f"one of: {', '.join(AUGMENTATIONS)}"
            )
        images = AUGMENTATIONS[name](images, seed)
    return images.reshape(len(inputs), -1)
