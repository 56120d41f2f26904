"""What is read out of a simulator's words (as ngspice 39 and 47 write them)."""

from __future__ import annotations

from pathlib import Path

import pytest

from kcompile.simulation import Status, log

OUTPUT = """
Note: No compatibility mode selected!
Circuit: * layer 1 test
Doing analysis at TEMP = 27.000000 and TNOM = 27.000000
 Reference value :  3.19800e-16\r Reference value :  4.0e-16\rNo. of Data Rows : 211

  Measurements for Transient Analysis

n3                  =  1.465254e-01

Total iterations = 423
h1 = 6.404873152535818e-01
binary raw file "./layer1.raw"
Total iterations = 19
n5 = -1.234567890123456e-01
n6 = nan
N7 = .5
n8 = 1.5e
ngspice-39 done
"""


def test_read_outs_and_counts() -> None:
    assert log.iterations(OUTPUT) == 442
    printed = log.printed(OUTPUT)
    assert printed.pop("n6") != printed
    assert printed == {
        "n3": 0.1465254,
        "h1": 0.6404873152535818,
        "n5": -0.1234567890123456,
        "n7": 0.5,
    }


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("Error: Could not find include file nosuch.inc", Status.BAD_DECK),
        ("Error: unknown subckt: x1 n1 0 nosub", Status.BAD_DECK),
        ("Undefined parameter [nopar]", Status.BAD_DECK),
        ("Error: no such function 'nofunc' at line 3", Status.BAD_DECK),
        ("./sub_nosuch.cir: No such file or directory", Status.BAD_DECK),
        ("warning, can't find model 'nomod' from line", Status.BAD_DECK),
        ("Unable to find definition of model", Status.BAD_DECK),
        ("Error: Library ./none.osdi couldn't be loaded!", Status.BAD_DECK),
        ("Warning: singular matrix:  check node v1#branch", Status.NOT_CONVERGED),
        ("doAnalyses: TRAN:  Timestep too small; cause unrecorded.", Status.NOT_CONVERGED),
        ("Transient solution failed -", Status.NOT_CONVERGED),
        ("Error: -2 out of range for sqrt", Status.NOT_CONVERGED),
        ("malloc: Internal Error: can't allocate 80 bytes.", Status.OUT_OF_MEMORY),
    ],
)
def test_each_cause_is_known_by_its_line(line: str, status: Status) -> None:
    noise = "Note: Starting dynamic gmin stepping\nWarning: Further gmin increment\n"
    assert log.explain(f"{noise}{line}\n{noise}") == (status, " ".join(line.split()))


def test_the_cause_counts_and_not_its_consequences() -> None:
    said = """Error: no such function 'nofunc'
    Simulation interrupted due to error!
Error: circuit not parsed.
run simulation(s) aborted
"""
    assert log.explain(said) == (Status.BAD_DECK, "Error: no such function 'nofunc'")
    assert log.explain("Note: all is well\n") is None


def test_only_the_ends_of_a_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"begin\n" + b"x" * 100 + b"\nend \xff\x1b[2J\n")
    assert log.read_end(path, 9) == "end \ufffd\n[2J\n"[-9:]
    both = log.read_ends(path, 12)
    assert both.startswith("begin\n")
    assert both.endswith("end \ufffd\n[2J\n")
    assert len(both) < 40
    assert log.read_ends(path, 1000).count("begin") == 1
    assert log.read_ends(path, 100).count("x") == 100
    assert log.read_end(tmp_path / "none", 9) == ""


def test_a_quotation_stays_one_short_line() -> None:
    assert log.one_line("a\n\t b") == "a b"
    assert len(log.one_line("x" * 5000)) <= 200
    assert log.tail("\n".join(f"line {k}" for k in range(1000))).count("\n") < 50
    assert log.first_error("fine\nError: this\nError: that") == "Error: this"
    assert log.first_error("fine\nlast\n\n") == "last"
    assert log.first_error("") == ""
