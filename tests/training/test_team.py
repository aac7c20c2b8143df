"""Several processes train as one does: real ones, which meet through gloo, and of which some die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crews import Crew, lines_of
from desk import words
from onelabel.cli import main
from onelabel.labels.readers import save_labels
from onelabel.labels.table import LabelTable
from onelabel.models.weights import read_weights
from onelabel.training.place import find_place
from onelabel.training.team import Slices, Team
from team_steps import TRAIN, StepsBench, epochs_of, read_steps

ROWS, VAL, EPOCHS = 9, 5, 8
NAMES = ["cat", "dog", "owl"]
METHODS = ["epr", "role-li", "ll-cp", "em-apl", "aevlp"]


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    crew = Crew(tmp_path_factory.mktemp("crew"))
    yield crew
    crew.end()


@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 12))
def test_slices_hold_every_row_once_and_are_of_one_size(size: int, rows: int, batch_size: int) -> None:
    order = [(7 * row) % rows if rows % 7 else row for row in range(rows)]
    parts = [list(Slices(order, rows, batch_size, Team(rank, size))) for rank in range(size)]
    assert all(len(part) == len(Slices(order, rows, batch_size, Team())) for part in parts)
    for step, slices in enumerate(zip(*parts, strict=True)):
        batch = order[step * batch_size : (step + 1) * batch_size]
        assert len({len(one) for one in slices}) == 1 and len(slices[0]) * size < len(batch) + size
        together = [row for one in slices for row in one]
        assert together[: len(batch)] == batch and set(together) == set(batch)


def test_who_is_started_by_whom() -> None:
    torchrun = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
    place = find_place({**torchrun, "TORCHELASTIC_RUN_ID": "onelabel-77", "SLURM_PROCID": "0"})
    assert place is not None and (place.rank, place.size, place.local_rank, place.launcher) == (3, 4, 1, 77)
    step = {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "1"}
    place = find_place(step)
    assert place is not None and (place.rank, place.size, place.local_rank) == (5, 8, 1) and place.isolated
    batch_script = {"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_LOCALID": "0"}
    for nothing in ({}, batch_script, {**torchrun, "WORLD_SIZE": "1"}, {**torchrun, "RANK": ""}):
        assert find_place(nothing) is None


@pytest.fixture(scope="module")
def steps(crew: Crew, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What the steps of one process were like, and those of two."""
    bench = StepsBench(tmp_path_factory.mktemp("photos")).draw()
    folders = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    for size, folder in enumerate(folders, 1):
        ended = crew.run("learn", str(bench.folder), str(folder), METHODS, size=size)
        assert ended.codes == [0] * size, ended.err
    return folders


@pytest.mark.parametrize("method", METHODS)
def test_two_processes_take_the_steps_of_one(method: str, steps: tuple[Path, Path]) -> None:
    """Loss, gradient, state of each image and scores; 13 images and 7, in batches of 4."""
    one, (first, second) = (
        read_steps(steps[0], method),
        [read_steps(steps[1], method, rank) for rank in (0, 1)],
    )
    assert one.keys() == first.keys() == second.keys()
    assert one["losses"].shape == (4 * epochs_of(method),) and one["gradients"].abs().amax(1).gt(1e-3).all()
    for name, wanted in one.items():
        assert torch.equal(first[name], second[name]), f"{name} differs between the two"
        torch.testing.assert_close(first[name], wanted, rtol=0, atol=1e-6)
    states = {"role-li": 4, "ll-cp": 1, "em-apl": 1}
    assert sum(name.startswith("state.") for name in one) == states.get(method, 0)


def test_state_and_mirroring_are_put_to_the_test(steps: tuple[Path, Path]) -> None:
    """The comparison above is of something."""
    assert len(read_steps(steps[0], "ll-cp")["state.flipped"]) > 3
    soft = read_steps(steps[0], "em-apl")["state.soft"]
    assert 0.2 < (soft >= 0).float().mean() < 0.8
    told = read_steps(steps[0], "aevlp")["told"]
    assert told.shape == (3, 2 * TRAIN) and sorted(told[0, :TRAIN].tolist()) == list(range(TRAIN))
    assert 0 < told[1].sum() < told.shape[1]


