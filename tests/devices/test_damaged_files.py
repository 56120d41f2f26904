"""Side files that are cut, damaged or wrong: the library has no device then, and says why.

The library reads what lies beside it while the simulator opens it, where nothing else can be done
than not to crash, and to say one line.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sidefiles import HEADER, SECTIONS, sample, sealed, sections

from kcompile.devices import Gates, Grain, encode

SUPPORT = Path(__file__).parents[1] / "support"
SOURCES = Path(__file__).parents[2] / "kcompile" / "devices" / "native"
NODES = 5


def good(grain: Grain = Grain.LAYER, pairs: int = 5, seed: int = 3, **more: bool | Gates) -> bytes:
    data = sample(np.random.default_rng(seed), NODES, pairs)
    options = {"diagonal": False, "gates": Gates.NONE, **more}
    return b"".join(encode(data, f"kc_{grain.name.lower()}", grain, nodes=NODES, **options))


def changed(content: bytes, name: str, index: int, value: float, kind: type | None = None) -> bytes:
    """The same with another number in a section, and the checksum that belongs to it."""
    names = [section for section, _, _ in SECTIONS]
    at = sections(content)[names.index(name)]
    values = np.frombuffer(content[at], kind or SECTIONS[names.index(name)][1]).copy()
    values[index] = value
    return sealed(content[: at.start] + values.tobytes() + content[at.stop :])


def headed(content: bytes, **fields: int | bytes) -> bytes:
    """The same with other fields in its header, and the checksum that belongs to it."""
    names = ("magic", "version", "order", "grain", "diagonal", "gates", "nodes", "pairs", "knots",
             "edges", "name", "checksum", "zero")  # fmt: skip
    values = dict(zip(names, HEADER.unpack_from(content), strict=True))
    values.update(fields)
    return sealed(HEADER.pack(*values.values()) + content[HEADER.size :])


def cut() -> Iterator[bytes]:
    """At every boundary between sections, beside each, and anywhere."""
    content = good()
    ends = [0, HEADER.size, *(part.stop for part in sections(content))]
    near = {end + step for end in ends for step in (-8, -1, 0, 1, 8)}
    anywhere = np.random.default_rng(1).integers(0, len(content), 40).tolist()
    for length in sorted({*near, *anywhere}):
        if 0 <= length < len(content):
            yield content[:length]
            yield sealed(content[:length]) if length >= HEADER.size else content[:length]
    for more in (1, 8, 4096):
        yield content + bytes(more)
        yield sealed(content + bytes(more))


def flipped() -> Iterator[bytes]:
    """Every bit of the header but one each byte, and bits anywhere behind it."""
    content = good()
    random = np.random.default_rng(2)
    places = [*range(HEADER.size), *random.integers(HEADER.size, len(content), 60).tolist()]
    for place in places:
        byte = content[place] ^ (1 << int(random.integers(8)))
        yield content[:place] + bytes([byte]) + content[place + 1 :]


_WRONG: Mapping[str, tuple[str, Callable[[bytes], bytes]]] = {
    "foreign": ("no side file", lambda c: headed(c, magic=b"KCLAYER\r")),
    "version": ("version 2, this library reads 1", lambda c: headed(c, version=2)),
    "swapped": ("another order of bytes", lambda c: headed(c, order=0x04030201)),
    "grain": ("unknown grain 3", lambda c: headed(c, grain=3)),
    "no-grain": ("unknown grain 0", lambda c: headed(c, grain=0)),
    "diagonal": ("neither 0 nor 1", lambda c: headed(c, diagonal=2)),
    "gates": ("unknown gates 3", lambda c: headed(c, gates=3)),
    "many-gates": ("unknown gates 2147483648", lambda c: headed(c, gates=1 << 31)),
    "zero": ("neither 0 nor 1", lambda c: headed(c, zero=1)),
    "no-nodes": ("beyond all reason", lambda c: headed(c, nodes=0)),
    "many-nodes": ("beyond all reason", lambda c: headed(c, nodes=2**32 - 1)),
    "few-nodes": ("a node that there is not", lambda c: headed(c, nodes=1)),
    "many-pairs": ("beyond all reason", lambda c: headed(c, pairs=2**64 - 1)),
    "many-knots": ("beyond all reason", lambda c: headed(c, knots=2**61)),
    "many-edges": ("beyond all reason", lambda c: headed(c, edges=2**31 + 1)),
    "much": ("where its header says", lambda c: headed(c, pairs=2**31, knots=2**31, edges=2**31)),
    "wrapped": ("beyond all reason", lambda c: headed(c, knots=2**64 - 3)),
    "no-name": ("name is none", lambda c: headed(c, name=b"")),
    "endless-name": ("name is none", lambda c: headed(c, name=b"x" * 32)),
    "odd-name": ("name is none", lambda c: headed(c, name=b"%s%n")),
    "high-name": ("name is none", lambda c: headed(c, name=b"\xff\xfe")),
    "from-ground": ("a node that there is not", lambda c: changed(c, "high", 2, 0)),
    "high": ("a node that there is not", lambda c: changed(c, "high", 4, NODES + 1)),
    "highest": ("a node that there is not", lambda c: changed(c, "high", 0, 2**32 - 1)),
    "low": ("a node that there is not", lambda c: changed(c, "low", 0, NODES + 1)),
    "loop": ("joins a node with itself", lambda c: changed(changed(c, "high", 0, 4), "low", 0, 4)),
    "first-knots": ("offsets out of order", lambda c: changed(c, "knots", 0, 1)),
    "last-knots": ("offsets out of order", lambda c: changed(c, "knots", -1, 0)),
    "knots": ("offsets out of order", lambda c: changed(c, "knots", 2, 2**63)),
    "edges": ("offsets out of order", lambda c: changed(c, "edges", 1, 2**64 - 1, np.uint64)),
    "last-edges": ("offsets out of order", lambda c: changed(c, "edges", -1, 2**32)),
    "phi": ("unknown nonlinearity 4", lambda c: changed(c, "phi", 1, 4)),
    "phis": ("unknown nonlinearity 255", lambda c: changed(c, "phi", 0, 255)),
    **{
        f"{name}-{value}": (
            "not finite",
            lambda c, name=name, value=value: changed(c, name, 1, value),
        )
        for name in ("knot", "slope", "offset", "w", "a", "b", "c")
        for value in (np.nan, np.inf, -np.inf)
    },
}  # fmt: skip


def wrong(name: str) -> bytes:
    """A file that is wrong in a way that its checksum does not tell."""
    return _WRONG[name][1](good())


def unsorted() -> bytes:
    """A pair's kinks from right to left."""
    data = sample(np.random.default_rng(3), NODES, 5)
    pair = int(np.flatnonzero(np.diff(data.knots) > 1)[0])
    kinks = data.knot.copy()
    part = slice(data.knots[pair], data.knots[pair + 1])
    kinks[part] = kinks[part][::-1]
    return b"".join(
        encode(
            replace(data, knot=kinks), "kc", Grain.LAYER, nodes=5, diagonal=False, gates=Gates.NONE
        )
    )


