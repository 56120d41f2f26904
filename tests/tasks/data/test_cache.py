"""Where fetched sets are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from kcompile.errors import UsageError
from kcompile.tasks.data import cache_folder


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"KCOMPILE_DATA": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"),
        ({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/kcompile"),
        ({"XDG_CACHE_HOME": "b", "HOME": "/c"}, "/c/.cache/kcompile"),
        ({"KCOMPILE_DATA": "", "XDG_CACHE_HOME": "", "HOME": "/c"}, "/c/.cache/kcompile"),
    ],
)
def test_where_the_cache_is(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    for name in ("KCOMPILE_DATA", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_whoever_has_no_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("KCOMPILE_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(UsageError, match="name a folder in KCOMPILE_DATA"):
        cache_folder()
