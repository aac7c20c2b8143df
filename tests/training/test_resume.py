"""A run that fails at any moment and goes on from its checkpoint ends as one that was never interrupted."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from interruptions import Bench, Faults, Killed, Loop, Outcome, faulty, make_bench, moments
from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.methods.registry import catalogue
from onelabel.models.heads import LinearHead
from onelabel.training import checkpoint
from onelabel.training.checkpoint import NAME, Checkpoints, Saved
from onelabel.training.identity import digest_table
from onelabel.training.photo_network import PhotoNetwork
from onelabel.training.recipe import Recipe
from onelabel.training.resume import Keep, claimed, differences, look, open_run
from onelabel.training.run_folder import RunFolder
from onelabel.training.space import bytes_needed, require_room
from onelabel.training.threads import threads_for

ALL = [entry.name for entry in catalogue()]
STATEFUL = ["em", "role", "ll-cp", "em-apl", "aevlp"]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    with threads_for(1):
        yield


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return make_bench(tmp_path_factory.mktemp("bench"))


def fail_at(
    bench: Bench, loop: Loop, moments_to_try: Any, tmp_path: Path, method: str, **settings: Any
) -> None:
    """Fail at some moments of a run, go on each time, and compare with the run that did not fail."""

    def fresh() -> Recipe:
        return bench.recipe(method, **settings)

    (tmp_path / "whole").mkdir()
    count, whole = moments(bench, loop, fresh, tmp_path / "whole")
    for at in moments_to_try(count):
        folder = tmp_path / f"{at}"
        folder.mkdir()
        bench.interrupted(loop, fresh, folder, at).require_equal(whole)


def every(count: int) -> range:
    return range(1, count + 1)


@pytest.mark.parametrize("name", [name for name in ALL if name not in STATEFUL])
def test_a_head_fails_at_every_step_with_every_method(name: str, bench: Bench, tmp_path: Path) -> None:
    fail_at(bench, "head", lambda count: range(2, count, 4), tmp_path, name, batch_size=5)


@pytest.mark.parametrize("name", STATEFUL)
def test_a_head_fails_at_every_other_moment(name: str, bench: Bench, tmp_path: Path) -> None:
    fail_at(bench, "head", lambda count: range(1 + len(name) % 2, count + 1, 2), tmp_path, name)


@pytest.mark.parametrize("name", STATEFUL)
def test_a_network_fails_at_some_moments(name: str, bench: Bench, tmp_path: Path) -> None:
    rng = np.random.default_rng(len(name))
    fail_at(bench, "photos", lambda count: rng.integers(1, count + 1, 2).tolist(), tmp_path, name)


@pytest.mark.nightly
@pytest.mark.parametrize("loop", ["head", "photos"])
@pytest.mark.parametrize("name", ALL)
def test_every_method_fails_at_every_moment(name: str, loop: Loop, bench: Bench, tmp_path: Path) -> None:
    fail_at(bench, loop, every, tmp_path, name)


OPTIONS: list[dict[str, Any]] = [
    {"ema": 0.7, "head": "mlp", "head_width": 4},
    {"stop": "drop-2-or-2-misses", "epochs": 9, "weight_decay": 0.1},
    {"select": "last", "boostlu": 5.0},
    {"optimizer": "sgd", "lr": 0.1},
    {"head_init": "prior", "mirror": False, "batch_size": 1},
]


@pytest.mark.parametrize("settings", OPTIONS)
def test_a_head_goes_on_whatever_the_options(settings: dict[str, Any], bench: Bench, tmp_path: Path) -> None:
    fail_at(bench, "head", lambda count: range(1, count + 1, 5), tmp_path, "em-apl", **settings)


def test_a_network_goes_on_with_average_and_frozen_epochs(bench: Bench, tmp_path: Path) -> None:
    """Fails before and after the backbone begins to move: Adam has no moments of it, then some."""
    settings = {"ema": 0.7, "freeze_epochs": 1, "freeze_batchnorm": False, "head_lr_multiplier": 3.0}
    fail_at(bench, "photos", lambda count: [count // 3 + 2, count - 4], tmp_path, "an", **settings)


def test_a_run_fails_again_and_again(bench: Bench, tmp_path: Path) -> None:
    whole = bench.train("head", bench.recipe("role"))
    for at in [12, 5, 7, 1, 9, 3]:
        checkpoints = Checkpoints(tmp_path, every=0)
        checkpoints.read()
        recipe = bench.recipe("role")
        with pytest.raises(Killed), faulty(recipe, Faults(at)) as log:
            bench.train("head", recipe, checkpoints, log)
    checkpoints.read()
    bench.train("head", bench.recipe("role"), checkpoints).require_equal(whole)


@pytest.mark.parametrize("loop", ["head", "photos"])
def test_rare_checkpoints_give_the_same(loop: Loop, bench: Bench, tmp_path: Path) -> None:
    """Only the first epoch is saved; the third is replayed from there."""
    whole = bench.train(loop, bench.recipe("em-apl"))
    recipe, checkpoints = bench.recipe("em-apl"), Checkpoints(tmp_path, every=0)
    with pytest.raises(Killed), faulty(recipe, Faults(22)) as log:

        def rarely(entry: dict[str, Any]) -> None:
            checkpoints.every = 0 if entry["epoch"] == 1 else 1e9
            log(entry)

        bench.train(loop, recipe, checkpoints, rarely)
    fresh = Checkpoints(tmp_path, every=1e9)
    saved = fresh.read()
    assert saved is not None and saved.epoch == 1
    bench.train(loop, bench.recipe("em-apl"), fresh).require_equal(whole)


@pytest.mark.parametrize("loop", ["head", "photos"])
def test_a_run_that_only_had_to_be_written_trains_no_more(loop: Loop, bench: Bench, tmp_path: Path) -> None:
    recipe = bench.recipe("em", stop="no-gain", epochs=30)
    whole = bench.train(loop, recipe, Checkpoints(tmp_path, every=0))
    assert len(whole.log) < 30
    checkpoints, fresh = Checkpoints(tmp_path, every=0), bench.recipe("em", stop="no-gain", epochs=30)
    checkpoints.read()
    faults = Faults()
    with faulty(fresh, faults):
        bench.train(loop, fresh, checkpoints).require_equal(whole)
    assert faults.seen == 0


# -- the file ---


def some(epoch: int, size: int = 4) -> Saved:
    return Saved({"network.a": torch.full((size,), float(epoch))}, {"epoch": epoch, "over": False})


def test_a_checkpoint_is_kept_while_the_next_one_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path, every=0)
    checkpoints.offer(lambda: some(1))

    def cut(tensors: Any, path: Path, metadata: Any) -> None:  # noqa: ARG001
        path.write_bytes(b"half a file")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", cut)
    with pytest.raises(OneLabelError) as caught:
        checkpoints.offer(lambda: some(2))
    assert str(caught.value) == (
        f"cannot write {tmp_path / NAME}: No space left on device; the checkpoint after epoch 1 is intact: "
        "the same command with --resume goes on from there"
    )
    found = Checkpoints(tmp_path).read()
    assert found is not None and found.epoch == 1 and [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_disk_that_is_really_too_small(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, every=0)
    checkpoints.offer(lambda: some(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OneLabelError, match=r"cannot write .*the checkpoint after epoch 1 is intact"):
            checkpoints.offer(lambda: some(2, size=100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    found = Checkpoints(tmp_path).read()
    assert found is not None and found.epoch == 1 and [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_folder_that_is_gone_is_said_in_one_line(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "run", every=0)
    with pytest.raises(OneLabelError, match=r"cannot write .*no checkpoint yet: .* --resume begins again"):
        checkpoints.offer(lambda: some(1))


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\x02\0\0\0\0\0\0\0{}", b"\xff" * 40])
def test_a_file_that_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(OneLabelError, match="is not a checkpoint"):
        Checkpoints(tmp_path).read()


def test_a_checkpoint_of_another_run_does_not_fit(bench: Bench, tmp_path: Path) -> None:
    bench.train("head", bench.recipe("role"), Checkpoints(tmp_path, every=0))
    for other in (bench.recipe("em"), bench.recipe("em", head="mlp")):
        checkpoints = Checkpoints(tmp_path)
        checkpoints.read()
        with pytest.raises(OneLabelError, match=r"saved state has .* this run needs|does not fit this run"):
            bench.train("head", other, checkpoints)


def test_checkpoints_take_a_small_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that only writing moves: 2 s each; epochs take 1 s."""
    clock, written = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def write(path: Path, saved: Saved) -> None:  # noqa: ARG001
        clock[0] += 2.0
        written.append(saved.epoch)

    monkeypatch.setattr(checkpoint, "_write", write)
    for every, wanted in ((5.0, [5, 25, 45]), (0, list(range(1, 51)))):
        checkpoints, epochs = Checkpoints(tmp_path, every=every), range(1, 51)
        written.clear()
        for epoch in epochs:
            clock[0] += 1.0
            checkpoints.offer(lambda epoch=epoch: some(epoch))  # type: ignore[misc]
        assert written == wanted


