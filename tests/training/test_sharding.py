"""Two real processes that share the weights of a network train it as one process does."""

from __future__ import annotations

import csv
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from crews import Crew
from onelabel.cli import main
from onelabel.io.errors import OneLabelError
from onelabel.labels.readers import save_labels
from onelabel.labels.table import LabelTable
from onelabel.models.weights import read_weights
from onelabel.training.sharding import blocks, shard
from shares import small
from team_steps import StepsBench, read_steps

NAMES = ["cat", "dog", "owl"]
ROWS = 9
METHODS = ["epr", "role"]


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    crew = Crew(tmp_path_factory.mktemp("crew"))
    yield crew
    crew.end()


def test_each_process_holds_its_part(crew: Crew, tmp_path: Path) -> None:
    ended = crew.run("cut", str(tmp_path))
    assert ended.codes == [0, 0], ended.err
    pair = [load_file(tmp_path / f"{rank}.safetensors") for rank in (0, 1)]
    network = small()
    for name, value in network.state_dict().items():
        assert all(torch.equal(one[f"whole.{name}"], value) for one in pair), name
        assert all(torch.equal(one[f"own.{name}"], one[f"cut.{name}"]) for one in pair), name
        if name in dict(network.named_parameters()):
            assert torch.equal(torch.cat([one[f"own.{name}"] for one in pair]), value), name
    assert pair[0]["own.0.0.weight"].shape == (3, 6) and pair[1]["own.2.weight"].shape == (0, 3)
    for one in pair:
        assert one["finite"].tolist() == [True, False]  # one has an infinite weight, both say so
        assert torch.equal(one["result"], network.eval()(torch.ones(2, 6)))


def test_blocks_are_layers_of_lists_from_the_inside() -> None:
    network = timm.create_model("test_vit", pretrained=False)
    assert blocks(network)[::-1] == list(cast(nn.Sequential, network.blocks))
    inner = nn.Sequential(nn.Linear(9, 9), nn.Linear(1, 1))
    outer = nn.ModuleList([nn.ModuleList([inner]), nn.Linear(99, 99)])
    assert blocks(outer) == [inner[0], outer[1]]  # 2 weights are too few, and a list computes nothing


def test_what_cannot_be_cut_is_refused() -> None:
    mesh: Any = None
    single, shared = nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    single.scale = nn.Parameter(torch.tensor(1.0))
    cast(nn.Linear, shared[1]).weight = cast(nn.Linear, shared[0]).weight
    for network, why in ((single, "single number"), (shared, "share a weight")):
        with pytest.raises(OneLabelError, match=f"{why}: use --strategy ddp"):
            shard(network, mesh)


