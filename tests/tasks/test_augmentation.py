"""What happens to training images, and what must not."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kcompile.errors import UsageError
from kcompile.tasks.augmentation import AUGMENTATIONS, augment


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int, channels: int, height: int, width: int) -> torch.Tensor:
    """Pictures in which every pixel has a value of its own, none of them black."""
    size = count * channels * height * width
    return torch.arange(1.0, size + 1).reshape(count, -1)


names = st.lists(st.sampled_from(sorted(AUGMENTATIONS)), max_size=3).map(tuple)
shapes = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))


@given(names, shapes, st.integers(1, 5), st.integers(0, 2**40))
def test_pictures_stay_pictures(
    chosen: tuple[str, ...], shape: tuple[int, int, int], count: int, seed: int
) -> None:
    """Width and height swapped, a sample that takes its neighbour's pixels, an input changed."""
    given_ = pictures(count, *shape)
    before = given_.clone()
    found = augment(given_, chosen, shape, generator(seed))
    assert found.shape == given_.shape
    assert found.dtype == given_.dtype
    assert torch.equal(given_, before)
    assert torch.equal(found, augment(given_, chosen, shape, generator(seed)))
    if not chosen:
        assert torch.equal(found, given_)
    per_channel = shape[1] * shape[2]
    for new, old in zip(
        found.reshape(-1, per_channel), given_.reshape(-1, per_channel), strict=True
    ):
        kept = new[new != 0]
        assert set(kept.tolist()) <= set(old.tolist())  # of the same sample and channel
        assert len(set(kept.tolist())) == len(kept)  # and none of them twice


@pytest.mark.parametrize(("name", "most"), [("shift", 2), ("crop", 4)])
def test_a_move_is_the_same_for_all_channels_and_reaches_every_offset(name: str, most: int) -> None:
    channels, height, width = 2, 7, 11
    given_ = pictures(400, channels, height, width)
    found = augment(given_, (name,), (channels, height, width), generator(3))
    seen: set[tuple[int, int]] = set()
    for new, old in zip(
        found.reshape(-1, channels, height, width), given_.reshape(-1, channels, height, width),
        strict=True,
    ):  # fmt: skip
        fitting = [
            (dy, dx)
            for dy in range(-most, most + 1)
            for dx in range(-most, most + 1)
            if torch.equal(new, moved(old, dy, dx))
        ]
        assert len(fitting) == 1
        seen.add(fitting[0])
    corners = {(-most, -most), (-most, most), (most, -most), (most, most), (0, 0)}
    assert corners <= seen
    assert len(seen) > 0.9 * (2 * most + 1) ** 2


def moved(picture: torch.Tensor, dy: int, dx: int) -> torch.Tensor:
    """What was at (y + dy, x + dx) is at (y, x); the rest is black."""
    out = torch.roll(picture, (-dy, -dx), dims=(1, 2))
    _, height, width = picture.shape
    out[:, height - max(dy, 0) :], out[:, : max(-dy, 0)] = 0.0, 0.0
    out[:, :, width - max(dx, 0) :], out[:, :, : max(-dx, 0)] = 0.0, 0.0
    return out


def test_half_of_the_pictures_are_mirrored_left_to_right() -> None:
    given_ = pictures(200, 3, 4, 5)
    found = augment(given_, ("flip",), (3, 4, 5), generator(1)).reshape(-1, 3, 4, 5)
    whole = given_.reshape(-1, 3, 4, 5)
    same = (found == whole).flatten(1).all(dim=1)
    mirrored = (found == whole.flip(3)).flatten(1).all(dim=1)
    assert bool((same ^ mirrored).all())
    assert 60 < int(same.sum()) < 140
    # Twice with the same draws is as if nothing had been.
    twice = augment(found.flatten(1), ("flip",), (3, 4, 5), generator(1))
    assert torch.equal(twice, given_)


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no augmentation 'swirl'; one of: shift, crop, flip"):
        augment(pictures(1, 1, 2, 2), ("swirl",), (1, 2, 2), generator(0))
