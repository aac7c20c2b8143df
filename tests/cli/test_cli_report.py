"""``onelabel report``: the same numbers as the other commands, nothing invented, fit for a browser."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser import HOSTILE, require_harmless, visit
from desk import Desk
from onelabel.cli import main
from onelabel.evaluation.bootstrap import bootstrap_map
from onelabel.evaluation.curve import f1_curve
from onelabel.evaluation.ece import calibration_error
from onelabel.labels.readers import ReadOptions, load_labels
from onelabel.models.bundle_read import load_bundle
from onelabel.report.gather import gather
from onelabel.report.text import clean
from onelabel.training.judge import score_features
from onelabel.training.run_folder import RunFolder


def told(*options: str, run: str = "run", out: str = "page.html") -> dict[str, Any]:
    """Make a report; return its numbers."""
    assert main(["report", run, "--out", out, "--overwrite", *options]) == 0
    return dict(json.loads(Path(out).with_suffix(".json").read_text("utf-8")))


def page(out: str = "page.html") -> str:
    return Path(out).read_text("utf-8")


def trained(*options: str, labels: str = "labels.csv", out: str = "new") -> str:
    command = ["train", labels, "--features", "features", "--epochs", "2", *options, "--out", out]
    assert main([*command, "--overwrite"]) == 0
    return out


@pytest.mark.usefixtures("desk")
def test_a_report_says_what_the_run_recorded() -> None:
    found, metrics = told("--images", "photos"), json.loads(Path("run/metrics.json").read_text())
    evaluation = found["quality"]["evaluation"]
    assert evaluation["map"] == metrics["val"]["map"]
    for told_row, row in zip(evaluation["per_class"], metrics["val"]["per_class"], strict=True):
        assert {key: told_row[key] for key in row} == row
    assert found["quality"]["chose_the_epoch"] and "expect less on images never used" in page()
    lines = Path("run/metrics.jsonl").read_text().splitlines()
    assert found["training"]["epochs"] == [json.loads(line) for line in lines]
    assert found["method"]["config"]["method"]["name"] == "an"
    assert found["lacking"] == [] and "Not in this report" not in page()
    assert f"{100 * metrics['val']['map']:.1f}" in page()


@pytest.mark.usefixtures("desk")
def test_what_was_known_is_counted_per_class() -> None:
    counts = load_labels("labels.csv").table.part("train").counts()
    per_class = {row["class"]: row for row in told()["known"]["per_class"]}
    for c, name in enumerate(load_labels("labels.csv").table.class_ids):
        row = per_class[name]
        assert (row["present"], row["absent"], row["unknown"]) == (
            counts.positive[c], counts.negative[c], counts.unknown[c]
        )  # fmt: skip


@pytest.mark.usefixtures("desk")
def test_given_labels_are_judged_as_evaluate_does() -> None:
    given = ("full.csv", "--exhaustive", "--features", "features", "--split", "test")
    assert main(["evaluate", "run", *given, "--bootstrap", "50", "--json", "evaluate.json"]) == 0
    expected = json.loads(Path("evaluate.json").read_text("utf-8"))
    found = told("--labels", *given, "--bootstrap", "50")["quality"]
    assert found["map_interval"] == expected.pop("map_interval")
    assert found["evaluation"] == expected and not found["chose_the_epoch"]
    assert "expect less" not in page()


@pytest.mark.usefixtures("desk")
def test_curves_come_from_the_probabilities_of_the_model() -> None:
    found = told("--labels", "full.csv", "--exhaustive", "--features", "features", "--split", "test")
    table = load_labels("full.csv", ReadOptions(exhaustive=True)).table.part("test")
    bundle = load_bundle("run")
    logits = score_features(bundle, table, "features")
    probs = 1 / (1 + np.exp(-logits.astype(np.float64)))
    np.testing.assert_allclose(
        found["calibration"]["ece"], calibration_error(probs, table.dense()).value, atol=1e-6
    )
    curve = f1_curve(probs, table.dense())
    np.testing.assert_allclose(found["thresholds"]["curve"]["best_f1"], curve.best_f1, atol=1e-6)
    interval = bootstrap_map(logits, table.dense())
    assert found["quality"]["map_interval"]["low"] == pytest.approx(interval.low)


@pytest.mark.usefixtures("desk")
def test_photos_score_as_their_features_do() -> None:
    given = ("--labels", "full.csv", "--exhaustive", "--split", "test", "--bootstrap", "0")
    by_features = told(*given, "--features", "features")["quality"]["evaluation"]
    by_photos = told(*given, "--images", "photos")["quality"]["evaluation"]
    assert by_photos["map"] == pytest.approx(by_features["map"], abs=0.02)
    assert page().count("data:image/jpeg") > 8


@pytest.mark.usefixtures("desk")
def test_partial_labels_give_no_map_and_say_so() -> None:
    trained("--method", "em", "--select", "observed", labels="single.csv")
    found = told(run="new")
    quality = found["quality"]
    assert quality["evaluation"]["map"] is None and quality["map_interval"] is None
    assert found["calibration"]["ece"] is None and found["thresholds"]["curve"] is None
    assert "not defined" in page() and "With positives alone" in page()
    assert {group["title"] for group in found["examples"]["groups"]} <= {
        "Worst", "Most uncertain", "Likely missing positives"
    }  # fmt: skip


@pytest.mark.usefixtures("desk")
def test_a_run_without_validation_images_asks_for_labels() -> None:
    trained("--method", "an", "--select", "last", "--val-fraction", "0", labels="single.csv")
    found = told(run="new")
    assert found["quality"] == {} and "classes" not in found and "calibration" not in found
    assert any("--labels FILE" in gap for gap in found["lacking"])
    assert "Nothing says how good this model is" in page()


@pytest.mark.parametrize("change", ["gone", "other labels"])
def test_labels_that_are_not_those_of_the_run_are_not_used(desk: Desk, change: str) -> None:
    text = Path("labels.csv").read_text("utf-8")
    trained("--method", "an", "--select", "full")
    metrics = json.loads(Path("new/metrics.json").read_text())
    (desk.path / "labels.csv").unlink()
    if change == "other labels":
        header, _, *rest = text.splitlines()
        desk.write("labels.csv", "\n".join([header, *rest]) + "\n")
    found = told(run="new")
    assert found["known"]["per_class"] == [] and found["known"]["train"]["images"] == 28
    assert found["quality"]["evaluation"] == metrics["val"]
    assert any("labels.csv" in gap for gap in found["lacking"])
    assert found["thresholds"]["curve"] is None and "map_interval" in found["quality"]


def require_unchanged(run: str) -> None:
    """Check that changed sources and features are not asked, and that no code of the user is run."""
    bundle = load_bundle(run)
    for change, message in (
        ({"provenance": {"changed": 1}}, "not what it was"),
        ({"source": {"name": "os:PathLike"}}, "a report runs no such code"),
    ):
        other = replace(bundle, method={**bundle.method, **change})
        found = gather(RunFolder.open(run), other, draws=0)
        assert found.grade is None and any(message in gap for gap in found.gaps)
    found = gather(RunFolder.open(run), replace(bundle, fingerprints={"features": {"file": "0"}}), draws=0)
    assert found.train_logits is None and any("features of this run any more" in gap for gap in found.gaps)


@pytest.mark.usefixtures("desk")
def test_pseudo_labels_are_graded_as_a_set_is() -> None:
    source = ("--vlm-store", "clip-store", "--source", "vlpl")
    assert main(["pseudo", "labels.csv", *source, "--name", "teacher"]) == 0
    expected = json.loads(Path("pseudo/teacher/set.json").read_text("utf-8"))["grade"]
    light = ("--examples", "0", "--bootstrap", "0")
    for options in (("--method", "vlpl", *source[:2]), ("--method", "gpr", "--source", "teacher")):
        trained(*options, "--select", "full")
        assert told(*light, run="new", out="set.html")["pseudo_labels"] == expected
    assert "Pseudo-labels" in page("set.html")
    require_unchanged("new")
    shutil.rmtree("pseudo")
    found = told(*light, run="new")
    assert "pseudo_labels" not in found and any("pseudo-labels" in gap for gap in found["lacking"])


def test_broken_and_missing_photos_are_named_and_not_fatal(desk: Desk) -> None:
    names = list(load_labels("labels.csv").table.ids)
    for name in names[:-1:2]:
        desk.write(f"photos/{name}", Path(f"photos/{name}").read_bytes()[:60])
    (desk.path / "photos" / names[-1]).unlink()
    found = told("--images", "photos", "--examples", "10")
    assert set(found["examples"]["broken"]) <= {*names[:-1:2], names[-1]} and found["examples"]["broken"]
    assert "photos cannot be shown" in page()


@pytest.mark.usefixtures("desk")
def test_likely_missing_positives_are_unknown_and_sure() -> None:
    groups = told("--examples", "5")["examples"]["groups"]
    (missing,) = [group for group in groups if group["title"] == "Likely missing positives"]
    table, bundle = load_labels("labels.csv").table.part("train"), load_bundle("run")
    probs = 1 / (1 + np.exp(-score_features(bundle, table, "features").astype(np.float64)))
    for image in missing["images"]:
        row, column = table.ids.index(image["image"]), table.class_ids.index(image["open"][0])
        assert table.rows(np.array([row]))[0, column] == 0
        assert probs[row, column] >= bundle.thresholds.values[column] - 1e-6


WORST = [name for name in HOSTILE if "\x07" not in name]
"""Without control characters, which a label file may not hold."""


def write_hostile_photos() -> None:
    """Photos and labels with the worst names that there are; file names may hold no slash."""
    classes = [name[:120] for name in WORST]
    names = [f"{n} {name.replace('/', '∕')[:120].strip()}.png" for n, name in enumerate(WORST)]
    photos = sorted(path for path in Path("photos").rglob("*.png"))
    Path("bad").mkdir()
    rows = []
    for number, photo in enumerate(photos):
        name = names[number] if number < len(names) else f"{number}.png"
        shutil.copy(photo, Path("bad") / name)
        marks = [int((number + c) % 3 == 0) for c in range(len(classes))]
        split = ("train", "val")[number % 2]
        rows.append([name, *marks, split])
    with Path("bad.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["image", *classes, "split"], *rows])


@pytest.mark.usefixtures("desk")
def test_a_browser_shows_a_run_with_hostile_names(tmp_path: Path) -> None:
    write_hostile_photos()
    embed = ["embed", "bad.csv", "--exhaustive", "--images", "bad", "--backbone", "local-dir:net"]
    assert main([*embed, "--workers", "0", "--no-mirrored", "--out", "bad-features"]) == 0
    train = ["train", "bad.csv", "--exhaustive", "--features", "bad-features", "--method", "bce"]
    assert main([*train, "--select", "full", "--epochs", "2", "--out", "bad-run"]) == 0
    found = told("--images", "bad", "--examples", "12", run="bad-run", out="bad.html")
    assert {row["class"] for row in found["quality"]["evaluation"]["per_class"]} == {
        name[:120].strip() for name in WORST
    }
    seen = visit(Path("bad.html"), tmp_path / "profile")
    require_harmless(seen)
    assert seen.phone.images > 12 and len(seen.desk.figures) >= 5
    for name in WORST:
        assert clean(name[:20]) in seen.desk.text


MISTAKES = {
    "report run --out page.pdf": "must end in .html",
    "report run --out run/metrics.html --overwrite": "part of a run",
    "report run --out page.html --exhaustive": "--exhaustive is about the images of --labels",
    "report run --out page.html --features features": "--features is about the images of --labels",
    "report run --out page.html --split test": "--split is about the images of --labels",
    "report run --out page.html --labels full.csv --exhaustive": "give --images DIR or --features STORE",
    "report run --out page.html --labels full.csv --classes c.txt --images photos": "leave --classes out",
    "report run --out page.html --examples -1": "--examples must be 0 or more",
    "report run --out page.html --bootstrap 1": "--bootstrap must be 2 or more",
    "report photos --out page.html": "photos is not a run folder",
    "report none --out page.html": "none is not a run folder",
    "report run/bundle --out page.html": "is not a run folder",
}


@pytest.mark.parametrize("command", MISTAKES)
def test_mistakes_are_one_line(desk: Desk, command: str) -> None:
    assert MISTAKES[command] in desk.complaint(*command.split())


@pytest.mark.parametrize("name", ["page.html", "page.json"])
def test_an_existing_report_is_replaced_only_when_asked(desk: Desk, name: str) -> None:
    desk.write(name, "older")
    assert f"{name} exists already" in desk.complaint("report", "run", "--out", "page.html")
