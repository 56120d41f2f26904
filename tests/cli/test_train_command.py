"""``kcompile train`` as a user meets it."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import published
import pytest
import recipes
import torch
from commands import finish, refused, run, start

from kcompile.frontend import load, load_checkpoint

MAIN = [sys.executable, "-c", "from kcompile.cli.main import main; main()"]


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    """A tiny network for Friedman's problem."""
    path = tmp_path / "tiny.toml"
    path.write_text(recipes.SUPERVISED.replace("inputs = 3", "inputs = 5").replace("6 }", "7 }"))
    return path


def test_trains_every_seed_into_its_own_file(tmp_path: Path) -> None:
    output, facts = tmp_path / "net.safetensors", tmp_path / "facts.json"
    done = run("train", "friedman", "--epochs", 1, "--seeds", 2, "--seed", 7, "-o", output,
               "--json", facts)  # fmt: skip
    assert done.status == 0, done
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "facts.json", "net-seed7.png", "net-seed7.safetensors", "net-seed8.png",
        "net-seed8.safetensors",
    ]  # fmt: skip
    said = json.loads(facts.read_text())
    assert list(said) == ["task", "size", "metric", "parameters", "seeds", "mean", "sd"]
    assert (said["task"], said["size"], said["parameters"]) == ("friedman", "s", 168)
    assert [one["seed"] for one in said["seeds"]] == [7, 8]
    values = [one["test_metric_converged"] for one in said["seeds"]]
    for one in said["seeds"]:
        model = load(tmp_path / f"net-seed{one['seed']}.safetensors")
        assert model.training["test_metric_converged"] == one["test_metric_converged"]
        assert f"{one['test_metric_converged']:.4g} converged" in done.stdout
        assert (tmp_path / f"net-seed{one['seed']}.png").read_bytes().startswith(b"\x89PNG")
    assert said["mean"] == pytest.approx(np.mean(values))
    assert said["sd"] == pytest.approx(np.std(values, ddof=1))
    assert done.stdout.splitlines()[-1] == (
        f"converged: mean {said['mean']:.4g}, sd {said['sd']:.1e}"
    )
    assert re.search(r"friedman-s, seed 8: epoch 1/1, loss \S+, 0:00:00 to go", done.stderr)


def test_a_recipe_of_ones_own(preset: Path, tmp_path: Path) -> None:
    done = run("train", "friedman", "--preset", preset, "-o", tmp_path / "net")
    assert done.status == 0, done
    record = load_checkpoint(tmp_path / "net").training
    assert record["preset"] == "tiny"
    assert record["epochs_done"] == 4
    assert record["recipe"]["jitter"] == 2


def test_a_size_of_the_task(tmp_path: Path) -> None:
    done = run("train", "diabetes", "--size", "m", "--epochs", 1, "-o", tmp_path / "net")
    assert done.status == 0, done
    assert "840 parameters" in done.stdout
    assert load_checkpoint(tmp_path / "net").training["size"] == "m"


def test_what_is_published_under_another_name(preset: Path, tmp_path: Path) -> None:
    done = run("train", "toyregress", "--preset", preset, cwd=tmp_path)
    assert done.status == 0, done
    assert load(tmp_path / "friedman.safetensors").task == "friedman"


def test_a_picture_does_not_take_the_place_of_the_checkpoint(preset: Path, tmp_path: Path) -> None:
    target = tmp_path / "net.png"
    assert run("train", "friedman", "--preset", preset, "-o", target).status == 0
    assert load(target).task == "friedman"
    assert (tmp_path / "net.png.png").read_bytes().startswith(b"\x89PNG")


