"""A fine-tuning run through the command line: what it leaves behind, and what it refuses before it starts."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image, ImageDraw

from onelabel.cli import main
from onelabel.evaluation.metrics import mean_average_precision
from onelabel.images.decode import MAX_PIXELS
from onelabel.labels.readers import ReadOptions, load_labels
from onelabel.methods.registry import create
from onelabel.models.backbones import load_backbone
from onelabel.models.bundle_read import load_bundle
from onelabel.models.heads import LinearHead, initialise
from onelabel.training.common import observed_prior
from onelabel.training.finetune import fine_tune
from onelabel.training.parts import Parts
from onelabel.training.photo_network import PhotoNetwork
from onelabel.training.photo_rows import photo_batches, photo_rows
from onelabel.training.recipe import Recipe
from onelabel.training.settings import Settings

Run = Callable[..., int]


def make_backbone(folder: Path) -> str:
    """Write a timm folder whose network reads 32 × 32 images; return its spec."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model("test_resnet", pretrained=False, num_classes=0)
    timm.models.save_for_hf(network, str(folder), safe_serialization=True)
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"]["input_size"] = [3, 32, 32]
    (folder / "config.json").write_text(json.dumps(config))
    return f"local-dir:{folder}"


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Twelve photos, ``labels.csv`` with the splits train, val and test, and a backbone in ``net``."""
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    with (tmp_path / "labels.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "left", "right", "split"])
        for row in range(12):
            here = [(row // 2) % 2, row % 2]
            picture = Image.fromarray(rng.integers(0, 99, (36, 40, 3), dtype=np.uint8))
            for side, label in enumerate(here):
                if label:
                    ImageDraw.Draw(picture).rectangle((20 * side, 5, 20 * side + 15, 20), fill="white")
            picture.save(tmp_path / "photos" / f"{row:02}.png")
            writer.writerow([f"{row:02}.png", *here, ("train", "val", "test")[row // 4]])
    make_backbone(tmp_path / "net")
    return tmp_path


@pytest.fixture
def train(job: Path) -> Run:
    """``train(*more, **replaced)``: run the command on the job, into ``run``."""

    def run(*more: str, **replaced: str) -> int:
        options = {
            "images": f"{job}/photos", "backbone": f"local-dir:{job}/net", "method": "an", "epochs": "1",
            "batch-size": "3", "select": "full", "workers": "0", "out": f"{job}/run", **replaced,
        }  # fmt: skip
        pairs = [part for name, value in options.items() for part in (f"--{name}", value)]
        return main(["train", f"{job}/labels.csv", "--exhaustive", *pairs, *more])

    return run


def test_a_run_leaves_a_model_that_predicts_what_was_validated(job: Path, train: Run) -> None:
    assert train(epochs="2", workers="1", lr="1e-3") == 0
    run = job / "run"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["selection"] == max(line["selection"] for line in lines)
    assert main(["predict", str(run), f"{job}/photos", "--out", f"{job}/tags.csv"]) == 0
    with (job / "tags.csv").open() as stream:
        probs = {
            (Path(row["image"]).name, row["class"]): float(row["probability"])
            for row in csv.DictReader(stream)
        }
    with np.load(run / "predictions.npz") as kept:
        assert kept["ids"].tolist() == ["04.png", "05.png", "06.png", "07.png"]
        for name, logits in zip(kept["ids"].tolist(), kept["logits"], strict=True):
            for class_id, logit in zip(kept["classes"].tolist(), logits, strict=True):
                assert probs[name, class_id] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-5)
    evaluate = ["evaluate", str(run), f"{job}/labels.csv", "--exhaustive"]
    assert main([*evaluate, "--images", f"{job}/photos"]) == 0


def test_the_model_is_fine_tuned_and_says_from_what(
    job: Path, train: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(lr="1e-3") == 0
    start, bundle = load_backbone(f"local-dir:{job}/net"), load_bundle(job / "run")
    assert bundle.backbone is not None
    assert bundle.fingerprints["fine_tuned_from"] == start.fingerprint
    assert bundle.fingerprints["features"] == bundle.backbone.fingerprint != start.fingerprint
    # Features of the network as it was are not what the head reads.
    embed = ["embed", f"{job}/labels.csv", "--exhaustive", "--images", f"{job}/photos", "--workers", "0"]
    assert main([*embed, "--backbone", f"local-dir:{job}/net", "--out", f"{job}/store"]) == 0
    evaluate = ["evaluate", f"{job}/run", f"{job}/labels.csv", "--exhaustive"]
    assert main([*evaluate, "--features", f"{job}/store"]) == 2
    assert "weights" in capsys.readouterr().err


def spoil(name: str) -> Callable[[Path], object]:
    def change(job: Path) -> None:
        (job / "photos" / name).write_bytes(b"")

    return change


def remove(name: str) -> Callable[[Path], None]:
    def change(job: Path) -> None:
        (job / "photos" / name).unlink()

    return change


def nothing(job: Path) -> None:
    """Leave all as it is."""


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (remove("01.png"), {}, "1 of 4 photos are missing in"),
        (remove("06.png"), {}, "1 of 4 photos are missing in"),
        (spoil("02.png"), {}, "02.png: the file is empty"),
        (spoil("07.png"), {}, "07.png: the file is empty"),
        (nothing, {"max-pixels": "1000"}, "1,440 pixels, the limit is 1,000"),
        (nothing, {"images": "nowhere"}, "there is no image folder nowhere"),
        (nothing, {"backbone": "resnt50"}, "unknown backbone 'resnt50'; nearest: resnet50"),
        (nothing, {"backbone": "local-dir:nowhere"}, "nowhere is not a folder"),
        (nothing, {"workers": "-1"}, "--workers must be 0 or more"),
        (nothing, {"devices": "0"}, "--devices must be 1 or more"),
        (nothing, {"lr": "0"}, "--lr must be above 0"),
        pytest.param(
            nothing, {"precision": "16"}, "--precision 16 needs a GPU",
            marks=pytest.mark.skipif(torch.accelerator.is_available(), reason="there is a GPU"),
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    change: Callable[[Path], None], options: dict[str, str], message: str,
    job: Path, train: Run, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    change(job)
    before = sorted(job.iterdir())
    assert train(**options) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert sorted(job.iterdir()) == before


def test_test_photos_are_never_opened(job: Path, train: Run) -> None:
    remove("08.png")(job)
    spoil("11.png")(job)
    assert train() == 0


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_photo_cut_off_behind_its_header_ends_the_run_with_its_name(
    workers: str, job: Path, train: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    file = job / "photos" / "03.png"
    file.write_bytes(file.read_bytes()[:-300])
    assert train(workers=workers) == 2
    error = capsys.readouterr().err
    assert str(file) in error and error.count("\n") == 1
    assert not (job / "run" / "metrics.json").exists()


def test_a_run_without_validation_photos(job: Path, train: Run) -> None:
    rows = [line.split(",")[:3] for line in (job / "labels.csv").read_text().splitlines()]
    (job / "labels.csv").write_text("".join(",".join(row) + "\n" for row in rows))
    assert train("--val-fraction", "0", select="last") == 0
    metrics = json.loads((job / "run" / "metrics.json").read_text())
    assert metrics["select"] == "last" and metrics["selection"] is None and "val" not in metrics


# -- real photos ---


def test_an_epoch_over_real_photos_improves_on_the_start(data: Path) -> None:
    options = ReadOptions(exhaustive=True)
    table = load_labels(data / "ucm_multilabel" / "labels.csv", options).table.part("train")
    order = np.random.default_rng(0).permutation(len(table))
    train, val = table.take(order[:96]), table.take(order[96:144])
    root = str(data / "ucm_multilabel" / "images")
    backbone = load_backbone(f"local-dir:{data}/backbones/mobilenetv2_100")
    settings = Settings(epochs=1, batch_size=8, lr=1e-4, head_lr_multiplier=10, select="full")
    what = Recipe(Parts(train, val, ()), create("bce"), settings)
    photos, val_photos = (photo_rows(part, root, backbone.preprocess, MAX_PIXELS) for part in (train, val))
    torch.manual_seed(settings.seed)
    head = LinearHead(backbone.dim, train.num_classes)
    initialise(head, settings.head_init, observed_prior(train))
    untrained = PhotoNetwork(backbone, head).all_scores(photo_batches(val_photos, 16, 0), len(val))
    before = mean_average_precision(untrained, val.dense()).value
    trained = fine_tune(what, backbone, photos, val_photos)
    assert trained.score > before + 0.05, f"validation mAP {before} -> {trained.score}"
