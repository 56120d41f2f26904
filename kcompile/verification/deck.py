"""A deck folder as it lies: what a report says of decks that somebody may have edited."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kcompile.errors import DeckError, UsageError
from kcompile.files import is_file, is_folder, storage_error
from kcompile.netlist import ENTRY, INPUTS, layer_file

_OPTION = re.compile(r"([a-z_]\w*)(?:\s*=\s*(\S+))?", re.IGNORECASE)
_CHOICE = re.compile(r"device family (\S+) at -O(\d+)")
_ORDER = re.compile(r"layer(\d+)\.(cir|trace)")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class DeckFacts:
    """What a deck folder holds.

    Args:
        folder: where it lies.
        elements: how many elements of each SPICE letter its decks have.
        bytes: size of its files without inputs, waveforms and compiled libraries.
        sha256: digest of the same; that of ``DeckFiles`` for a folder that nobody edited.
        options: simulator options that the decks set (None: a bare word).
        device, opt_level: what the header says, or None.
        single: whether one transient holds all layers.
    """

    folder: Path
    elements: Mapping[str, int]
    bytes: int
    sha256: str
    options: Mapping[str, float | None]
    device: str | None
    opt_level: int | None
    single: bool


def read_deck(folder: Path | str) -> DeckFacts:
    """What the deck folder holds.

    Raises:
        UsageError: there is no such folder.
        DeckError: it has no ``run.cir``.
        StorageError: a file cannot be read.
    """
    folder = Path(folder)
    if not is_folder(folder):
        raise UsageError("no such folder", where=folder, hint="name a folder of decks")
    if not is_file(folder / ENTRY):
        raise DeckError(
            f"the deck folder has no {ENTRY}", where=folder, hint="write one with kcompile netlist"
        )
    digest, size = hashlib.sha256(), 0
    elements: Counter[str] = Counter()
    options: dict[str, float | None] = {}
    try:
        for path in _files(folder):
            digest.update(path.name.encode())
            with path.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    size += len(chunk)
                    digest.update(chunk)
            if path.suffix == ".cir":
                _scan(path, elements, options)
        with (folder / ENTRY).open(encoding="utf-8", errors="replace") as stream:
            choice = _CHOICE.search(stream.read(4096))
    except OSError as error:
        raise storage_error(error, folder) from error
    return DeckFacts(
        folder,
        dict(sorted(elements.items())),
        size,
        digest.hexdigest(),
        options,
        choice[1] if choice else None,
        int(choice[2]) if choice else None,
        not is_file(folder / layer_file(1)),
    )


def _files(folder: Path) -> list[Path]:
    """Its files in the order in which they are written, then those that we do not know."""

    def place(path: Path) -> tuple[int, int, str]:
        match = _ORDER.fullmatch(path.name)
        if match:
            return (0 if match[2] == "cir" else 2), int(match[1]), ""
        return (1, 0, "") if path.name == ENTRY else (3, 0, path.name)

    found = (path for path in folder.iterdir() if path.is_file())
    left_out = {".raw", ".osdi"}
    kept = (p for p in found if p.name != INPUTS and p.suffix not in left_out and p.name[0] != ".")
    return sorted(kept, key=place)


def _scan(path: Path, elements: Counter[str], options: dict[str, float | None]) -> None:
    """Counts the elements of a deck and collects its options."""
    for line in _cards(path):
        if line[0].isalpha():
            elements[line[0].upper()] += 1
        elif line.lower().startswith(".options "):
            for name, value in _OPTION.findall(line[len(".options ") :]):
                options[name.lower()] = _number(value)


def _cards(path: Path) -> Iterator[str]:
    """The netlist lines of a deck: no title, comment, continuation or control block."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        next(stream, None)
        inside_control = False
        for text in stream:
            line = text.strip()
            lowered = line[:9].lower()
            if lowered.startswith((".control", ".endc")):
                inside_control = lowered.startswith(".control")
            elif line and not inside_control and line[0] not in "*+":
                yield line


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
