"""What every test relies on."""

from __future__ import annotations

import tempfile
from collections.abc import Generator

import hypothesis
import pytest

# Machines are slow and busy at times: no test judges by the clock.
hypothesis.settings.register_profile("kcompile", deadline=None)
hypothesis.settings.load_profile("kcompile")


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """What commands leave behind on purpose goes where tests write.

    That is the folders of failed jobs, and what interrupted verifications had found.
    """
    folder = str(tmp_path_factory.mktemp("temporary"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setenv("KCOMPILE_STATE", f"{folder}/state")
        patch.setattr(tempfile, "tempdir", folder)
        yield
