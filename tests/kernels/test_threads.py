"""How many threads the kernel runs on."""

from __future__ import annotations

import pytest

from kcompile.errors import UsageError
from kcompile.kernels import THREADS, workers


def test_threads_are_limited_by_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(THREADS, raising=False)
    cores = workers()
    assert cores >= 1
    for said, expected in (("1", 1), ("", cores), ("1000000", cores), (str(cores), cores)):
        monkeypatch.setenv(THREADS, said)
        assert workers() == expected


@pytest.mark.parametrize("said", ["0", "-3", "many", "1.5", "1e2", " ", "9" * 5000])
def test_what_is_no_number_of_threads_is_refused(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a limit that is misspelt and ignored: the machine is then shared with nobody."""
    monkeypatch.setenv(THREADS, said)
    with pytest.raises(UsageError, match=f"{THREADS}: .* is no number of threads; name") as caught:
        workers()
    assert len(str(caught.value)) < 150
