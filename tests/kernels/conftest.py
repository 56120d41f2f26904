from __future__ import annotations

import os

import pytest

from kcompile.kernels import suites


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test that takes a ``name`` runs with each suite that this processor has."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", suites() or [""])


@pytest.fixture(autouse=True)
def _kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KCOMPILE_KERNEL", raising=False)
    if not suites():
        if os.environ.get("CI") == "true":
            pytest.fail("the package was built without a compiler")
        pytest.skip("the package was built without a compiler")
