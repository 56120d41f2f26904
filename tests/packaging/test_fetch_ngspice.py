"""The installer of a current ngspice, against an apt that does what the test says."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fetch_ngspice
import pytest

SPINIT = """\
* Standard ngspice init file
set num_threads=8
if $?xspice_enabled
 codemodel /usr/lib/fake/ngspice/analog.cm
end
"""

DEBIAN = "Debian\tDebian\thttps://mirror.invalid/debian/"
SECURITY = "Debian\tDebian-Security\thttps://mirror.invalid/debian-security/"


@dataclass(frozen=True)
class Machine:
    """A PATH without apt, dpkg or ngspice but those of the test, and the calls that were made."""

    programs: Path
    calls: Path
    tools: Path

    def program(self, name: str, script: str) -> None:
        path = self.programs / name
        log = f'echo "{name} $*" >> "{self.calls}"\n'
        path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{log}{script}\n")
        path.chmod(0o755)

    def ngspice(self, version: int) -> None:
        self.program("ngspice", f'echo "** ngspice-{version} : Circuit level simulation program"')

    def apt(self, *, targets: str = DEBIAN, update: str = "exit 0", version: int = 47) -> None:
        """An apt that downloads one package, which unpacks into a loader that answers."""
        self.program(
            "apt-get",
            f"""\
if [ "$1" = indextargets ]; then printf '%s\\n' "{targets}"; exit 0; fi
cp "$2" "{self.calls}.conf"
sources=$(sed -n 's/^Dir::Etc::sourcelist "\\(.*\\)";$/\\1/p' "$2")
cache=$(sed -n 's/^Dir::Cache "\\(.*\\)";$/\\1/p' "$2")
cp "$sources" "{self.calls}.sources"
case "$*" in
    *update) {update} ;;
    *"--download-only install ngspice") touch "$cache/archives/ngspice_47_all.deb" ;;
esac""",
        )
        self.program("dpkg", "echo fake")
        self.program(
            "dpkg-deb",
            f"""\
test "$1" = --extract || exit 1
library="$3/usr/lib/fake" scripts="$3/usr/share/ngspice/scripts"
mkdir -p "$library/ngspice" "$scripts" "$3/usr/bin"
cat > "$scripts/spinit" <<'END'
{SPINIT}END
cat > "$library/ld-linux-fake.so.2" <<'END'
#!/bin/sh
test "$1" = --library-path -a -d "$2/ngspice" -a -d "$KCOMPILE_CODEMODELS" || exit 9
grep -q num_threads=1 "$SPICE_SCRIPTS/spinit" || exit 8
case "$4" in
    --version) echo "** ngspice-{version} : Circuit level simulation program" ;;
    *) echo "Using KLU as Direct Linear Solver"; echo "out[length(out)-1] = 1.896362e+00" ;;
esac
END
chmod 755 "$library/ld-linux-fake.so.2\"""",
        )

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    programs = tmp_path / "programs"
    programs.mkdir()
    for tool in ("grep", "readlink"):
        (programs / tool).symlink_to(shutil.which(tool) or tool)
    monkeypatch.setenv("PATH", str(programs))
    return Machine(programs, tmp_path / "calls", tmp_path / "a checkout" / ".tools")


