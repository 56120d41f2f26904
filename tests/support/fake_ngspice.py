"""A stand-in for ngspice that misbehaves as the file ``behaviour`` in its folder says.

``--behaviour FILE``, in front of its other arguments, names another file. Its words are, one a
line: ``lock PATH`` (hold a lock while alive), ``ignore-sigterm``, ``noise LINES`` and ``say TEXT``
(on standard error), ``print TEXT``, ``child PATH`` (leave a child behind that holds a lock),
``fail-once PATH`` (fail where PATH is missing, and make it), ``await PATH``, ``raw KIND [NAME]``
(``run.raw`` by default), ``dump PATH`` (environment, arguments and folder), ``hang``,
``signal N``, ``exit N``.
"""

import fcntl
import json
import os
import signal
import struct
import sys
import time
from pathlib import Path

POINTS = 5
END = 1e-15


def header(points, plot="Transient Analysis", flags="real"):
    return (
        f"Title: * fake\nDate: Thu Jan  1 00:00:00  1970\nPlotname: {plot}\nFlags: {flags}\n"
        f"No. Variables: 2\nNo. Points: {points}\nVariables:\n"
        "\t0\ttime\ttime\n\t1\tv(n1)\tvoltage\nBinary:\n"
    ).encode()


def raw(kind):
    rows = [(END * (k + 1) / POINTS, 0.5 * k) for k in range(POINTS)]
    if kind == "nan":
        rows[2] = (rows[2][0], float("nan"))
    if kind == "early":
        rows = rows[:-1]
    body = b"".join(struct.pack("=dd", *row) for row in rows)
    if kind == "truncated":
        body = body[:-20]
        return header(POINTS) + body
    if kind == "empty":
        return b""
    if kind == "foreign":
        return b"\x7fELF\x00\x01" * 20
    if kind == "constants":
        return header(POINTS, plot="constants").replace(b"time\ttime", b"yes\tnotype") + body
    return header(len(rows)) + body


def hold(path):
    stream = path.open("a")  # another may hold it, and have written
    fcntl.flock(stream, fcntl.LOCK_EX)
    stream.write("held")
    stream.flush()
    return stream


def behave(text):
    held = []
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "lock":
            held.append(hold(Path(rest)))
        elif word == "ignore-sigterm":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        elif word == "noise":
            for k in range(int(rest)):
                sys.stderr.write(f"Error: harmless {k} " + "x" * 100 + "\n")
        elif word == "say":
            sys.stderr.write(rest + "\n")
        elif word == "print":
            sys.stdout.write(rest + "\n")
        elif word == "child":
            if os.fork() == 0:
                held.append(hold(Path(rest)))
                time.sleep(600)
                os._exit(0)
            while not Path(rest).exists() or not Path(rest).stat().st_size:
                time.sleep(0.005)
        elif word == "await":
            while not Path(rest).exists():
                time.sleep(0.005)
        elif word == "fail-once":
            if not Path(rest).exists():
                Path(rest).touch()
                sys.exit(1)
        elif word == "raw":
            kind, _, name = rest.partition(" ")
            Path(name or "run.raw").write_bytes(raw(kind))
        elif word == "dump":
            Path(rest).write_text(json.dumps([dict(os.environ), sys.argv[1:], str(Path.cwd())]))
        elif word == "hang":
            time.sleep(600)
        elif word == "signal":
            sys.stdout.flush()
            os.kill(os.getpid(), int(rest))
        elif word == "exit":
            sys.exit(int(rest))
        else:
            raise SystemExit(f"unknown word {word!r}")


told = Path("behaviour")
if sys.argv[1] == "--behaviour":
    told = Path(sys.argv[2])
    del sys.argv[1:3]
if sys.argv[1:] == ["--version"]:
    sys.stdout.write("******\n** ngspice-45 : a fake\n******\n")
elif sys.argv[1:] == ["-b", "probe.cir"]:
    sys.stdout.write("probe-ended\n")
else:
    behave(told.read_text())
