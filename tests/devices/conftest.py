"""The compiled devices, and layers of them in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from kcompile.devices import library


@pytest.fixture(scope="session")
def compiled_devices() -> Path:
    """The library that the package was built with."""
    found = library()
    if found is None:
        pytest.skip("built without a C compiler")
    return found