# -- the run folder ---

CONFIG = {"lr": 0.1, "method": {"name": "em", "alpha": 0.1}, "workers": 1, "rules": None}
DATA = {"the labels": "1", "the first weights": "2"}


def begun(tmp_path: Path, epoch: int = 2) -> Path:
    """A run that was killed after some epochs, with a line too many and half a line in its log."""
    run, checkpoints = open_run(tmp_path / "run", CONFIG, DATA, 0, Keep(every=0))
    for number in range(1, epoch + 2):
        run.log({"epoch": number})
    with (run.path / "metrics.jsonl").open("a") as stream:
        stream.write('{"epo')
    history = [{"epoch": number} for number in range(1, epoch + 1)]
    checkpoints.offer(lambda: Saved({}, {"epoch": epoch, "over": False, "history": history}))
    return run.path


def test_the_log_of_a_resumed_run_has_each_epoch_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = begun(tmp_path)
    left = [path / ".checkpoint.safetensors.0123abcd.tmp", path / ".tmpQx1", tmp_path / ".run.0123abcd.tmp"]
    for file in left:
        file.write_text("half")
    (path / ".bundle.0123abcd.tmp").mkdir()
    keep = tmp_path / ".gitignore"
    keep.write_text("")
    run, checkpoints = open_run(path, CONFIG, DATA, 0, Keep(resume=True))
    assert [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()] == [
        {"epoch": 1}, {"epoch": 2}
    ]  # fmt: skip
    assert checkpoints.epoch == 2 and f"resuming {path} after epoch 2" in capsys.readouterr().out
    assert keep.exists() and not any(file.exists() for file in left)
    assert {file.name for file in path.iterdir()} == {
        "config.yaml", "environment.json", "metrics.jsonl", NAME
    }  # fmt: skip
    assert run.config == CONFIG