def test_the_baseline_has_about_as_many_parameters(preset: Path, tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    before = set(tmp_path.iterdir())
    done = run("train", "friedman", "--mlp", "--epochs", 1, "--seeds", 2, "--json", facts,
               cwd=tmp_path)  # fmt: skip
    assert done.status == 0, done
    assert set(tmp_path.iterdir()) == before | {facts}
    said = json.loads(facts.read_text())
    assert said["parameters"] == pytest.approx(168, rel=0.15)
    assert f"{said['parameters']} parameters, seed 1, test mse " in done.stdout
    assert 0 < said["mean"] < 1


def test_a_trained_network_learns_to_live_with_variations(preset: Path, tmp_path: Path) -> None:
    start, target, facts = tmp_path / "start", tmp_path / "tuned", tmp_path / "facts.json"
    effects = tmp_path / "effects.toml"
    effects.write_text("[mismatch]\ngain = 0.5\n[stuck]\nopen = 0.01\n")
    assert run("train", "friedman", "--preset", preset, "-o", start).status == 0
    done = run("train", "friedman", "--preset", preset, "--from", start, "--vary", effects,
               "--vary", "mismatch.gain=0.05", "--epochs", 2, "--lr", 1e-3, "-o", target,
               "--json", facts)  # fmt: skip
    assert done.status == 0, done
    record = load_checkpoint(target).training
    assert record["variations"] == {"mismatch": {"gain": 0.05}, "stuck": {"open": 0.01}}
    assert record["from"]["name"] == "start"
    assert (record["recipe"]["epochs"], record["recipe"]["learning_rate"]) == (2, 1e-3)
    (said,) = json.loads(facts.read_text())["seeds"]
    assert said["varied"] == record["varied"]
    mean = record["varied"]["mean"]
    assert f", {mean:.4g} with its variations (mean of 10 circuits), " in done.stdout


@pytest.mark.parametrize(
    ("status", "arguments", "complaint"),
    [
        (2, ("friedman", "--vary", "noise.density=1"), "no network can be trained with noise; "),
        (2, ("friedman", "--vary", "device.roff=1"), "no network can be trained with device; "),
        (2, ("twomoon", "--vary", "input.bits=4"), "a density knows no input converter; "),
        (2, ("friedman", "--vary", "none.toml"), "none.toml: no such file"),
        (2, ("friedman", "--from", "none"), "none: no such file"),
        (3, ("friedman", "--from", "empty.toml"), "empty.toml: the file is empty"),
        (2, ("friedman", "--from", "model.pth"), "model.pth has another network than size s of"),
        (
            3,
            ("friedman", "--from", "here/model.pth"),
            "model.pth: a state_dict .* beside it$",
        ),
        (3, ("friedman", "--from", "minimal.pth"), "minimal.pth: the authors' minimal example doe"),
        (3, ("friedman", "--resume", "-o", "model.pth"), "model.pth: not one of kcompile's own "),
        (2, ("friedman", "--mlp", "--vary", "mismatch.gain=1"), "leave --vary, --from and --lr"),
        (2, ("juggling",), r"unknown task 'juggling'; tasks: 2spirals, 8gaussians, .*friedman"),
        (2, ("friedman", "--preset", "best"), "friedman has no preset 'best'; presets: paper"),
        (2, ("friedman", "--size", "xl"), "preset paper has no size 'xl'; sizes: s, m, l"),
        (2, ("twomoon", "--size", "m"), "has no size 'm'; sizes: s"),
        (2, ("friedman", "--preset", "none.toml"), "none.toml: no such file"),
        (2, ("friedman", "--preset", "empty.toml"), "empty.toml: no preset in it"),
        (3, ("friedman", "--preset", "bad.toml"), r"bad.toml: tiny.training.batch is 'many'"),
        (3, ("friedman", "--preset", "idle.toml"), "idle.toml: tiny.training.anneal has no effect"),
        (2, ("friedman", "--device", "gpu"), "--device: torch has no device 'gpu' here"),
        (2, ("friedman", "--device", "meta"), "--device: torch has no device 'meta' here"),
        (2, ("friedman", "--data", "here"), "friedman is made by scikit-learn; leave --data out"),
        (2, ("twomoon", "--data", "here"), "twomoon is drawn, not read"),
        (2, ("cifar10", "--data", "none"), "none: "),
        (2, ("cifar10", "--data", "here"), "here: holds no cifar10; expected "),
        (2, ("friedman", "-o", "here"), "here: is a folder; name a file in it"),
        (5, ("friedman", "-o", "bad.toml/net"), "bad.toml/net: not a directory"),
        (5, ("friedman", "--json", "bad.toml/facts"), "bad.toml/facts: not a directory"),
        (2, ("friedman", "--mlp", "-o", "net"), "--mlp writes no checkpoint"),
        (2, ("friedman", "--mlp", "--device", "cuda"), "--device: --mlp trains on the CPU"),
        (2, ("twomoon", "--mlp"), "no MLP for twomoon; the baseline is for regression tasks"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(
    status: int, arguments: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "empty.toml").write_text("")
    (tmp_path / "bad.toml").write_text(recipes.SUPERVISED.replace("batch = 16", 'batch = "many"'))
    (tmp_path / "idle.toml").write_text(recipes.SUPERVISED.replace("clip = 1.0", "anneal = 0.5"))
    (tmp_path / "here").mkdir()
    path = published.write(tmp_path, published.config([("_fully_connect", {"num_node": 3})]))
    shutil.copy(path, tmp_path / "here")
    ends, params = torch.tensor([1, 2]), torch.zeros(2, 2)
    minimal = {"src_node": ends, "des_node": ends.flip(0), "model.param": params}
    torch.save(minimal, tmp_path / "minimal.pth")
    said = refused(tmp_path, status, "train", *arguments)
    assert re.search(complaint, said), said


FIVE, NINE = ("inputs = 3", "inputs = 5"), ("inputs = 3", "inputs = 9")
THREE_NODES = ("num_node = 3", "num_node = 4")


@pytest.mark.parametrize(
    ("task", "changes", "complaint"),
    [
        ("friedman", [], "inputs is 3, a sample of friedman has 5 values; write: inputs = 5"),
        ("friedman", [NINE], "9 inputs for 5 nodes of phase 0; change its layers, inputs"),
        ("friedman", [('"last1"', '"last9"')], "outputs 'last9' of 5 nodes; all, first<K> or"),
        (
            "friedman",
            [FIVE, ('"last1"', '"last2"')],
            "the network gives [2] values a sample for 1 answers; change the outputs or the head",
        ),
        (
            "friedman",
            [FIVE, ('"last1"', '"all"\nhead = [2, 1]')],
            "the software step 'linear 2x1' does not take 5 values; change its layers",
        ),
        (
            "twomoon",
            [THREE_NODES, ("inputs = 2", "inputs = 3")],
            "inputs is 3, a sample of twomoon has 2 values; write: inputs = 2",
        ),
        ("twomoon", [THREE_NODES], "the network has no density: not all of its nodes are given"),
        ("potential1", [THREE_NODES], "the network has no density: not all of its nodes are given"),
    ],
)
def test_a_network_of_ones_own_that_does_not_work_is_said_at_once(
    task: str, changes: list[tuple[str, str]], complaint: str, tmp_path: Path
) -> None:
    """With the preset and its file, and what to do.

    Catches an answer that is stretched over two outputs and refused when all is trained.
    """
    path = tmp_path / "tiny.toml"
    text = recipes.SUPERVISED if task == "friedman" else recipes.FLOW
    for old, new in changes:
        text = text.replace(old, new)
    path.write_text(text)
    said = refused(tmp_path, 3, "train", task, "--preset", path, "-o", tmp_path / "net")
    assert f"{path}: tiny.network: {complaint}" in said
    assert "; " in said


def test_the_baselines_network_is_named_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(recipes.SUPERVISED.replace('"last1"', '"last9"'))
    said = refused(tmp_path, 3, "train", "friedman", "--preset", path, "--mlp")
    assert f"{path}: tiny.network: outputs 'last9' of 5 nodes" in said


def test_a_file_that_outgrows_its_limit_keeps_the_one_before(preset: Path, tmp_path: Path) -> None:
    """As a full disk does it, in the middle of a run."""
    target = tmp_path / "net"
    arguments = ("train", "friedman", "--preset", preset, "-o", target, "--epochs")
    assert run(*arguments, 2).status == 0
    before = target.read_bytes()

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, len(before) // 2))

    done = finish(start(*arguments, 3, preexec_fn=small_files))
    assert done.status == 5
    assert done.stderr.splitlines()[-1].startswith(f"kcompile: {target}: file too large; ")
    assert target.read_bytes() == before
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_run_that_diverges_says_what_to_try(tmp_path: Path, preset: Path) -> None:
    preset.write_text(preset.read_text().replace("learning_rate = 1e-2", "learning_rate = 1e30"))
    done = run("train", "friedman", "--preset", preset, "-o", tmp_path / "net")
    assert done.status == 3
    assert done.complaint.endswith("try another seed, or a lower learning rate")
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_trained_stays_when_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    output = tmp_path / "net.safetensors"
    process = start("train", "friedman", "--epochs", 100, "-o", output)
    assert process.stderr is not None
    first = process.stderr.readline()
    assert "epoch 10/100" in first
    process.send_signal(number)
    done = finish(process)
    assert done.status == 130
    epoch = load(output).training["epochs_done"]
    assert 10 <= epoch < 100
    assert re.search(rf"{output} holds epoch \d+ of 100; --resume goes on\n", done.stderr)
    assert done.stderr.endswith("kcompile: interrupted\n")
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def test_a_terminal_gets_a_bar(tmp_path: Path, preset: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*MAIN, "train", "friedman", "--preset", str(preset), "-o", str(tmp_path / "net")],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, shown.decode()
    # A network this small is trained between two frames; the last one is seen for sure.
    assert re.search(rb"testing, \d+/\d+ certain", shown)
    assert output.startswith(f"{tmp_path / 'net'}: 168 parameters, seed 0, test mse ")
