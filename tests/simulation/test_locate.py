"""Which ngspice is found, in which order, and what it is asked."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kcompile.errors import SimulatorNotFound, UsageError
from kcompile.simulation import Ngspice, find_ngspice, locate
from kcompile.simulation.locate import VARIABLE

Maker = Callable[..., Path]


@pytest.fixture
def program(tmp_path: Path) -> Maker:
    """Makes shell scripts that answer like an ngspice."""

    def make(
        place: Path, version: str = "45", *, probe: str = "echo probe-ended", mode: int = 0o755
    ) -> Path:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(
            "#!/bin/sh\n"
            f'if [ "$1" = --version ]; then echo "** ngspice-{version} : fake"; exit 0; fi\n'
            f"{probe}\n"
        )
        place.chmod(mode)
        return place

    return make


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder, a package folder and a PATH without any ngspice."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv(VARIABLE, raising=False)
    package = tmp_path / "checkout" / "kcompile" / "simulation" / "locate.py"
    monkeypatch.setattr(locate, "__file__", str(package))
    return tmp_path


def test_the_order_of_places(
    nowhere: Path, program: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SimulatorNotFound, match="make ngspice"):
        find_ngspice()
    tools = Path(".tools", "ngspice", "bin", "ngspice")
    program(nowhere / "bin" / "ngspice", "41")
    assert find_ngspice().version == 41
    program(nowhere / "here" / tools, "42")
    assert find_ngspice().version == 41  # anybody may have made the current folder
    program(nowhere / "checkout" / tools, "43")
    assert find_ngspice().version == 43
    monkeypatch.setenv(VARIABLE, str(program(nowhere / "other", "44.2")))
    assert find_ngspice().version == 44
    assert find_ngspice(program(nowhere / "named", "47+")).version == 47
    monkeypatch.setenv(VARIABLE, "")
    assert find_ngspice().version == 43


def test_the_path_is_absolute_for_jobs_run_elsewhere(nowhere: Path, program: Maker) -> None:
    program(nowhere / "here" / "my-ngspice")
    found = find_ngspice("my-ngspice")
    assert found.path == nowhere / "here" / "my-ngspice"
    assert isinstance(found, Ngspice)


def test_a_named_program_that_is_not_there_is_never_passed_over(
    nowhere: Path, program: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(nowhere / "bin" / "ngspice")
    for wrong in (nowhere / "none", nowhere / "bin"):
        with pytest.raises(UsageError, match="no such file") as caught:
            find_ngspice(wrong)
        assert caught.value.exit_status == 2
    monkeypatch.setenv(VARIABLE, str(nowhere / "none"))
    with pytest.raises(SimulatorNotFound, match=VARIABLE) as lost:
        find_ngspice()
    assert lost.value.exit_status == 4


def test_a_broken_local_program_is_never_passed_over(nowhere: Path, program: Maker) -> None:
    program(nowhere / "bin" / "ngspice")
    program(nowhere / "checkout" / ".tools" / "ngspice" / "bin" / "ngspice", probe="exit 127")
    with pytest.raises(SimulatorNotFound, match=r"\.tools.*trivial deck"):
        find_ngspice()


@pytest.mark.skipif(os.name != "posix" or os.access("/dev/null", os.X_OK), reason="needs modes")
def test_a_program_that_may_not_be_executed(nowhere: Path, program: Maker) -> None:
    with pytest.raises(SimulatorNotFound, match="not executable"):
        find_ngspice(program(nowhere / "plain", mode=0o644))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("#!/bin/sh\necho hello\n", "is not ngspice"),
        ("#!/bin/sh\nexit 1\n", "is not ngspice"),
        ("#!/bin/sh\necho 'ngspice-38 : old'\n", "older than 39"),
        ("#!/none/such\n", "cannot be started"),
        ("\x7fELF", "cannot be started"),
    ],
)
def test_what_is_no_ngspice_is_refused(nowhere: Path, content: str, message: str) -> None:
    place = nowhere / "odd"
    place.write_text(content)
    place.chmod(0o755)
    with pytest.raises(SimulatorNotFound, match=message) as caught:
        find_ngspice(place)
    assert caught.value.hint is not None


def test_one_that_never_answers_is_given_up(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locate, "_PATIENCE", 0.3)
    monkeypatch.setenv("PATH", os.defpath)
    place = nowhere / "slow"
    place.write_text("#!/bin/sh\nsleep 600\n")
    place.chmod(0o755)
    with pytest.raises(SimulatorNotFound, match="does not answer"):
        find_ngspice(place)


def test_it_is_asked_once_until_the_file_changes(nowhere: Path, program: Maker) -> None:
    log = nowhere / "log"
    place = program(nowhere / "counted", "45", probe=f"echo asked >> {log}\necho probe-ended")
    for _ in range(3):
        assert find_ngspice(place).version == 45
    assert log.read_text() == "asked\n"
    program(place, "46", probe=f"echo asked >> {log}\necho probe-ended")
    os.utime(place, ns=(1, 1))
    assert find_ngspice(place).version == 46


@pytest.mark.parametrize(
    ("version", "said", "features"),
    [
        ("45", "osdi: no such command available in ngspice", set[str]()),
        ("45", "Error opening osdi lib", {"osdi"}),
        ("45\n** Compiled with KLU Direct Linear Solver", "sidiode - simple diode",
         {"klu", "osdi", "xspice"}),
    ],
)  # fmt: skip
def test_features_are_found_by_asking(
    nowhere: Path, program: Maker, version: str, said: str, features: set[str]
) -> None:
    place = program(nowhere / "able", version, probe=f"echo '{said}'\necho probe-ended")
    found = find_ngspice(place)
    assert found.features == features
    assert found.banner.startswith("ngspice-45")


def test_the_real_one_says_what_it_can(ngspice: Ngspice) -> None:
    assert ngspice.version >= 39
    assert ngspice.features <= {"klu", "osdi", "xspice"}
    assert ("klu" in ngspice.features) == ("KLU" in ngspice.banner)
    assert ngspice.version >= 42 or "osdi" not in ngspice.features
