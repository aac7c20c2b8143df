"""``onelabel ablate`` and ``onelabel probabilities`` through the real entry point."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from desk import Desk
from onelabel.cli import main
from onelabel.images.decode import decode
from onelabel.models.bundle_read import load_bundle

BASE = ["ablate", "labels.csv", "--features", "features", "--vlm-store", "clip-store", "--epochs", "2"]
SHORT = ["--temperatures", "0.01,0.05", "--thresholds", "0.2"]


def rows(file: str) -> list[dict[str, str]]:
    with Path(file).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_cell_is_what_train_and_evaluate_give(desk: Desk) -> None:
    """Every cell of a grid against the two commands that a user would type for it."""
    assert (
        main([*BASE, "--study", "grid", *SHORT, "--seeds", "0,1", "--method.alpha", "0.2", "--out", "grid"])
        == 0
    )
    out = desk.capsys.readouterr().out
    assert "4/4" in out and "test images: best mAP" in out
    found = rows("grid/results.csv")
    assert len(found) == 4
    cell = next(
        row for row in found if (row["temperature"], row["threshold"], row["seed"]) == ("0.05", "0.2", "1")
    )
    train = [
        "train",
        *BASE[1:],
        "--method",
        "vlpl",
        "--method.alpha",
        "0.2",
        "--select",
        "full",
        "--seed",
        "1",
    ]
    assert main([*train, "--source.temperature", "0.05", "--source.threshold", "0.2", "--out", "alone"]) == 0
    assert main(["evaluate", "alone", "labels.csv", "--features", "features", "--json", "alone.json"]) == 0
    alone = json.loads(Path("alone.json").read_text())
    assert float(cell["test_map"]) == pytest.approx(alone["map"], abs=1e-4)
    metrics = json.loads(Path("alone/metrics.json").read_text())
    assert float(cell["val_map"]) == pytest.approx(metrics["val"]["map"], abs=1e-4)
    assert int(cell["epoch"]) == metrics["epoch"]


def test_it_goes_on_and_refuses_to_mix(desk: Desk) -> None:
    study = [*BASE, "--study", "negatives", "--out", "delta"]
    assert main([*study, "--negatives", "0,0.5"]) == 0
    before = {file.name: file.stat().st_mtime_ns for file in Path("delta/cells").iterdir()}
    desk.capsys.readouterr()
    assert main([*study, "--negatives", "0,0.5,0.25"]) == 0
    said = desk.capsys.readouterr().out
    assert said.count("finished before") == 2
    after = {file.name: file.stat().st_mtime_ns for file in Path("delta/cells").iterdir()}
    assert before.items() < after.items() and len(after) == 3
    assert "holds a study with another settings" in desk.complaint(*study, "--lr", "0.5")
    assert "is no study" in desk.complaint(*study[:-1], "photos")


def test_a_cell_that_fails_is_reported_and_the_rest_goes_on(desk: Desk) -> None:
    command = [*BASE, "--study", "smoothing", "--rho", "0.9,7", "--out", "rho"]
    assert main(command) == 1
    out = desk.capsys.readouterr().out
    assert "1 of 2 cells failed" in out and "failed: " in out
    assert [bool(row["failed"]) for row in rows("rho/results.csv")] == [False, True]
    assert "rho" in desk.complaint(*BASE, "--study", "smoothing", "--rho", "7", "--out", "none")


def test_whole_networks_and_two_data_sets_in_one_figure(desk: Desk) -> None:
    tuned = [
        "ablate",
        "labels.csv",
        "--vlm-store",
        "clip-store",
        "--images",
        "photos",
        "--backbone",
        "local-dir:net",
    ]
    grid = [
        "--study",
        "grid",
        "--temperatures",
        "0.03",
        "--thresholds",
        "0.3",
        "--epochs",
        "1",
        "--workers",
        "0",
    ]
    assert main([*tuned, *grid, "--name", "tuned", "--out", "first"]) == 0
    (cell,) = rows("first/results.csv")
    assert 0 <= float(cell["test_map"]) <= 1
    assert main([*BASE[:6], *grid[:-2], "--name", "heads", "--beside", "first", "--out", "second"]) == 0
    text = Path("second/figure.svg").read_text(encoding="utf-8")
    assert "tuned" in text and "heads" in text
    again = [*BASE[:6], *grid[:-2], "--beside", "first"]
    assert "same name" in desk.complaint(*again, "--name", "tuned", "--out", "third")
    assert "--beside is for --study grid" in desk.complaint(
        *BASE, "--study", "negatives", "--beside", "first", "--out", "o"
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--study nothing", "--study"),
        ("--study grid --rho 1", "does not vary --rho"),
        ("--study grid --temperatures a", "numbers separated by commas"),
        ("--study grid --temperatures 0", "temperature must be above 0"),
        ("--study grid --seeds 1,1", "--seeds"),
        ("--study grid --backbone local-dir:net", "give either"),
        ("--study grid --method an", "brings no pseudo-labels"),
        ("--study grid --method an --source vlpl", "uses no pseudo-labels"),
        ("--study smoothing --method gpr --expected-positives 2", "--expected-positives"),
        ("--study grid --beside none", "none"),
        ("--study grid --photo-size 64", "--photo-size is for fine-tuning"),
        ("--study grid --precision bf16", "--precision is for fine-tuning"),
    ],
)
def test_mistakes(desk: Desk, options: str, expected: str) -> None:
    assert expected in desk.complaint(*BASE, *options.split(), "--out", "out")


def test_photos_beside_the_probabilities_of_two_models(desk: Desk) -> None:
    train = ["train", *BASE[1:], "--method", "vlpl", "--select", "full", "--out", "run-vlpl"]
    assert main(train) == 0
    photos = sorted(str(path) for path in Path("photos").rglob("*.png"))[:3]
    assert main(["probabilities", "run", "run-vlpl", *photos, "--top", "2", "--out", "figure"]) == 0
    said = json.loads(Path("figure/probabilities.json").read_text(encoding="utf-8"))
    assert (said["first"], said["second"]) == ("an", "vlpl")
    assert len(said["rows"]) == 6 == len(rows("figure/probabilities.csv"))
    for column, run in (("first", "run"), ("second", "run-vlpl")):
        bundle = load_bundle(run)
        assert bundle.backbone is not None
        for row in said["rows"]:
            pixels = bundle.backbone.preprocess(decode(row["photo"]))[None]
            probs = torch.sigmoid(bundle.score(pixels))[0]
            assert row[column] == pytest.approx(float(probs[bundle.class_ids.index(row["class"])]), abs=1e-5)
    drawn = np.asarray(Image.open("figure/probabilities.png").convert("RGB"))
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 100  # the photos are in it
    assert "at most 24" in desk.complaint("probabilities", "run", "run-vlpl", "photos", "--out", "o")
    assert "--names" in desk.complaint(
        "probabilities", "run", "run-vlpl", *photos, "--names", "a", "--out", "o"
    )
    assert "--top" in desk.complaint("probabilities", "run", "run-vlpl", *photos, "--top", "0", "--out", "o")
