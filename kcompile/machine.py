"""How much memory this machine has left."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes that further programs can take without swapping; None where nobody says.

    On Linux the kernel's own figure, or what the control group of a container has left, whichever
    is less; elsewhere the machine's free memory, or half of what it has.

    Args:
        root: where ``proc`` and ``sys`` lie.
    """
    found = [figure for figure in (_kernel(root), _group(root)) if figure is not None]
    if found:
        return max(0, min(found))
    for name, share in (("SC_AVPHYS_PAGES", 1.0), ("SC_PHYS_PAGES", 0.5)):
        with suppress(ValueError, OSError, AttributeError):
            return int(os.sysconf(name) * os.sysconf("SC_PAGE_SIZE") * share)
    return None


def _kernel(root: Path) -> int | None:
    for line in _text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return None


def _group(root: Path) -> int | None:
    """What the tightest of the process's control groups has left."""
    found: list[int] = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            base, limit, used = root / "sys/fs/cgroup", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            limit, used = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        # Within a container the path is often the host's: the root is the container's own group.
        folder = base / path.lstrip("/")
        for group in (folder, *folder.parents):
            figures = _number(group / limit), _number(group / used)
            if figures[0] is not None and figures[1] is not None:
                found.append(figures[0] - figures[1] + _cached(group))
            if group == base:
                break
    return min(found, default=None)


def _cached(group: Path) -> int:
    """Bytes of files that a group would give back."""
    for line in _text(group / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