def test_without_a_checkpoint_a_run_begins_again_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = begun(tmp_path)
    (path / NAME).unlink()
    for out in (path, tmp_path / "new"):
        _, checkpoints = open_run(out, CONFIG, DATA, 0, Keep(resume=True))
        assert f"no checkpoint in {out}: starting from the beginning" in capsys.readouterr().out
        assert checkpoints.saved is None and not (out / "metrics.jsonl").exists()


def test_only_the_run_that_began_is_resumed(tmp_path: Path) -> None:
    path = begun(tmp_path)
    assert look(path, CONFIG) == "begun" and look(tmp_path / "none", CONFIG) == "nothing"
    other = {**CONFIG, "lr": 0.2, "method": {"name": "em", "alpha": 0.3}, "workers": 9}
    with pytest.raises(
        OneLabelError, match=r"\(lr 0\.1 → 0\.2; method\.alpha 0\.1 → 0\.3\): resume with those"
    ):
        look(path, other)
    with pytest.raises(OneLabelError, match="the labels changed since the run in"):
        open_run(path, CONFIG, {**DATA, "the labels": "3"}, 0, Keep(resume=True))
    RunFolder(path).finish({})
    assert look(path, CONFIG) == "finished"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "config.yaml").write_text("")
    with pytest.raises(OneLabelError, match="is not a run folder"):
        look(tmp_path / "photos", CONFIG)


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path) -> None:
    path = begun(tmp_path)
    run, checkpoints = open_run(path, CONFIG, DATA, 0, Keep(resume=True))
    with claimed(run, checkpoints):
        for resume in (True, False):
            with pytest.raises(OneLabelError, match=f"another process is training in {path}"):
                open_run(path, CONFIG, DATA, 0, Keep(resume))
    open_run(path, CONFIG, DATA, 0, Keep(resume=True))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="loader processes are forked on Linux")
