"""The run folder: whole or not taken for one, also when the process dies or the disk is full."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from onelabel.cli import main
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.training.run_folder import RunFolder, require_free


def finished(path: Path) -> RunFolder:
    run = RunFolder.create(path, {"lr": 0.1, "method": {"name": "em"}})
    run.log({"epoch": 1})
    run.finish({"epochs": 1})
    return run


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    run = finished(tmp_path / "deep" / "run")
    assert RunFolder.open(run.path).config == {"lr": 0.1, "method": {"name": "em"}}
    assert RunFolder.open(run.path).metrics["epochs"] == 1
    environment = json.loads((run.path / "environment.json").read_text())
    assert environment["python"] == sys.version.split()[0] and environment["packages"]["torch"]
    logits = np.array([[0.1, -2.5]], np.float32)
    run.save_predictions(IdTable.from_strings(["grün/ä.jpg"]), ("ü", "b"), logits)
    with np.load(run.path / "predictions.npz", allow_pickle=False) as kept:
        assert kept["ids"].tolist() == ["grün/ä.jpg"] and kept["classes"].tolist() == ["ü", "b"]
        assert np.array_equal(kept["logits"], logits)


def test_a_run_without_metrics_is_not_finished(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", {})
    run.log({"epoch": 1})
    with pytest.raises(OneLabelError, match=r"is not finished \(no metrics.json\)"):
        RunFolder.open(run.path)
    with pytest.raises(OneLabelError, match="is not a run folder"):
        RunFolder.open(tmp_path)


def test_only_run_folders_are_replaced(tmp_path: Path) -> None:
    with pytest.raises(OneLabelError, match="exists already"):
        require_free(finished(tmp_path / "run").path, overwrite=False)
    RunFolder.create(tmp_path / "run", {"new": True}, overwrite=True)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"config.yaml", "environment.json"}
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "config.yaml").write_text("mine: true")
    with pytest.raises(OneLabelError, match="is not a run folder and will not be removed"):
        RunFolder.create(tmp_path / "project", {}, overwrite=True)
    assert (tmp_path / "project" / "config.yaml").read_text() == "mine: true"


def test_an_old_run_goes_away_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However its removal ends, its model is never found among the files of the new run."""

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    path = finished(tmp_path / "run").path
    monkeypatch.setattr("shutil.rmtree", dies)
    with pytest.raises(KeyboardInterrupt):
        RunFolder.create(path, {}, overwrite=True)
    with pytest.raises(OneLabelError, match="is not finished"):
        RunFolder.open(path)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Labels and features for a training of a second."""
    rng = np.random.default_rng(0)
    rows = [f"{row}.jpg,{row % 2},{(row // 2) % 2},{'train' if row < 12 else 'val'}" for row in range(16)]
    (tmp_path / "labels.csv").write_text("\n".join(["image,a,b,split", *rows]) + "\n")
    ids = [f"{row}.jpg" for row in range(16)]
    np.savez(tmp_path / "x.npz", X=rng.normal(size=(16, 3)), ids=np.array(ids))
    return tmp_path


def arguments(job: Path, *more: str) -> list[str]:
    options = ["--exhaustive", "--features", f"{job}/x.npz", "--method", "bce", "--select", "full"]
    return ["train", f"{job}/labels.csv", *options, "--epochs", "2", "--out", f"{job}/run", *more]


def evaluates(job: Path) -> bool:
    """Whether the folder passes for a run with a model."""
    command = ["evaluate", f"{job}/run", f"{job}/labels.csv", "--exhaustive", "--features", f"{job}/x.npz"]
    code = main([*command, "--split", "val"])
    assert code in (0, 2)
    return code == 0


KILLED = """
import os, sys
from onelabel.training import finish, heads
def die(*_, **__):
    os._exit(9)
{place} = die
from onelabel.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("place", ["heads.score", "finish.write_bundle", "finish.RunFolder.finish"])
def test_a_killed_run_is_not_taken_for_a_whole_one(place: str, job: Path) -> None:
    code = KILLED.format(place=place)
    done = subprocess.run([sys.executable, "-c", code, *arguments(job)], check=False, capture_output=True)
    assert done.returncode == 9
    with pytest.raises(OneLabelError, match="is not finished"):
        RunFolder.open(job / "run")
    # Only metrics.json comes after the bundle, which is whole then.
    assert evaluates(job) == (place == "finish.RunFolder.finish")
    assert main(arguments(job)) == 2, "it is there"
    assert main(arguments(job, "--overwrite")) == 0
    assert RunFolder.open(job / "run").metrics and evaluates(job)


def full_disk(after: int) -> Callable[[int], None]:
    """A fsync that fails from the given call on."""
    calls = iter(range(10**6))

    def fsync(_: int) -> None:
        if next(calls) >= after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return fsync


def test_a_full_disk_ends_a_run_with_one_line_at_any_moment(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole: list[bool] = []
    for after in range(40):
        monkeypatch.setattr(os, "fsync", full_disk(after))
        capsys.readouterr()
        code = main(arguments(job, "--overwrite"))
        said = capsys.readouterr().err
        monkeypatch.undo()
        if code == 0:
            break
        assert code == 2 and said.count("\n") == 1 and "No space left on device" in said
        assert not list(job.rglob("*.tmp")), "nothing half-written is left"
        whole.append(evaluates(job))
        # metrics.json may stand where only the entry in its folder was not synced.
        assert whole[-1] or not (job / "run" / "metrics.json").exists()
    assert code == 0 and len(whole) > 5
    assert whole == sorted(whole), "from the moment that the model is whole it stays so"


def test_a_run_that_was_not_finished_is_called_so(tmp_path: Path) -> None:
    begun = RunFolder.create(tmp_path / "run", {"epochs": 2})
    with pytest.raises(OneLabelError, match="was not finished; add --resume to go on, or --overwrite"):
        require_free(begun.path, overwrite=False)
    assert require_free(begun.path, overwrite=True) == begun.path