# -- whole runs ---


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels, validation labels, photos, and a network with BatchNorm."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(4)
    ids = [f"{row}.png" for row in range(ROWS + VAL)]
    for name in ids:
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / name)
    labels = np.zeros((ROWS + VAL, 3), np.int8)
    labels[np.arange(ROWS + VAL), np.arange(ROWS + VAL) % 3] = 1
    save_labels(LabelTable.from_dense(ids[:ROWS], NAMES, labels[:ROWS]), folder / "labels.csv")
    full = LabelTable.from_dense(ids[ROWS:], NAMES, np.where(labels[ROWS:] == 1, 1, -1))
    save_labels(full, folder / "val.csv")
    for name in ("test_resnet", "test_convnext"):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = timm.create_model(name, pretrained=False)
        timm.models.save_for_hf(network, str(folder / name), safe_serialization=True)
    return folder


def command(files: Path, out: Path, *more: str, net: str = "test_resnet") -> list[str]:
    return [
        "train", f"{files}/labels.csv", "--val", f"{files}/val.csv", "--images", str(files), "--backbone",
        f"local-dir:{files}/{net}", "--photo-size", "32", "--workers", "0", "--method", "role", "--select",
        "full", "--expected-positives", "1.5", "--batch-size", "4", "--lr", "0.002", "--epochs", str(EPOCHS),
        "--ema", "0.6", "--freeze-epochs", "1", "--checkpoint-every", "0", "--out", str(out), *more,
    ]  # fmt: skip


def outcome(run: Path) -> dict[str, Any]:
    """All that a run leaves, but for times."""
    log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    with np.load(run / "predictions.npz") as kept:
        logits = kept["logits"].tobytes()
    return {
        "weights": (run / "bundle" / "model.safetensors").read_bytes(),
        "state": (run / "state.safetensors").read_bytes(),
        "logits": logits,
        "metrics": json.loads((run / "metrics.json").read_text()),
        "log": [{key: value for key, value in entry.items() if key != "seconds"} for entry in log],
        "files": sorted(file.name for file in run.iterdir()),
    }


