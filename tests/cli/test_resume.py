"""``kcompile train --resume`` after the process was killed."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
import recipes
from commands import refused, run, start

from kcompile.frontend import load_checkpoint

EPOCHS = 40
RECIPES = {
    "friedman": recipes.SUPERVISED.replace("inputs = 3", "inputs = 5").replace("6 }", "7 }"),
    "twomoon": recipes.FLOW.replace("steps_per_epoch = 3", "steps_per_epoch = 40"),
}


def recipe(folder: Path, task: str) -> Path:
    path = folder / f"{task}.toml"
    path.write_text(RECIPES[task])
    return path


@pytest.mark.parametrize(
    ("task", "kills", "vary"),
    [
        ("friedman", 3, ()),
        ("twomoon", 2, ()),
        ("friedman", 2, ("--vary", "mismatch.gain=0.05", "--vary", "input.noise=0.01")),
    ],
)
def test_killed_at_random_moments_it_ends_with_the_same_file(
    task: str, kills: int, vary: tuple[str, ...], tmp_path: Path
) -> None:
    """SIGKILL leaves no time to tidy up: what counts is on the disk after every epoch."""
    chance = random.Random(task)
    arguments = ("train", task, "--preset", recipe(tmp_path, task), "--epochs", EPOCHS, *vary)
    straight, broken = tmp_path / "straight" / "net", tmp_path / "broken" / "net"
    assert run(*arguments, "-o", straight).status == 0
    interrupted: list[bool] = []
    for _ in range(kills):
        # A line comes after every tenth of all; then a moment by chance, mostly amid an epoch.
        process = start(*arguments, "--resume", "-o", broken)
        assert process.stderr is not None
        for _ in range(chance.randint(1, 3)):
            process.stderr.readline()
        time.sleep(chance.random() * 0.05)
        process.kill()
        process.communicate()
        record = load_checkpoint(broken).training  # whole, whenever it was
        interrupted.append("test_metric" not in record)
        assert len(record["curve"]) == record["epochs_done"]
    assert any(interrupted)
    assert run(*arguments, "--resume", "-o", broken).status == 0
    assert broken.read_bytes() == straight.read_bytes()


def test_a_finished_run_is_told_again_and_left_alone(tmp_path: Path) -> None:
    preset, target = recipe(tmp_path, "friedman"), tmp_path / "net.safetensors"
    arguments = ("train", "friedman", "--preset", preset, "-o", target)
    first = run(*arguments)
    assert first.status == 0
    before = target.stat()
    again = run(*arguments, "--resume")
    assert again.status == 0
    assert "epoch" not in again.stderr
    assert again.stdout.rpartition(", ")[0] == first.stdout.rpartition(", ")[0]
    after = target.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_resume_without_a_checkpoint_begins(tmp_path: Path) -> None:
    preset, target = recipe(tmp_path, "friedman"), tmp_path / "net.safetensors"
    done = run("train", "friedman", "--preset", preset, "-o", target, "--resume")
    assert done.status == 0
    assert load_checkpoint(target).training["epochs_done"] == 4


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("friedman", "--seed", 1), "--resume: the checkpoint is of another run: seed is 0, not 1"),
        (("friedman", "--epochs", 9), "of another run: recipe.epochs is 4, not 9"),
        (("diabetes",), "of another run: task is friedman, not diabetes"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(
    arguments: tuple[object, ...], complaint: str, tmp_path: Path
) -> None:
    preset, target = recipe(tmp_path, "friedman"), tmp_path / "net.safetensors"
    assert run("train", "friedman", "--preset", preset, "-o", target).status == 0
    said = refused(tmp_path, 2, "train", *arguments, "--preset", preset, "-o", target, "--resume")
    assert complaint in said


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x10\0\0\0\0\0\0\0{}"])
def test_what_is_no_checkpoint_is_named(content: bytes, tmp_path: Path) -> None:
    preset, target = recipe(tmp_path, "friedman"), tmp_path / "net.safetensors"
    target.write_bytes(content)
    said = refused(tmp_path, 3, "train", "friedman", "--preset", preset, "-o", target, "--resume")
    assert said.startswith(str(target))


def test_several_seeds_go_on_where_they_were(tmp_path: Path) -> None:
    """The first is done, the second is half done, the third was not begun."""
    preset = recipe(tmp_path, "friedman")
    straight, broken = tmp_path / "straight" / "net.st", tmp_path / "broken" / "net.st"
    arguments = ("train", "friedman", "--preset", preset, "--seeds", 3)
    assert run(*arguments, "-o", straight).status == 0
    broken.parent.mkdir()
    done = straight.with_name("net-seed0.st").read_bytes()
    broken.with_name("net-seed0.st").write_bytes(done)
    assert run("train", "friedman", "--preset", preset, "--seed", 1, "-o",
               broken.with_name("net-seed1.st")).status == 0  # fmt: skip
    assert run(*arguments, "--resume", "-o", broken).status == 0
    for seed in range(3):
        name = f"net-seed{seed}.st"
        assert broken.with_name(name).read_bytes() == straight.with_name(name).read_bytes()
