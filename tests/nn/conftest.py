from __future__ import annotations

from collections.abc import Iterator

import pytest

from kcompile.nn.threads import one_thread


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small networks on several threads wait for each other more than they compute."""
    with one_thread():
        yield