@pytest.fixture(scope="module")
def whole(files: Path, crew: Crew, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that nothing interrupted."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    ended = crew.main(command(files, run))
    assert ended.codes == [0, 0], ended.err
    assert "kept epoch" in ended.out[0] and ended.out[1] == "" and ended.err == ["", ""]
    return run


def test_one_process_dies_and_the_run_goes_on(files: Path, crew: Crew, whole: Path, tmp_path: Path) -> None:
    """The way of torchrun. The other one notices at once, says so in a line, and ends."""
    run = tmp_path / "run"
    ended = crew.main(command(files, run, "--resume"), kill=1, when=run / "metrics.jsonl")
    assert ended.codes == [3, -signal.SIGKILL] and ended.seconds < 20
    said = ended.err[0]
    assert "another process of this run has ended" in said and said.count("\n") == 1, said
    ended = crew.main(command(files, run, "--resume"))
    assert ended.codes == [0, 0] and "resuming" in ended.out[0], ended.err
    assert outcome(run) == outcome(whole)


def test_three_processes_go_on_to_the_last_bit(files: Path, crew: Crew, tmp_path: Path) -> None:
    """With images for all three, sums depend on how gradients are grouped: alike before and after."""
    more, how = ("--freeze-epochs", "0", "--epochs", "4", "--batch-size", "9"), {"size": 3}
    assert crew.main(command(files, tmp_path / "whole", *more), **how).codes == [0] * 3
    run = tmp_path / "run"
    crew.main(command(files, run, *more), **how, kill=1, when=run / "metrics.jsonl")
    ended = crew.main(command(files, run, "--resume", *more), **how)
    assert ended.codes == [0] * 3 and "resuming" in ended.out[0], ended.err
    assert outcome(run) == outcome(tmp_path / "whole")


def children(parent: int) -> list[int]:
    """Return the process numbers of the children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                found.append(int(entry.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_devices_starts_processes_and_says_who_died(
    files: Path, crew: Crew, whole: Path, tmp_path: Path
) -> None:
    """The way of ``--devices``: the same run, which torchrun can go on with."""
    run = tmp_path / "run"
    started = subprocess.Popen(
        [sys.executable, "-m", "onelabel", *command(files, run, "--devices", "2")], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        limit = time.monotonic() + 200
        while lines_of(run / "metrics.jsonl") < 3:
            assert started.poll() is None and time.monotonic() < limit, started.communicate()
            time.sleep(0.002)
        pair = children(started.pid)
        assert len(pair) == 2
        os.kill(min(pair), signal.SIGKILL)  # most likely the first, which writes
        began = time.monotonic()
        out, err = started.communicate(timeout=60)
    finally:
        started.kill()
    assert time.monotonic() - began < 30 and not any(Path(f"/proc/{child}").exists() for child in pair)
    assert started.returncode == 2 and out.count("This is how I read your data") == 2  # training, validation
    assert err.count("\n") == 1 and "was killed (SIGKILL) and the others were ended" in err, err
    assert "the same command with --resume goes on from there" in err
    ended = crew.main(command(files, run, "--resume"))
    assert ended.codes == [0, 0] and "resuming" in ended.out[0], ended.err
    assert outcome(run) == outcome(whole)


def test_one_process_and_two_make_the_same_model(files: Path, crew: Crew, tmp_path: Path) -> None:
    """To rounding, without BatchNorm."""
    more = ("--epochs", "3")
    assert main(command(files, tmp_path / "one", *more, net="test_convnext")) == 0
    ended = crew.main(command(files, tmp_path / "two", *more, net="test_convnext"))
    assert ended.codes == [0, 0], ended.err
    one, two = (outcome(tmp_path / name) for name in ("one", "two"))
    assert one["files"] == two["files"]
    np.testing.assert_allclose(
        np.frombuffer(two["logits"], np.float32), np.frombuffer(one["logits"], np.float32), atol=1e-4
    )
    for first, second in zip(one["log"], two["log"], strict=True):
        assert second == pytest.approx(first, abs=1e-4)
    assert two["metrics"]["val"]["map"] == pytest.approx(one["metrics"]["val"]["map"], abs=1e-6)
    weights = [read_weights(tmp_path / name / "bundle" / "model.safetensors")[0] for name in ("one", "two")]
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=0, atol=5e-4, msg=key)


def test_mistakes_are_said_once(files: Path, crew: Crew, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    broken = tmp_path / "photos"
    broken.mkdir()
    for photo in files.glob("*.png"):
        (broken / photo.name).write_bytes(photo.read_bytes())
    cut = (broken / "3.png").read_bytes()
    (broken / "3.png").write_bytes(cut[: len(cut) // 2])  # found when it is decoded, by one of the two
    cases = [
        (command(files, run, "--epohcs", "3"), "did you mean", [2, 2]),
        (command(files, run, "--devices", "3"), "--devices 3 and 2 processes were started", [2, 2]),
        (["train", "none.csv", *command(files, run)[2:]], "none.csv", None),
        (command(files, run, "--images", str(broken)), "3.png", None),
        (command(files, whole), "exists", [2, 2]),
        (command(files, whole, "--resume"), "there is nothing to resume", [0, 0]),
        (words("train l.csv --features x.npz --method em --out run"), "in one process", [2, 2]),
    ]  # fmt: skip
    for arguments, wanted, codes in cases:
        ended = crew.main(arguments)
        said = [text for text in (*ended.err, *ended.out) if wanted in text]
        assert len(said) == 1 and said[0].count(wanted) >= 1, (arguments, ended)
        assert "Traceback" not in "".join(ended.err) and sum(map(bool, ended.err)) <= 1, ended.err
        assert ended.codes == codes if codes else 2 in ended.codes and 0 not in ended.codes, ended


def test_another_number_of_processes_is_another_run(
    files: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(files, whole, "--resume")) == 2
    assert "has other settings (devices 2 → 1): resume with those of the run" in capsys.readouterr().err
