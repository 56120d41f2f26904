"""Captured functions: the same numbers again, whatever ran in between.

On a GPU these are CUDA graphs; elsewhere a capture that runs the work again into the same tensors.
"""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from captures import again
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from kcompile.nn import captured
from kcompile.nn.captured import Captures

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(autouse=True)
def _without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    if DEVICE == "cpu":
        monkeypatch.setattr(captured, "_capture_on", lambda _device: again)


class Counted:
    """``sum of a * tanh(b * a)`` by steps that keep results for the gradients; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, tensors: Sequence[Tensor]) -> Tensor:
        self.calls += 1
        a, b = tensors
        for _ in range(3):
            a = a * torch.tanh(b * a)
        return a


def drawn(seed: int, size: int = 4, *, grad: bool = True) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    values = [torch.randn(size, generator=random, dtype=torch.float64) for _ in range(2)]
    return [value.to(DEVICE).requires_grad_(grad) for value in values]


def gradients(result: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    return list(torch.autograd.grad(result.square().sum(), wanted))


def assert_right(result: Tensor, tensors: Sequence[Tensor]) -> None:
    """Values and gradients are, bit for bit, those of the function itself."""
    expected = Counted()(tensors)
    assert torch.equal(result, expected)
    pairs = zip(gradients(result, tensors), gradients(expected, tensors), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def run_thrice(captures: Captures, function: Counted, **how: bool) -> list[Tensor]:
    """So that the last result, which is returned with its tensors, is that of a replay."""
    for seed in range(2):
        captures.run("key", function, drawn(seed, **how))
    tensors = drawn(2, **how)
    return [captures.run("key", function, tensors), *tensors]


def test_the_second_time_it_is_captured() -> None:
    captures, function = Captures(), Counted()
    calls: list[int] = []
    for seed in range(4):
        tensors = drawn(seed)
        result = captures.run("key", function, tensors)
        calls.append(function.calls)
        assert_right(result, tensors)
    assert calls[0] == 1
    assert calls[1] > 1
    if DEVICE == "cuda":
        assert calls[1] == calls[2] == calls[3]


def test_what_ran_in_between_changes_no_gradients() -> None:
    captures, function = Captures(), Counted()
    run_thrice(captures, function)
    first, second = drawn(10), drawn(11)
    results = [captures.run("key", function, tensors) for tensors in (first, second)]
    kept = results[0].detach().clone()
    assert_right(results[0], first)
    assert_right(results[1], second)
    captures.run("key", function, drawn(12))
    assert torch.equal(results[0], kept)


def test_gradients_can_be_asked_for_twice() -> None:
    captures, function = Captures(), Counted()
    result, *tensors = run_thrice(captures, function)
    once = torch.autograd.grad(result.sum(), tensors, retain_graph=True)
    twice = torch.autograd.grad(result.sum(), tensors)
    assert all(torch.equal(a, b) for a, b in zip(once, twice, strict=True))
    assert once[0] is not twice[0]


def test_only_wanted_gradients() -> None:
    captures, function = Captures(), Counted()
    for seed in range(3):
        a, b = drawn(seed)
        a = a.detach()
        result = captures.run("key", function, [a, b])
        assert_right(result, [a, b])
    result, *_ = run_thrice(captures, function, grad=False)
    assert not result.requires_grad


def test_without_gradients_a_parameter_is_a_number() -> None:
    captures, function = Captures(), Counted()
    with torch.no_grad():
        result, *tensors = run_thrice(captures, function)
        assert torch.equal(result, Counted()(tensors))
    assert not result.requires_grad
    result, *tensors = run_thrice(captures, function)
    assert_right(result, tensors)


def test_what_inference_captured_serves_elsewhere() -> None:
    captures, function = Captures(), Counted()
    with torch.inference_mode():
        result, *tensors = run_thrice(captures, function, grad=False)
        assert torch.equal(result, Counted()(tensors))
    with torch.no_grad():
        tensors = drawn(7, grad=False)
        assert torch.equal(captures.run("key", function, tensors), Counted()(tensors))


@pytest.mark.parametrize("differs", ["key", "shape", "type"])
def test_another_function_shape_or_type_is_another_graph(differs: str) -> None:
    captures, function = Captures(), Counted()
    run_thrice(captures, function)
    calls = function.calls
    tensors = drawn(3, 5 if differs == "shape" else 4)
    if differs == "type":
        tensors = [tensor.detach().float().requires_grad_() for tensor in tensors]
    result = captures.run("other" if differs == "key" else "key", function, tensors)
    assert function.calls == calls + 1
    assert_right(result, tensors)


def test_few_graphs_are_kept() -> None:
    captures, function = Captures(), Counted()
    sizes = range(5, 5 + captured._KEPT + 1)
    for _ in range(2):
        for size in sizes:
            captures.run("key", function, drawn(0, size))
    assert len(captures._graphs) == captured._KEPT
    calls = function.calls
    captures.run("key", function, drawn(0, sizes[0]))
    assert function.calls > calls


def test_graphs_serve_as_many_numbers_of_steps_as_recipes_draw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[object] = []
    real = captured._capture_on
    monkeypatch.setattr(
        captured, "_capture_on", lambda device: (made.append(device), real(device))[1]
    )
    captures, function = Captures(), Counted()
    for _ in range(5):
        for steps in range(13):
            captures.run(steps, function, drawn(0))
    assert len(made) == 13


def test_what_was_only_asked_for_once_drives_out_no_graph() -> None:
    captures, function = Captures(), Counted()
    run_thrice(captures, function)
    for size in range(5, 5 + 2 * captured._REMEMBERED):
        captures.run("key", function, drawn(0, size))
    assert len(captures._graphs) == 1
    assert len(captures._asked) == captured._REMEMBERED


def test_what_cannot_be_captured_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []

    def too_large(work: object) -> None:
        tried.append(work)
        raise torch.OutOfMemoryError("no room for a graph")

    monkeypatch.setattr(captured, "_capture_on", lambda _device: too_large)
    captures, function = Captures(), Counted()
    for seed in range(4):
        tensors = drawn(seed)
        assert_right(captures.run("key", function, tensors), tensors)
    assert len(tried) == 1


def test_saved_tensors_that_are_watched_are_those_of_the_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Checkpointing counts what is kept: a replay in one pass and steps in the other differ."""
    captures, function = Captures(), Counted()
    tensors = drawn(0)
    for _ in range(4):
        result = checkpoint(
            lambda *given: captures.run("key", function, given), *tensors, use_reentrant=False
        )
        assert isinstance(result, Tensor)
        assert_right(result, tensors)
    monkeypatch.setattr(torch, "is_anomaly_enabled", lambda: True)
    calls = function.calls
    for _ in range(3):
        captures.run("key", function, tensors)
    assert function.calls == calls + 3
    assert not captures._asked


def test_threads_take_turns() -> None:
    captures, function = Captures(), Counted()
    run_thrice(captures, function)
    start = threading.Barrier(4)

    def work(first: int) -> bool:
        start.wait()
        for seed in range(first, first + 100):
            tensors = drawn(seed)
            result = captures.run("key", function, tensors)
            found = gradients(result, tensors)
            expected = Counted()(tensors)
            wanted = gradients(expected, tensors)
            if not all(map(torch.equal, [result, *found], [expected, *wanted])):
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(0, 400, 100)))


def test_copies_start_empty() -> None:
    captures = Captures()
    run_thrice(captures, Counted())
    for other in (
        copy.deepcopy(captures),
        copy.copy(captures),
        pickle.loads(pickle.dumps(captures)),
    ):
        function = Counted()
        result, *tensors = run_thrice(other, function)
        assert function.calls > 0
        assert_right(result, tensors)
