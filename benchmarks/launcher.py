"""Runs a command and writes what it took into a file: ``python -I -S launcher.py FILE COMMAND...``.

A process of its own, and a small one, because a child's largest resident set is never less than
that of the process that started it.
"""

import json
import os
import sys
import time
from pathlib import Path

_UNIT = 1 if sys.platform == "darwin" else 1024


def main() -> None:
    report, *command = sys.argv[1:]
    began = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - began
    figures = {
        "status": os.waitstatus_to_exitcode(status),
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss * _UNIT,
    }
    Path(report).write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