def test_a_process_that_outlives_the_run_does_not_keep_it_locked(tmp_path: Path) -> None:
    """As loader processes do, for some seconds, when the run that forked them is killed."""
    path = begun(tmp_path)
    run, checkpoints = open_run(path, CONFIG, DATA, 0, Keep(resume=True))
    ready, write = os.pipe()
    with claimed(run, checkpoints):
        child = os.fork()
        if not child:
            os.write(write, b"1")
            time.sleep(60)
            os._exit(0)
        os.read(ready, 1)
        with pytest.raises(OneLabelError, match="another process is training"):
            open_run(path, CONFIG, DATA, 0, Keep(resume=True))
    try:
        open_run(path, CONFIG, DATA, 0, Keep(resume=True))
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "the child is to be alive"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(write)


def test_other_versions_are_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = begun(tmp_path)
    newer = {"python": "3.99.0", "packages": {"torch": "9.9"}}
    monkeypatch.setattr("onelabel.training.resume.environment", lambda: newer)
    open_run(path, CONFIG, DATA, 0, Keep(resume=True))
    assert f"torch {version('torch')} → 9.9" in capsys.readouterr().out


def test_differences_name_what_is_new_and_what_is_gone() -> None:
    assert differences({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"d": 3}}) == ["b.c 2 → none", "b.d none → 3"]


def test_any_change_of_labels_changes_their_digest() -> None:
    base = LabelTable.from_dense(["a", "b"], ["x", "y"], [[1, 0], [0, -1]])
    others = [
        LabelTable.from_dense(["a", "c"], ["x", "y"], [[1, 0], [0, -1]]),
        LabelTable.from_dense(["a", "b"], ["x", "z"], [[1, 0], [0, -1]]),
        LabelTable.from_dense(["a", "b"], ["x", "y"], [[1, 0], [0, 1]]),
        LabelTable.from_dense(["a", "b"], ["x", "y"], [[1, -1], [0, -1]]),
        base.with_default(True),
        base.take(np.array([1, 0])),
    ]
    assert len({digest_table(table) for table in [base, *others]}) == 7


# -- room ---


def test_room_is_asked_for_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=5_000_000))
    require_room(tmp_path / "a" / "run", 4_999_999)
    with pytest.raises(OneLabelError, match=r"needs about 5\.0 MB .* has 5\.0 MB left: make room"):
        open_run(tmp_path / "run", CONFIG, DATA, 5_000_001, Keep())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("name", ["em", "role"])
def test_the_estimate_holds_what_is_written(name: str, ema: float, bench: Bench, tmp_path: Path) -> None:
    recipe = bench.recipe(name, ema=ema)
    backbone = bench.backbone()
    outcome = bench.train("photos", recipe, Checkpoints(tmp_path, every=0))
    network = PhotoNetwork(backbone, head_of(outcome, backbone.dim))
    size = (tmp_path / NAME).stat().st_size
    estimate = bytes_needed(recipe, network) - (1 << 20)
    model = sum(4 * value.numel() for value in network.state_dict().values())
    assert 0.8 < (estimate - model) / (2 * size) < 1.05


def head_of(outcome: Outcome, dim: int) -> Any:
    return LinearHead(dim, len(outcome.tensors["head.bias"]))
