"""``train --resume``: after a real SIGKILL at any moment, Ctrl-C, a full disk, a folder that is read-only."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch

from desk import BASICS, Desk, words
from interruptions import CLASSES, IDS, VAL, C, D, N, make_bench
from killing import Killer
from onelabel.cli import main
from onelabel.labels.readers import save_labels
from onelabel.labels.table import LabelTable
from onelabel.methods.registry import catalogue, info

METHODS = ["em", "role", "ll-cp", "em-apl", "aevlp"]
KILLS = 6
SMALL = ["--photo-size", "32", "--workers", "0"]
EPOCHS = {"features": 60, "photos": 8}


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    killer = Killer(tmp_path_factory.mktemp("killer") / "log")
    yield killer
    killer.end()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels, validation labels, features, photos, pseudo-labels and a network."""
    folder = make_bench(tmp_path_factory.mktemp("files")).folder
    labels = np.zeros((N + VAL, C), np.int8)
    labels[np.arange(N + VAL), np.arange(N + VAL) % C] = 1
    save_labels(LabelTable.from_dense(IDS[:N], CLASSES, labels[:N]), folder / "labels.csv")
    full = LabelTable.from_dense(IDS[N:], CLASSES, np.where(labels[N:] == 1, 1, -1))
    save_labels(full, folder / "val.csv")
    np.savez(folder / "x.npz", ids=IDS, X=np.random.default_rng(1).normal(size=(N + VAL, D)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model("test_resnet", pretrained=False)
    timm.models.save_for_hf(network, str(folder / "net"), safe_serialization=True)
    return folder


def command(files: Path, way: str, method: str, out: Path, *more: str) -> list[str]:
    inputs = {
        "features": ["--features", f"{files}/x.npz"],
        "photos": ["--images", str(files), "--backbone", f"local-dir:{files}/net", *SMALL],
    }[way]  # fmt: skip
    source = ["--source", f"{files}/tags.npz"] if info(method).needs_pseudo else []
    expected = [] if method in ("em", "ll-cp", "em-apl") else ["--expected-positives", "1.5"]
    return [
        "train", f"{files}/labels.csv", "--val", f"{files}/val.csv", *inputs, "--method", method, *source,
        *expected, "--select", "full", "--batch-size", "4", "--lr", "0.01", "--epochs", str(EPOCHS[way]),
        "--checkpoint-every", "0", "--out", str(out), *more,
    ]  # fmt: skip


def outcome(run: Path) -> dict[str, Any]:
    """All that a run leaves, but for times and paths."""
    log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    state = run / "state.safetensors"
    with np.load(run / "predictions.npz") as kept:
        logits = kept["logits"].tobytes()
    return {
        "weights": (run / "bundle" / "model.safetensors").read_bytes(),
        "state": state.read_bytes() if state.exists() else b"",
        "logits": logits,
        "metrics": json.loads((run / "metrics.json").read_text()),
        "log": [{key: value for key, value in entry.items() if key != "seconds"} for entry in log],
        "files": sorted(file.name for file in run.iterdir()),
    }


def kill_again_and_again(method: str, way: str, files: Path, killer: Killer, folder: Path) -> None:
    """Each life is as long as chance will have it, from the first moments to several epochs."""
    code, seconds = killer.run(command(files, way, method, folder / "whole"))
    assert code == 0, killer.said()
    wanted = outcome(folder / "whole")
    assert [entry["epoch"] for entry in wanted["log"]] == list(range(1, EPOCHS[way] + 1))
    kills, run, chance = 0, folder / "0", random.Random(f"{method} {way} {time.time()}")
    while kills < KILLS:
        code, _ = killer.run(command(files, way, method, run, "--resume"), chance.uniform(0, 0.7 * seconds))
        kills += code == -signal.SIGKILL
        if code == 0:
            assert outcome(run) == wanted
            run = folder / f"{kills}"
        else:
            assert code == -signal.SIGKILL, killer.said()
    code, _ = killer.run(command(files, way, method, run, "--resume"))
    assert code == 0, killer.said()
    assert outcome(run) == wanted


@pytest.mark.parametrize("way", ["features", "photos"])
@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_is_not(
    method: str, way: str, files: Path, killer: Killer, tmp_path: Path
) -> None:
    kill_again_and_again(method, way, files, killer, tmp_path)


@pytest.mark.nightly
@pytest.mark.parametrize("way", ["features", "photos"])
@pytest.mark.parametrize("method", [entry.name for entry in catalogue() if entry.name not in METHODS])
def test_so_it_is_with_every_method(
    method: str, way: str, files: Path, killer: Killer, tmp_path: Path
) -> None:
    kill_again_and_again(method, way, files, killer, tmp_path)


def test_a_run_that_was_killed_at_its_very_end_is_tidied(files: Path, tmp_path: Path) -> None:
    arguments = command(files, "features", "em", tmp_path / "run", "--resume")
    arguments[arguments.index("--epochs") + 1] = "2"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("onelabel.training.checkpoint.Checkpoints.remove", lambda _: None)
        assert main(arguments) == 0
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()
    assert main(arguments) == 0
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_what_resume_says(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    arguments = command(files, "features", "em", run, "--resume")
    arguments[arguments.index("--epochs") + 1] = "3"
    assert main(arguments) == 0
    assert f"no checkpoint in {run}: starting from the beginning" in capsys.readouterr().out
    before = outcome(run)
    assert main(arguments) == 0
    assert f"the run in {run} is finished: there is nothing to resume" in capsys.readouterr().out
    assert main([*arguments, "--lr", "0.02", "--method.alpha", "0.3"]) == 2
    said = capsys.readouterr().err
    assert "has other settings (method.alpha 0.1 → 0.3; lr 0.01 → 0.02)" in said and said.count("\n") == 1
    assert main([*arguments, "--overwrite"]) == 2
    assert "--resume goes on with a run and --overwrite begins it again" in capsys.readouterr().err
    assert main([*arguments, "--checkpoint-every", "7"]) == 0, "nothing that changes the result"
    assert main([*arguments[:-1], "--checkpoint-every", "-1", "--overwrite"]) == 2
    assert "--checkpoint-every must be 0 or more" in capsys.readouterr().err
    assert outcome(run) == before


@pytest.mark.parametrize("way", ["features", "photos"])
def test_ctrl_c_says_how_to_go_on(way: str, files: Path, killer: Killer, tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    killer.said()
    when = run / "checkpoint.safetensors"
    code, _ = killer.run(command(files, way, "role", run), when=when, by=signal.SIGINT)
    said = killer.said()
    assert code == 130 and "Traceback" not in said, said
    first, second = [line for line in said.splitlines() if line.startswith("onelabel: ")]
    assert "is intact: the same command with --resume goes on from there" in first
    assert second == "onelabel: interrupted; finished files are intact"
    assert killer.run(command(files, way, "role", run, "--resume"))[0] == 0, killer.said()
    assert killer.run(command(files, way, "role", whole))[0] == 0
    assert outcome(run) == outcome(whole)


def test_a_disk_that_is_full_for_a_while(
    files: Path, killer: Killer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real limit: the log, which grows, is the first file to reach it; the checkpoint stays whole."""
    arguments = command(files, "features", "role", tmp_path / "run")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, hard))
    try:
        assert main(arguments) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("onelabel: error: cannot write ")
    assert main([*arguments, "--resume"]) == 0
    assert "resuming" in capsys.readouterr().out
    assert killer.run(command(files, "features", "role", tmp_path / "whole"))[0] == 0
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_a_disk_that_is_too_small_is_said_before_the_work(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    usage = shutil.disk_usage(desk.path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    said = desk.complaint(*words(BASICS["train"]))
    assert "the run needs about" in said and "make room, or give another --out" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_run_folder_that_became_read_only(
    files: Path, killer: Killer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    killer.run(command(files, "features", "role", run), when=run / "checkpoint.safetensors")
    run.chmod(0o500)
    try:
        assert main(command(files, "features", "role", run, "--resume")) == 2
    finally:
        run.chmod(0o700)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "cannot write" in said
    assert main(command(files, "features", "role", run, "--resume")) == 0
    assert "resuming" in capsys.readouterr().out


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_refused(value: float, desk: Desk) -> None:
    features = np.zeros((3, 2))
    features[1, 1] = value
    desk.write("x.npz", b"")
    np.savez("x.npz", ids=["a", "b", "c"], X=features)
    said = desk.complaint(*words(BASICS["train"].replace("--features features", "--features x.npz")))
    assert "x.npz: the features of 'b' (row 1) hold NaN or infinity" in said


def test_role_goes_on_end_to_end_with_the_labels_it_estimated(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """ROLE + LinearInit in two runs, as published."""
    first = tmp_path / "linear"
    arguments = command(files, "features", "role", first)
    arguments[arguments.index("--epochs") + 1] = "3"
    assert main(arguments) == 0
    second = command(files, "features", "role-li", tmp_path / "again")
    second[second.index("--epochs") + 1] = "2"
    from onelabel.models.weights import read_weights
    from onelabel.training.method_state import earlier_estimates

    assert main([*second, "--init", str(first)]) == 0
    state = read_weights(first / "state.safetensors")[0]
    table = LabelTable.from_dense(IDS[:N], CLASSES[::-1], np.zeros((N, C), np.int8))
    found = earlier_estimates(first, table)
    assert found is not None
    torch.testing.assert_close(found.flip(1), torch.sigmoid(state["values"]))
    other = command(files, "features", "role-li", tmp_path / "no", "--init", str(first))
    other[1], other[3] = f"{files}/val.csv", f"{files}/labels.csv"
    capsys.readouterr()
    assert main(other) == 2
    assert "holds the estimates of other training images or classes" in capsys.readouterr().err