@pytest.fixture
def fetch(machine: Machine, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    def call(*arguments: str) -> tuple[str, str]:
        assert fetch_ngspice.main(["--tools", str(machine.tools), *arguments]) == 0
        return capsys.readouterr()

    return call


def left(machine: Machine) -> list[str]:
    folder = machine.tools
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_installs_and_runs_after_a_move(
    machine: Machine, fetch: Callable[..., tuple[str, str]], tmp_path: Path
) -> None:
    machine.ngspice(39)
    machine.apt()
    out, err = fetch()
    assert out.startswith("ngspice 47 is in ")
    assert not err
    assert left(machine) == ["ngspice"]
    moved = tmp_path / "another place"
    machine.tools.parent.rename(moved)
    link = tmp_path / "link"
    link.symlink_to(moved / ".tools" / "ngspice" / "bin" / "ngspice")
    for program in (link, link.readlink()):
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        assert "ngspice-47" in told.stdout


def test_second_run_downloads_nothing(
    machine: Machine, fetch: Callable[..., tuple[str, str]]
) -> None:
    machine.ngspice(39)
    machine.apt()
    fetch()
    calls = machine.called()
    out, _ = fetch()
    assert "nothing to do" in out
    assert not any(call.startswith("apt-get") for call in machine.called()[len(calls) :])


def test_current_system_ngspice_is_enough(
    machine: Machine, fetch: Callable[..., tuple[str, str]]
) -> None:
    machine.ngspice(45)
    machine.apt()
    out, err = fetch()
    assert "the system's ngspice 45 is current" in out
    assert not err
    assert left(machine) == []


def test_old_version_on_the_mirror_is_not_installed(
    machine: Machine, fetch: Callable[..., tuple[str, str]]
) -> None:
    machine.ngspice(39)
    machine.apt(version=44)
    out, err = fetch()
    assert not out
    assert "newest ngspice is 44" in err
    assert left(machine) == []


def test_signatures_are_always_checked(
    machine: Machine, fetch: Callable[..., tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring = machine.programs / "keyring.gpg"
    keyring.touch()
    monkeypatch.setattr(fetch_ngspice, "KEYRINGS", (keyring,))
    machine.apt(targets=f"{SECURITY}\n{DEBIAN}\n{DEBIAN}")
    fetch()
    sources = machine.calls.with_suffix(".sources").read_text()
    assert sources.splitlines() == [
        "Types: deb",
        "URIs: https://mirror.invalid/debian/",
        "Suites: sid",
        "Components: main",
        f"Signed-By: {keyring}",
    ]
    configuration = machine.calls.with_suffix(".conf").read_text()
    for setting in (
        "Acquire::AllowInsecureRepositories",
        "Acquire::AllowWeakRepositories",
        "Acquire::AllowDowngradeToInsecureRepositories",
        "APT::Get::AllowUnauthenticated",
    ):
        assert f'{setting} "false";' in configuration


def test_without_a_valid_signature_nothing_is_installed(
    machine: Machine, fetch: Callable[..., tuple[str, str]]
) -> None:
    machine.ngspice(39)
    machine.apt(update="echo 'Get:1 sid'; echo 'E: sid is not signed.' >&2; exit 100")
    out, err = fetch()
    assert not out
    assert err.count("\n") == 1
    assert err.startswith("warning: ")
    assert "E: sid is not signed." in err
    assert "ngspice 39 does the rest" in err
    assert left(machine) == []


def test_no_debian_mirror_is_only_a_warning(
    machine: Machine, fetch: Callable[..., tuple[str, str]]
) -> None:
    machine.apt(targets="Ubuntu\tUbuntu\thttps://mirror.invalid/ubuntu/")
    _, err = fetch()
    assert "no Debian mirror" in err
    assert "none is on PATH either" in err
    assert all("update" not in call for call in machine.called())


def test_mirror_whose_lists_were_never_updated_is_tried(
    machine: Machine, fetch: Callable[..., tuple[str, str]]
) -> None:
    machine.apt(targets="\\$(ORIGIN)\t\\$(LABEL)\thttps://mirror.invalid/debian/")
    out, _ = fetch()
    assert "ngspice 47" in out


def test_no_apt_is_only_a_warning(machine: Machine, fetch: Callable[..., tuple[str, str]]) -> None:
    machine.ngspice(42)
    _, err = fetch()
    assert "there is no apt-get here" in err
    assert "ngspice 42 does the rest" in err


@pytest.mark.parametrize(
    "answer",
    ['echo "out[1010] = 3.0"; echo KLU', 'echo "out[1010] = 1.896362"', "exit 1", "kill -9 $$"],
)
def test_what_computes_wrongly_does_not_replace_what_works(
    machine: Machine, fetch: Callable[..., tuple[str, str]], answer: str
) -> None:
    machine.apt()
    fetch()
    works = machine.tools / "ngspice"
    before = sorted(works.rglob("*"))
    unpack = (machine.programs / "dpkg-deb").read_text()
    right = unpack[unpack.index('echo "Using KLU') : unpack.index(" ;;\nesac")]
    (machine.programs / "dpkg-deb").write_text(unpack.replace(right, answer))
    _, err = fetch("--force")
    assert err.startswith("warning: ")
    assert sorted(works.rglob("*")) == before
    assert left(machine) == ["ngspice"]


def test_hanging_download_is_ended_with_its_children(
    machine: Machine, fetch: Callable[..., tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_ngspice, "DOWNLOAD_SECONDS", 1)
    machine.apt(update=f'sleep 600 & echo $! > "{machine.calls}.pid"; wait')
    _, err = fetch()
    assert "apt-get took more than 1 s" in err
    assert left(machine) == []
    child = int(machine.calls.with_suffix(".pid").read_text())
    for _ in range(100):  # the killed child is gone once init has collected it
        if not Path(f"/proc/{child}").exists() or _state(child) == "Z":
            break
        time.sleep(0.05)
    else:
        pytest.fail("the child of the killed apt-get still runs")


def test_unwritable_place_is_only_a_warning(
    machine: Machine, fetch: Callable[..., tuple[str, str]]
) -> None:
    machine.apt()
    machine.tools.parent.mkdir()
    machine.tools.write_text("a file where the folder should be")
    _, err = fetch()
    assert err.startswith("warning: ")
    assert machine.tools.read_text() == "a file where the folder should be"


def test_start_up_file_finds_its_code_models_wherever_it_lies() -> None:
    text = fetch_ngspice.relocated(SPINIT)
    assert " codemodel $KCOMPILE_CODEMODELS/analog.cm\nend\n" in text
    assert "set num_threads=1\n" in text
    assert "/usr/lib" not in text
    assert "set num_threads=1\n" in fetch_ngspice.relocated("* nothing here\n")


def test_needs_nothing_but_the_standard_library() -> None:
    script = Path(fetch_ngspice.__file__)
    done = subprocess.run(
        [sys.executable, "-I", "-S", script, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