@pytest.fixture(scope="module")
def sanitised(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The library built to complain of any access or arithmetic that is undefined."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no gcc")
    runtime = subprocess.run(
        [compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    library = tmp_path_factory.mktemp("sanitised") / "devices.so"
    flags = ("-std=gnu11", "-O1", "-g", "-fPIC", "-shared", "-fvisibility=hidden",
             "-fsanitize=address,undefined", "-fno-sanitize-recover=all")  # fmt: skip
    built = subprocess.run(
        [compiler, *flags, *sorted(SOURCES.glob("*.c")), "-o", library, "-lm", "-ldl"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if built.returncode != 0 or not Path(runtime).is_file():
        pytest.skip("this gcc has no sanitizers")
    # The interpreter itself keeps memory until it ends.
    return library, {"LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0"}


@pytest.fixture(params=["built", "sanitised"])
def tried(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., list[tuple[int, str]]]:
    """Loads libraries beside side files: how many devices each has, and what it says."""
    library, more = (
        (request.getfixturevalue("compiled_devices"), {})
        if request.param == "built"
        else request.getfixturevalue("sanitised")
    )

    def trial(contents: list[bytes | None]) -> list[tuple[int, str]]:
        stems = [tmp_path / f"layer{k}" for k in range(len(contents))]
        for stem, content in zip(stems, contents, strict=True):
            shutil.copy(library, stem.with_suffix(".osdi"))
            if content is not None:
                stem.with_suffix(".dat").write_bytes(content)
        done = subprocess.run(
            [sys.executable, "-I", "-S", SUPPORT / "osdi.py",
             *(stem.with_suffix(".osdi") for stem in stems)],
            env={**os.environ, **more}, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (done.stdout[-300:], done.stderr[-3000:])
        said: dict[str, str] = {}
        for line in done.stderr.splitlines():
            match = re.fullmatch(r"Error: (.*)\.dat: (.*)", line)
            assert match is not None, line
            assert match[1] not in said, "more than one line"
            said[match[1]] = match[2]
        words = done.stdout.splitlines()
        counts = dict(zip(words[::2], map(int, words[1::2]), strict=True))
        return [(counts[f"{stem}.osdi"], said.get(str(stem), "")) for stem in stems]

    return trial


def test_good_files_give_one_device(tried: Callable[..., list[tuple[int, str]]]) -> None:
    """Catches tests that are passed by a library that refuses everything."""
    flags = itertools.product(list(Grain), (False, True), list(Gates), (1, 5))
    contents = [
        good(grain, pairs, diagonal=diagonal, gates=gates)
        for grain, diagonal, gates, pairs in flags
    ]
    contents += [good(seed=seed, pairs=seed) for seed in range(8)]
    assert tried(contents) == [(1, "")] * len(contents)


def test_cut_and_prolonged_files(tried: Callable[..., list[tuple[int, str]]]) -> None:
    for count, said in tried(list(cut())):
        assert count == 0
        assert re.fullmatch(r"too short for a side file|\d+ bytes where its header says \d+", said)


def test_flipped_bits(tried: Callable[..., list[tuple[int, str]]]) -> None:
    found = tried(list(flipped()))
    assert {count for count, _ in found} == {0}
    assert all(said for _, said in found)
    # Behind the header nothing but the checksum tells.
    assert {said for _, said in found[HEADER.size :]} == {"damaged: its checksum is wrong"}


def test_wrong_files_with_the_right_checksum(tried: Callable[..., list[tuple[int, str]]]) -> None:
    found = tried([wrong(name) for name in _WRONG])
    for (name, (words, _)), (count, said) in zip(_WRONG.items(), found, strict=True):
        assert count == 0, name
        assert words in said, name
        assert len(said) < 80, name


def test_kinks_out_of_order(tried: Callable[..., list[tuple[int, str]]]) -> None:
    assert tried([unsorted()]) == [(0, "kinks out of order")]


def test_no_file_and_no_content(tried: Callable[..., list[tuple[int, str]]]) -> None:
    found = tried([None, b"", b"KCLAYER\n", os.urandom(4096)])
    assert [count for count, _ in found] == [0, 0, 0, 0]
    assert found[0][1] == "cannot be opened: No such file or directory"
    assert found[1][1] == found[2][1] == "too short for a side file"
    assert found[3][1] == "no side file"


def test_random_numbers_anywhere_under_the_right_checksum(
    tried: Callable[..., list[tuple[int, str]]],
) -> None:
    """Whatever a file says, the library refuses it, or has a device that can be evaluated."""
    random = np.random.default_rng(4)
    contents: list[bytes | None] = []
    for _ in range(150):
        content = bytearray(good(Grain(int(random.integers(1, 3))), seed=int(random.integers(99))))
        for _ in range(int(random.integers(1, 4))):
            place = int(random.integers(8, len(content) - 8))
            word = random.bytes(8) if random.random() < 0.5 else bytes(int(random.integers(1, 8)))
            content[place : place + len(word)] = word
        contents.append(sealed(bytes(content)))
    for count, said in tried(contents):
        assert (count == 0) == bool(said)


def test_not_as_a_device_library_it_reads_nothing(compiled_devices: Path) -> None:
    """Catches a library that complains when something but a simulator opens it."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", SUPPORT / "osdi.py", compiled_devices],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split()[-1] == "0"
