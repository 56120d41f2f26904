"""The compiled devices, and layers of them in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulators import built_devices


@pytest.fixture(scope="session")
def compiled_devices() -> Path:
    """The library that the package was built with."""
    return built_devices()
