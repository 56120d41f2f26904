"""A small simulator's side of the OSDI interface: loads device libraries and evaluates devices.

As a program, ``osdi.py LIBRARY...``, it loads one library after the other, says of each how many
devices it has, and evaluates every one of them once. It needs nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_U32, _REAL, _TEXT, _POINTER = ctypes.c_uint32, ctypes.c_double, ctypes.c_char_p, ctypes.c_void_p
NONE = 0xFFFFFFFF
SET, OF_INSTANCE = 1, 4
RESISTIVE = 4


class _Node(ctypes.Structure):
    _fields_ = (
        *((name, _TEXT) for name in ("name", "units", "residual_units")),
        *((name, _U32) for name in ("resist", "react", "limit_resist", "limit_react")),
        ("is_flow", ctypes.c_bool),
    )


class _Entry(ctypes.Structure):
    _fields_ = tuple((name, _U32) for name in ("row", "column", "react", "flags"))


class _Parameter(ctypes.Structure):
    _fields_ = (
        ("names", ctypes.POINTER(_TEXT)), ("aliases", _U32), ("description", _TEXT),
        ("units", _TEXT), ("flags", _U32), ("length", _U32),
    )  # fmt: skip


class _Simulation(ctypes.Structure):
    _fields_ = (
        ("parameters", _POINTER * 4), ("time", _REAL), ("voltages", _POINTER),
        ("states", _POINTER), ("next_states", _POINTER), ("flags", _U32),
    )  # fmt: skip


class _Setup(ctypes.Structure):
    _fields_ = (("flags", _U32), ("errors", _U32), ("error", _POINTER))


_LOAD = ctypes.CFUNCTYPE(None, _POINTER, _POINTER, _POINTER)
_JACOBIAN = ctypes.CFUNCTYPE(None, _POINTER, _POINTER)
_JACOBIAN_AT = ctypes.CFUNCTYPE(None, _POINTER, _POINTER, _REAL)


class Descriptor(ctypes.Structure):
    """A device as its library describes it."""

    _fields_ = (
        ("name", _TEXT),
        ("nodes", _U32), ("terminals", _U32), ("node", ctypes.POINTER(_Node)),
        ("entries", _U32), ("entry", ctypes.POINTER(_Entry)),
        ("collapsible", _U32), ("pairs", _POINTER), ("collapsed_offset", _U32),
        ("noise_sources", _POINTER), ("noises", _U32),
        ("parameters", _U32), ("instance_parameters", _U32), ("variables", _U32),
        ("parameter", ctypes.POINTER(_Parameter)),
        ("node_mapping_offset", _U32), ("entry_pointers_offset", _U32), ("states", _U32),
        ("state_offset", _U32), ("bound_step_offset", _U32), ("instance_size", _U32),
        ("model_size", _U32),
        ("access", ctypes.CFUNCTYPE(_POINTER, _POINTER, _POINTER, _U32, _U32)),
        ("setup_model", ctypes.CFUNCTYPE(None, *(_POINTER,) * 4)),
        ("setup_instance",
            ctypes.CFUNCTYPE(None, *(_POINTER,) * 3, _REAL, _U32, _POINTER, _POINTER)),
        ("eval", ctypes.CFUNCTYPE(_U32, *(_POINTER,) * 4)),
        ("load_noise", ctypes.CFUNCTYPE(None, _POINTER, _POINTER, _REAL, _POINTER)),
        ("load_residual_resist", _LOAD), ("load_residual_react", _LOAD),
        ("load_limit_resist", _LOAD), ("load_limit_react", _LOAD),
        ("load_rhs_dc", ctypes.CFUNCTYPE(None, *(_POINTER,) * 4)),
        ("load_rhs_tran", ctypes.CFUNCTYPE(None, *(_POINTER,) * 4, _REAL)),
        ("load_jacobian_resist", _JACOBIAN), ("load_jacobian_react", _JACOBIAN_AT),
        ("load_jacobian_tran", _JACOBIAN_AT),
    )  # fmt: skip


def load(path: Path) -> list[Descriptor]:
    """The devices of a library; they live as long as the process."""
    library = ctypes.CDLL(str(path))
    version = [_U32.in_dll(library, f"OSDI_VERSION_{part}").value for part in ("MAJOR", "MINOR")]
    assert version == [0, 3]
    count = _U32.in_dll(library, "OSDI_NUM_DESCRIPTORS").value
    return list((Descriptor * count).in_dll(library, "OSDI_DESCRIPTORS"))


class Instance:
    """A device between nodes of a circuit.

    Args:
        device: what it is of.
        nodes: its terminals' numbers in the circuit, 0 for ground.
        size: how many nodes the circuit has, ground included.
        parameters: of instance and model, by name.
    """

    def __init__(
        self, device: Descriptor, nodes: Sequence[int], size: int, **parameters: float
    ) -> None:
        assert len(nodes) == device.terminals
        self.device, self.size = device, size
        self._instance = ctypes.create_string_buffer(device.instance_size)
        self._model = ctypes.create_string_buffer(device.model_size)
        self._set(parameters)
        for _ in range(2):  # ngspice sets up twice, with whatever lies in memory
            said = _Setup(7, 7, 7)
            device.setup_model(None, self._model, None, ctypes.addressof(said))
            assert (said.flags, said.errors, said.error) == (0, 0, None)
            said = _Setup(7, 7, 7)
            device.setup_instance(
                None, self._instance, self._model, 300.0, len(nodes), None, ctypes.addressof(said)
            )
            assert (said.flags, said.errors, said.error) == (0, 0, None)
        mapping = (_U32 * len(nodes)).from_buffer(self._instance, device.node_mapping_offset)
        mapping[:] = list(nodes)
        self._jacobian = (_REAL * (size * size))()
        start = ctypes.addressof(self._jacobian)
        entries = (ctypes.c_uint64 * device.entries).from_buffer(
            self._instance, device.entry_pointers_offset
        )
        for k in range(device.entries):
            entry = device.entry[k]
            assert (entry.react, entry.flags) == (NONE, RESISTIVE)
            entries[k] = start + 8 * (nodes[entry.row] * size + nodes[entry.column])

    def _set(self, parameters: Mapping[str, float]) -> None:
        device, given = self.device, dict(parameters)
        for k in range(device.parameters):
            parameter = device.parameter[k]
            name, flags = parameter.names[0].decode(), parameter.flags
            of_instance = bool(flags >> 30)
            assert of_instance == (k < device.instance_parameters)
            if name not in given:
                continue
            place = device.access(
                self._instance if of_instance else None, self._model, k,
                SET | (OF_INSTANCE if of_instance else 0),
            )  # fmt: skip
            if flags & 3:
                ctypes.c_int32.from_address(place).value = int(given.pop(name))
            else:
                _REAL.from_address(place).value = given.pop(name)
        assert not given

    def stamp(self, voltages: Sequence[float]) -> tuple[list[float], list[float], list[float]]:
        """What the device adds to a circuit at ``voltages``, ground first.

        Returns:
            The currents out of all nodes, the right-hand side, and the Jacobian, row by row.
        """
        device, size = self.device, self.size
        v = (_REAL * size)(*voltages)
        at, model = ctypes.addressof(self._instance), ctypes.addressof(self._model)
        simulation = _Simulation(voltages=ctypes.addressof(v))
        if device.eval(None, at, model, ctypes.addressof(simulation)) != 0:
            raise ValueError("fatal")
        current, rhs, again = ((_REAL * size)() for _ in range(3))
        for residual in (device.load_residual_resist, device.load_residual_react,
                         device.load_limit_resist, device.load_limit_react):  # fmt: skip
            residual(at, model, current)
        device.load_rhs_dc(at, model, rhs, v)
        device.load_rhs_tran(at, model, again, v, 1e9)
        assert bytes(rhs) == bytes(again)  # NaN too
        jacobians: list[Any] = []
        for add in (
            lambda: device.load_jacobian_resist(at, model),
            lambda: device.load_jacobian_tran(at, model, 1e9),
            lambda: device.load_jacobian_react(at, model, 1e9),
        ):
            self._jacobian[:] = [0.0] * (size * size)
            add()
            jacobians.append(type(self._jacobian)(*self._jacobian))
        assert bytes(jacobians[0]) == bytes(jacobians[1])
        assert not any(jacobians[2])
        return list(current), list(rhs), list(jacobians[0])


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()  # what came before a crash is worth knowing


def _main() -> None:
    for path in sys.argv[1:]:
        _say(str(path))
        devices = load(Path(path))
        for device in devices:
            terminals = device.terminals
            needed = {"k": 0} if b"pair" in device.name else {}
            instance = Instance(device, range(1, terminals + 1), terminals + 1, **needed)
            instance.stamp([0.3 * (-1) ** k * k for k in range(terminals + 1)])
        _say(str(len(devices)))


if __name__ == "__main__":
    _main()