@pytest.fixture(scope="module")
def steps(crew: Crew, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What the steps of one process were like, and those of two that share the weights."""
    bench = StepsBench(tmp_path_factory.mktemp("photos")).draw()
    folders = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    for size, folder in enumerate(folders, 1):
        strategy = "fsdp" if size > 1 else "ddp"
        ended = crew.run("learn", str(bench.folder), str(folder), METHODS, strategy, 1e-3, size=size)
        assert ended.codes == [0] * size, ended.err
    return folders


@pytest.mark.parametrize("method", METHODS)
def test_they_take_the_steps_of_one(method: str, steps: tuple[Path, Path]) -> None:
    """Loss, gradient, state of each image, scores and final weights, with terms over the batch."""
    one, pair = read_steps(steps[0], method), [read_steps(steps[1], method, rank) for rank in (0, 1)]
    held, parts = one.pop("held"), [two.pop("held") for two in pair]
    assert one.keys() == pair[0].keys() == pair[1].keys() and one["gradients"].abs().amax(1).gt(1e-3).all()
    for name, wanted in one.items():
        assert torch.equal(pair[0][name], pair[1][name]), f"{name} differs between the two"
        torch.testing.assert_close(pair[0][name], wanted, rtol=0, atol=1e-5, msg=name)
    # weights, gradients, moments; no weight is too small to be halved but for a few biases
    assert torch.equal(parts[0] + parts[1], held)
    assert ((parts[0] / held - 0.5).abs() < 0.01).all(), (parts, held)


# -- whole runs ---


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels, validation labels, photos, and a network with BatchNorm."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(4)
    ids = [f"{row}.png" for row in range(ROWS + 5)]
    for name in ids:
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / name)
    labels = np.eye(3, dtype=np.int8)[np.arange(len(ids)) % 3]
    save_labels(LabelTable.from_dense(ids[:ROWS], NAMES, labels[:ROWS]), folder / "labels.csv")
    full = LabelTable.from_dense(ids[ROWS:], NAMES, np.where(labels[ROWS:] == 1, 1, -1))
    save_labels(full, folder / "val.csv")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model("test_resnet", pretrained=False)
    timm.models.save_for_hf(network, str(folder / "test_resnet"), safe_serialization=True)
    return folder


def command(files: Path, out: Path, *more: str) -> list[str]:
    return [
        "train", f"{files}/labels.csv", "--val", f"{files}/val.csv", "--images", str(files), "--backbone",
        f"local-dir:{files}/test_resnet", "--photo-size", "32", "--workers", "0", "--method", "role",
        "--select", "full", "--expected-positives", "1.5", "--batch-size", "4", "--lr", "0.002", "--epochs",
        "5", "--ema", "0.6", "--freeze-epochs", "1", "--checkpoint-every", "0", "--out", str(out), *more,
    ]  # fmt: skip


FSDP = ("--strategy", "fsdp")


def outcome(run: Path) -> dict[str, Any]:
    """What a run leaves that a difference in the last bit would change."""
    with np.load(run / "predictions.npz") as kept:
        logits = np.array(kept["logits"])
    return {
        "weights": read_weights(run / "bundle" / "model.safetensors")[0],
        "bytes": (run / "bundle" / "model.safetensors").read_bytes(),
        "state": (run / "state.safetensors").read_bytes(),
        "logits": logits,
        "files": sorted(file.name for file in run.iterdir()),
    }


@pytest.fixture(scope="module")
def whole(files: Path, crew: Crew, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes with BatchNorm that nothing interrupted."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    ended = crew.main(command(files, run, *FSDP))
    assert ended.codes == [0, 0] and ended.err == ["", ""], ended.err
    return run


def test_the_model_is_that_of_ddp(files: Path, crew: Crew, whole: Path, tmp_path: Path) -> None:
    """With BatchNorm, whose statistics each process takes from its own images; the bundle can be used."""
    ended = crew.main(command(files, tmp_path / "ddp"))
    assert ended.codes == [0, 0], ended.err
    ddp, fsdp = outcome(tmp_path / "ddp"), outcome(whole)
    for key, value in ddp["weights"].items():
        torch.testing.assert_close(fsdp["weights"][key], value, rtol=0, atol=1e-5, msg=key)
    np.testing.assert_allclose(fsdp["logits"], ddp["logits"], atol=1e-5)
    photo = str(files / f"{ROWS}.png")
    tables = [tmp_path / "ddp.csv", tmp_path / "fsdp.csv"]
    for run, table in zip((tmp_path / "ddp", whole), tables, strict=True):
        assert main(["predict", str(run), photo, "--out", str(table)]) == 0
    first, second = ([float(row["probability"]) for row in csv.DictReader(table.open())] for table in tables)
    assert len(first) == 3 and np.allclose(first, second, rtol=0, atol=1e-5)


def test_a_run_goes_on_to_the_last_bit(files: Path, crew: Crew, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ended = crew.main(command(files, run, *FSDP), kill=1, when=run / "metrics.jsonl")
    assert ended.codes == [3, -signal.SIGKILL], ended.err
    saved = load_file(run / "checkpoint.safetensors")
    parts = {name.partition(".")[0] for name in saved}
    assert parts == {"network", "optimizer", "average", "method", "best", "best_logits"}
    for name, value in outcome(whole)["weights"].items():  # whole, whatever the number of processes
        assert saved[f"network.{name.replace('backbone.', 'backbone.network.')}"].shape == value.shape
    ended = crew.main(command(files, run, "--resume"))  # which is of another strategy
    assert 2 in ended.codes and "strategy fsdp → ddp" in "".join(ended.err), ended.err
    ended = crew.main(command(files, run, *FSDP, "--resume"))
    assert ended.codes == [0, 0] and "resuming" in ended.out[0], ended.err
    once, again = outcome(whole), outcome(run)
    assert once["bytes"] == again["bytes"] and once["state"] == again["state"]
    assert np.array_equal(once["logits"], again["logits"]) and once["files"] == again["files"]


def test_half_precision_from_an_earlier_run(files: Path, crew: Crew, whole: Path, tmp_path: Path) -> None:
    more = ("--init", str(whole), "--precision", "bf16", "--epochs", "2", "--freeze-epochs", "0")
    ended = crew.main(command(files, tmp_path / "run", *FSDP, *more))
    assert ended.codes == [0, 0], ended.err
    before, after = outcome(whole)["weights"], outcome(tmp_path / "run")["weights"]
    moved = [float((after[name] - value).abs().max()) for name, value in before.items() if value.ndim > 1]
    assert min(moved) > 0 and max(moved) < 0.1


def test_what_does_not_go_together(
    files: Path, crew: Crew, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(command(files, run, *FSDP)) == 2
    assert "give --devices 2 or more" in capsys.readouterr().err
    assert main(["train", "l.csv", "--features", "x.npz", "--method", "em", "--out", str(run), *FSDP]) == 2
    assert "--strategy is for fine-tuning" in capsys.readouterr().err
    ended = crew.main(command(files, run, *FSDP, "--precision", "16"))
    assert 2 in ended.codes and "works with --precision 32 or bf16" in "".join(ended.err), ended.err
    assert not run.exists()
