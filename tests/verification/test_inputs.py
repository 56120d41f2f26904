"""Which samples a network is judged on, and bad ones that are refused with one line."""

from __future__ import annotations

import io
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from circuits import make_model
from hypothesis import given, settings
from hypothesis import strategies as st

from kcompile.errors import InputError, StorageError, UsageError
from kcompile.frontend.model import Samples
from kcompile.frontend.software import Linear, Software
from kcompile.verification import choose_inputs, default_inputs, read_inputs

GOOD = np.array([[0.5, -0.25], [1.0, 2.0], [0.0, 0.125]])


@pytest.fixture
def model():
    return make_model()


def write(path, array):
    np.save(path, array)
    return path


def test_one_sample_and_several(tmp_path, model):
    one = read_inputs(write(tmp_path / "one.npy", GOOD[0]), model)
    several = read_inputs(write(tmp_path / "several.npy", GOOD.astype(np.float32)), model)
    np.testing.assert_array_equal(one, GOOD[:1])
    np.testing.assert_array_equal(several, GOOD)
    assert several.dtype == np.float64


def test_the_suffix_does_not_decide(tmp_path, model):
    path = tmp_path / "inputs.txt"
    with path.open("wb") as stream:
        np.savez_compressed(stream, GOOD)
    np.testing.assert_array_equal(read_inputs(path, model), GOOD)


def test_an_archive_of_several_arrays_is_asked_for_inputs(tmp_path, model):
    path = tmp_path / "a.npz"
    np.savez(path, targets=GOOD[:, 0], inputs=GOOD)
    np.testing.assert_array_equal(read_inputs(path, model), GOOD)
    np.savez(path, a=GOOD, b=GOOD)
    with pytest.raises(InputError, match=r"a\.npz: it holds 2 arrays, none of them called inputs"):
        read_inputs(path, model)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3)), r"shape \[2, 3\]; this network takes \[2\] or \[samples, 2\]"),
        (np.zeros(3), r"shape \[3\]"),
        (np.zeros((0, 2)), r"shape \[0, 2\]"),
        (np.zeros((1, 1, 2)), r"shape \[1, 1, 2\]"),
        (np.float64(1.0), r"shape \[\]"),
        (np.array([[0.0, np.nan]]), "value 1 of sample 0 is nan"),
        (np.array([[0.0, 0.0], [-np.inf, 0.0]]), "value 0 of sample 1 is -inf"),
        (np.array(["a", "b"]), "values of type <U1"),
        (np.array([1j, 0]), "values of type complex128"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, model, array, message):
    with pytest.raises(InputError, match=message) as caught:
        read_inputs(write(tmp_path / "bad.npy", array), model)
    assert "bad.npy" in str(caught.value)
    assert caught.value.exit_status == 3


def malicious() -> bytes:
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the file was executed",))

    stream = io.BytesIO()
    np.save(stream, np.array([Bomb()], dtype=object), allow_pickle=True)
    return stream.getvalue()


def archive_with_rubbish() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("inputs.npy", b"rubbish")
    return stream.getvalue()


def saved() -> bytes:
    stream = io.BytesIO()
    np.save(stream, GOOD)
    return stream.getvalue()


def compressed() -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, inputs=GOOD)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"0.5 -0.25\n",
        saved()[:-5],
        saved()[:7],
        compressed()[:-30],
        compressed().replace(compressed()[60:70], b"\0" * 10),
        archive_with_rubbish(),
        malicious(),
        pickle.dumps([1.0, 2.0]),
        saved().replace(b"(3, 2)", b"(9999999999999999999, 2)"[:6]),
    ],
)
def test_cut_foreign_and_malicious_files(tmp_path, model, content):
    path = tmp_path / "bad.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.npy") as caught:
        read_inputs(path, model)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there(tmp_path, model):
    with pytest.raises(UsageError, match="no such file"):
        read_inputs(tmp_path / "none.npy", model)
    with pytest.raises((UsageError, StorageError), match="is a folder"):
        read_inputs(tmp_path, model)


def test_generative_tasks_draw_and_a_prefix_stays_the_same(model):
    drawing = replace(model, task="twomoon")
    eight = default_inputs(drawing)
    assert eight.shape == (8, 2)
    np.testing.assert_array_equal(default_inputs(drawing, 3), eight[:3])
    assert not np.array_equal(default_inputs(drawing, 3, seed=1), eight[:3])
    big = default_inputs(drawing, 4000)
    assert abs(big.mean()) < 0.05
    assert abs(big.std() - 1) < 0.05


def test_carried_samples_come_with_their_targets(model):
    carrying = replace(model, samples=Samples(GOOD, np.array([[1.0], [2.0], [3.0]])))
    every = choose_inputs(carrying, None)
    np.testing.assert_array_equal(every.inputs, GOOD)
    two = choose_inputs(carrying, None, 2)
    np.testing.assert_array_equal(two.inputs, GOOD[:2])
    np.testing.assert_array_equal(two.targets, [[1.0], [2.0]])
    # The same samples from a file have the same targets, others have none.
    np.testing.assert_array_equal(choose_inputs(carrying, GOOD).targets, every.targets)
    assert choose_inputs(carrying, GOOD[::-1]).targets is None
    with pytest.raises(UsageError, match="the checkpoint carries 3"):
        choose_inputs(carrying, None, 4)


def test_without_any_samples_one_run_from_zero(model):
    chosen = choose_inputs(model, None, 5)
    np.testing.assert_array_equal(chosen.inputs, [[0.0, 0.0]])
    assert "0 V only" in chosen.note


def test_the_width_is_that_before_the_encoder(model):
    encoder = Software((Linear(np.ones((2, 5)), np.zeros(2)),))
    assert default_inputs(replace(model, encoder=encoder)).shape == (1, 5)


@pytest.mark.parametrize(("given", "samples"), [(None, 0), (None, -1), (GOOD, 0), (GOOD, 4)])
def test_sample_counts_out_of_range(model, given, samples):
    with pytest.raises(UsageError, match="samples"):
        choose_inputs(model, given, samples)


@given(st.data())
@settings(max_examples=200)
def test_whatever_happens_to_a_file_it_is_numbers_or_an_error(tmp_path_factory, data):
    content = bytearray(data.draw(st.sampled_from([saved(), compressed()])))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "fuzzed.npy"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        found = read_inputs(path, make_model())
    except InputError:
        return
    assert found.shape[1] == 2
    assert np.isfinite(found).all()
