"""``onelabel diagnose``: from a run and two label files to figures, with K at the epoch that was kept."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from desk import Desk
from onelabel.cli import main
from onelabel.labels.readers import ReadOptions, load_labels
from onelabel.losses.gr_parts import gr_k, gr_schedule
from onelabel.models.bundle_read import load_bundle
from onelabel.training.features import FeatureRows
from onelabel.vlm.features import open_features

BASE = ["diagnose", "run", "labels.csv", "--complete", "full.csv"]
FIGURES = {
    f"{name}.{end}" for name in ("separation", "missing-per-class", "share-missing") for end in ("svg", "png")
}


def rows(file: str) -> list[dict[str, str]]:
    with Path(file).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_numbers_of_the_training_images_are_those_of_a_slow_count(desk: Desk) -> None:
    assert main([*BASE, "--features", "features", "--out", "d", "--bins", "10"]) == 0
    assert {path.name for path in Path("d").iterdir()} == FIGURES | {
        "diagnosis.json",
        "classes.csv",
        "bins.csv",
    }
    assert "K: none" in desk.capsys.readouterr().out
    observed = load_labels("labels.csv").table.part("train")
    whole = load_labels("full.csv", ReadOptions(exhaustive=True)).table
    bundle = load_bundle("run")
    features = FeatureRows(open_features("features"), observed)
    probs = torch.sigmoid(bundle.score_features(features.batch(np.arange(len(observed)))).double())
    counts = {name: [0, 0, 0] for name in bundle.class_ids}
    shares = [[0, 0] for _ in range(10)]
    for n, name in enumerate(observed.ids):
        truth, known = whole.rows(np.array([whole.ids.find(name)]))[0], observed.rows(np.array([n]))[0]
        for c, class_id in enumerate(bundle.class_ids):
            kind = 0 if known[c] == 1 else 1 if truth[c] == 1 else 2
            counts[class_id][kind] += 1
            if kind:
                shares[min(int(float(probs[n, c]) * 10), 9)][kind - 1] += 1
    found = {
        row["class"]: [int(row[key]) for key in ("observed", "missing", "absent")]
        for row in rows("d/classes.csv")
    }
    assert found == counts
    assert [[int(row["missing"]), int(row["absent"])] for row in rows("d/bins.csv")] == shares
    said = json.loads(Path("d/diagnosis.json").read_text())
    assert said["entries"]["missing"] == sum(value[1] for value in counts.values())
    assert said["k"] is None


@pytest.mark.usefixtures("desk")
def test_k_is_that_of_the_epoch_that_the_run_kept() -> None:
    words = (
        "train labels.csv --features features --vlm-store clip-store --source vlpl --epochs 4 --select full"
    )
    beta = ["--method", "gr-pl", "--method.beta", "[0, 10, -2, -8]"]
    assert main([*words.split(), *beta, "--out", "gr"]) == 0
    command = ["diagnose", "gr", *BASE[2:], "--features", "features"]
    assert main([*command, "--out", "d"]) == 0
    k = json.loads(Path("d/diagnosis.json").read_text())["k"]
    epoch = json.loads(Path("gr/metrics.json").read_text())["epoch"]
    state = gr_schedule(epoch, 4, beta=(0, 10, -2, -8), alpha=(0.5, 2, 0.8, 0.5))
    assert (k["w"], k["b"]) == (state.w, state.b)
    assert k["source"] == f"epoch {epoch} of 4 of gr-pl"
    middle = rows("d/bins.csv")[70]
    p = torch.tensor((float(middle["from"]) + float(middle["to"])) / 2, dtype=torch.float64)
    assert float(middle["k"]) == pytest.approx(float(gr_k(p, state.w, state.b)))
    assert main([*command, "--k", "3,-1", "--out", "given"]) == 0
    assert json.loads(Path("given/diagnosis.json").read_text())["k"] == {"w": 3, "b": -1, "source": "given"}


def test_scores_of_photos_and_of_the_run_itself(desk: Desk) -> None:
    assert main([*BASE, "--images", "photos", "--out", "by-photo"]) == 0
    assert main([*BASE, "--features", "features", "--out", "by-feature"]) == 0
    ours, theirs = (rows(f"{name}/classes.csv") for name in ("by-photo", "by-feature"))
    assert [row["missing"] for row in ours] == [row["missing"] for row in theirs]
    assert main([*BASE, "--features", "features", "--out", "by-feature", "--overwrite"]) == 0
    # Validation labels that hide something can be looked at with the scores that the run saved.
    text = Path("labels.csv").read_text(encoding="utf-8")
    desk.write(
        "hidden.csv",
        "".join(line.replace("-1", "") if ",val" in line else line for line in text.splitlines(True)),
    )
    assert (
        main(["diagnose", "run", "hidden.csv", "--complete", "full.csv", "--split", "val", "--out", "saved"])
        == 0
    )
    assert "10 images" in desk.capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--features features --images photos", "not both"),
        ("--features features --bins 1", "--bins must be 2 to 10000"),
        ("--features features --k 3", "--k '3' must be W,B"),
        ("--features features --split val", "nothing is unknown in split 'val'"),
        ("--features features --split none", "none"),
        ("--features none", "none"),
        ("", "holds no scores of 28 of the 28 images"),
        ("--features features --classes x.txt", "the model knows its classes"),
        ("--features features --complete single.csv", "images have no complete labels"),
    ],
)
def test_mistakes(desk: Desk, options: str, expected: str) -> None:
    if "single" in options:
        head, *lines = Path("single.csv").read_text(encoding="utf-8").splitlines(True)
        desk.write("single.csv", "".join([head, *lines[:5]]))
    command = BASE if "--complete" not in options else BASE[:3]
    assert expected in desk.complaint(*command, *options.split(), "--out", "out")


def test_without_the_extra_the_message_says_how_to_install_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onelabel.report.extra.find_spec", lambda _: None)
    said = desk.complaint(*BASE, "--features", "features", "--out", "out")
    assert "pip install 'onelabel[report]'" in said


def test_a_model_of_other_classes_is_refused(desk: Desk) -> None:
    shutil.copytree("run/bundle", "alone")
    desk.write("other.csv", "image,class\nneu/größer/photo 0.png,none such\n")
    assert "none such" in desk.complaint(
        "diagnose", "alone", "other.csv", "--complete", "full.csv", "--features", "features", "--out", "out"
    )
