"""``onelabel calibrate``: what is promised, stored, used by predict and evaluate, and refused."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from desk import Desk
from onelabel.cli import main
from onelabel.io.manifest import digest_file
from onelabel.models import bundle_write
from onelabel.models.bundle import NOT_CALIBRATED, Bundle
from onelabel.models.bundle_read import load_bundle
from onelabel.models.bundle_write import write_bundle
from onelabel.models.seen import read_seen
from onelabel.models.weights import read_weights, write_weights
from workshop import Workshop

FIT = ["calibrate", "run", "full.csv", "--exhaustive", "--features", "features"]
BUNDLE = Path("run/bundle")
THRESHOLDS = Path(__file__).parents[2] / "docs" / "thresholds.md"


@pytest.fixture(scope="module")
def good_run(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that tells the colours apart."""
    out = tmp_path_factory.mktemp("good") / "run"
    labels = [str(workshop.full), "--exhaustive", "--features", str(workshop.features)]
    options = ["--method", "bce", "--select", "full", "--epochs", "60", "--lr", "0.03"]
    assert main(["train", *labels, *options, "--out", str(out)]) == 0
    return out


@pytest.fixture
def desk(desk: Desk, good_run: Path) -> Desk:
    """The desk with that run on it."""
    shutil.rmtree(desk.path / "run")
    shutil.copytree(good_run, desk.path / "run")
    return desk


def content(desk: Desk) -> dict[str, Any]:
    found = json.loads((desk.path / BUNDLE / "bundle.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def evaluated(desk: Desk, split: str) -> tuple[dict[str, Any], str]:
    """Figures and text of an evaluation."""
    desk.capsys.readouterr()
    command = ["evaluate", "run", "full.csv", "--exhaustive", "--features", "features", "--split", split]
    assert main([*command, "--json", "found.json", "--overwrite"]) == 0
    figures = json.loads(Path("found.json").read_text(encoding="utf-8"))
    assert isinstance(figures, dict)
    return figures, desk.capsys.readouterr().out


def test_everything_is_stored_with_the_data_it_came_from(desk: Desk) -> None:
    before = content(desk)
    weights = digest_file(BUNDLE / "model.safetensors")
    assert before["thresholds_fit"]["data"] == "the validation part of full.csv", "a training fits, too"
    assert before["thresholds_fit"]["model"] == weights and before["calibration"] is None
    assert main([*FIT, "--platt", "--rule", "cost:2:1"]) == 0
    said, after = desk.capsys.readouterr().out, content(desk)
    assert digest_file(BUNDLE / "model.safetensors") == weights, "the weights stay"
    changed = {key for key in after if after[key] != before[key]}
    assert changed == {"thresholds", "thresholds_source", "thresholds_fit", "calibration"}
    for fit in (after["thresholds_fit"], after["calibration"]["fit"]):
        assert (fit["data"], fit["images"], fit["model"]) == ("full.csv", 10, weights)
        assert len(fit["labels_sha256"]) == 64
        for row in fit["classes"].values():
            assert row["positive"] + row["negative"] == 10 and row["unknown"] == 0
    assert after["thresholds_fit"]["rule"] == "cost:2:1" and after["thresholds_fit"]["scope"] == "shrunk"
    assert after["thresholds_source"] in said and after["calibration"]["source"] in said
    assert "lowest cost, 2 for a missed positive and 1 for a false one" in said
    card = (BUNDLE / "README.md").read_text(encoding="utf-8")
    assert "Platt curves fitted to 10 images of full.csv" in card
    bundle = load_bundle("run")
    assert bundle.thresholds.values.tolist() == list(after["thresholds"].values())


def test_prediction_and_evaluation_use_them_and_say_which(desk: Desk) -> None:
    assert main([*FIT, "--platt", "--rule", "f1", "--scope", "all"]) == 0
    desk.capsys.readouterr()
    assert main(["predict", "run", "photos", "--out", "tags.csv"]) == 0
    said, bundle = desk.capsys.readouterr().out, load_bundle("run")
    assert f"threshold {bundle.thresholds.source}" in said and "probabilities: Platt curves" in said
    with Path("tags.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    cut = bundle.thresholds.values[0]
    assert {row["decision"] == "1" for row in rows} == {True, False}
    for row in rows:
        assert (row["decision"] == "1") == (float(row["probability"]) >= cut)
    figures, text = evaluated(desk, "val")
    fitted = content(desk)["thresholds_fit"]["classes"]
    for row in figures["per_class"]:
        assert row["f1"] == pytest.approx(fitted[row["class"]]["f1"]), "on the images fitted to"
    before, after = figures["calibration"]
    assert before["probabilities"] == "sigmoid of the logits, not calibrated"
    assert after["probabilities"] == bundle.probability_source
    assert text.count("calibration error (classwise ECE)") == 2
    # Without --platt the probabilities are the model's own again.
    assert main(FIT) == 0
    assert load_bundle("run").calibration is None and len(evaluated(desk, "test")[0]["calibration"]) == 1


def test_a_run_and_an_evaluation_hold_the_curves_of_a_figure(desk: Desk) -> None:
    trained = json.loads(Path("run/metrics.json").read_text(encoding="utf-8"))["val"]
    figures, text = evaluated(desk, "val")
    for found in (trained, figures):
        curve = found["f1_curve"]
        assert len(curve["thresholds"]) == len(curve["f1"]) and curve["best_f1"] == max(curve["f1"])
        assert 0.5 in curve["thresholds"]
        bins = found["calibration"][0]["curve"]
        assert sum(bins["known_entries"]) == 10 * 4
    assert "at 0.5, at best" in text
    for name in ("thresholds", "f1"):
        assert trained["f1_curve"][name] == pytest.approx(figures["f1_curve"][name], abs=1e-6)


@pytest.mark.parametrize("platt", [[], ["--platt"]])
@pytest.mark.parametrize(
    ("rule", "figure", "least"),
    [("precision:0.8", "OP", 0.8), ("recall:0.9", "observed_recall", 0.9), ("recall:1", "OR", 1.0)],
)
def test_an_evaluation_on_the_same_images_shows_what_was_promised(
    rule: str, figure: str, least: float, platt: list[str], desk: Desk
) -> None:
    assert main([*FIT, *platt, "--rule", rule, "--scope", "all"]) == 0
    assert evaluated(desk, "val")[0]["f1"][figure] >= least


def test_a_share_of_photos_is_called(desk: Desk) -> None:
    assert main([*FIT, "--rule", "share:0.25"]) == 0
    figures, _ = evaluated(desk, "val")
    assert figures["f1"]["predicted_per_image"] == pytest.approx(0.25 * 4)


def test_images_that_the_model_has_seen_are_said_to_be(desk: Desk) -> None:
    assert "trained on 28 of these 28 images (by name)" in evaluated(desk, "train")[1]
    figures, text = evaluated(desk, "val")
    assert "10 of these 10 images (by name) chose the epoch" in text and "were fitted to 10 of" in text
    assert any("chose the epoch" in note for note in figures["notes"])
    assert "(by name)" not in evaluated(desk, "test")[1]
    assert main([*FIT, "--split", "train"]) == 0
    assert "note: the model was trained on 28 of these 28 images" in desk.capsys.readouterr().out
    assert main([*FIT, "--split", "test"]) == 0
    assert "note: the model was trained" not in desk.capsys.readouterr().out
    assert "fitted to 10 of these 10 images" in evaluated(desk, "test")[1]
    assert not [note for note in evaluated(desk, "val")[0]["notes"] if "fitted" in note]


def changed_model(bundle: Bundle) -> Bundle:
    head = type(bundle.head)(bundle.head.in_features, bundle.head.out_features)
    torch.nn.init.normal_(head.weight)
    return replace(bundle, head=head)


def test_thresholds_of_another_model_are_refused_and_new_ones_mend_it(desk: Desk) -> None:
    assert main([*FIT, "--platt"]) == 0
    other = changed_model(load_bundle("run", without_decisions=True))
    with pytest.raises(Exception, match="fitted to other weights"):
        write_bundle(BUNDLE, replace(other, thresholds=load_bundle("run").thresholds), overwrite=True)
    old = content(desk)
    write_bundle(BUNDLE, other, overwrite=True)
    decisions = ("thresholds", "thresholds_source", "thresholds_fit", "calibration")
    for kept in (decisions, decisions[:3], decisions[3:]):
        mixed = content(desk) | {key: old[key] for key in kept}
        desk.write(str(BUNDLE / "bundle.json"), json.dumps(mixed))
        said = desk.complaint("predict", "run", "photos", "--out", "tags.csv")
        assert "were fitted to other weights than those in model.safetensors" in said
        assert "onelabel calibrate" in said
        assert main(FIT) == 0
        assert main(["predict", "run", "photos", "--out", "tags.csv"]) == 0
        Path("tags.csv").unlink()


def test_changed_weights_are_refused_and_written_anew_as_the_document_says(desk: Desk) -> None:
    weights = (BUNDLE / "model.safetensors").read_bytes()
    state, metadata = read_weights(BUNDLE / "model.safetensors")
    write_weights(BUNDLE / "model.safetensors", {key: value / 2 for key, value in state.items()}, metadata)
    for command in (["predict", "run", "photos", "--out", "tags.csv"], FIT):
        said = desk.complaint(*command)
        assert "are not of one model" in said and "copy the whole folder again, or train again" in said
        assert "calibrate" not in said, "it would be refused there, too"
    desk.write(str(BUNDLE / "model.safetensors"), weights)
    seen = read_seen(BUNDLE)
    (code,) = re.findall(r"^```python\n(.*?)^```$", THRESHOLDS.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    exec(compile(code, str(THRESHOLDS), "exec"), {})
    assert load_bundle("changed").thresholds.source == NOT_CALIBRATED
    assert main(["calibrate", "changed", *FIT[2:]]) == 0
    assert "stored in changed" in desk.capsys.readouterr().out
    assert main(["predict", "changed", "photos", "--out", "tags.csv"]) == 0
    now, before = read_seen(Path("changed")), load_bundle("run").thresholds.values
    assert seen is not None and now is not None and np.array_equal(now.train, seen.train)
    assert not np.allclose(load_bundle("changed").thresholds.values, before)


def test_an_edited_card_stays(desk: Desk) -> None:
    desk.write(str(BUNDLE / "README.md"), "my own words")
    assert main(FIT) == 0
    assert (BUNDLE / "README.md").read_text(encoding="utf-8") == "my own words"


def test_what_breaks_off_leaves_the_model_as_it_was(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (BUNDLE / "bundle.json").read_bytes()

    def full_disk(*_arguments: Any, **_options: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(bundle_write, "write_manifest", full_disk)
        assert main(FIT) == 2
    assert (desk.path / BUNDLE / "bundle.json").read_bytes() == before
    load_bundle("run")


POSITIVES = ["calibrate", "run", "single.csv", "--features", "features"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (POSITIVES, "rule f1 needs a class with known positives and known absences"),
        ([*POSITIVES, "--rule", "precision:0.9"], "nothing called present is known to be wrong"),
        (
            [*POSITIVES, "--rule", "recall:0.9", "--platt"],
            "calibration needs a class with known positives and",
        ),
        ([*FIT, "--rule", "f2"], "unknown rule 'f2' (did you mean 'f1'?)"),
        ([*FIT, "--rule", "precision:90"], "P must be above 0 and up to 1"),
        ([*FIT, "--rule", "share:0.5", "--scope", "shrunk"], "rule share needs no shrinkage"),
        ([*FIT, "--scope", "classes"], "shrunk or class or all is expected"),
        ([*FIT, "--split", "vall"], "unknown split 'vall' (did you mean 'val'?)"),
        ([*FIT, "--images", "photos"], "give either --images DIR or --features STORE"),
        ([*FIT, "--classes", "full.csv"], "leave --classes out"),
        ([*FIT, "--device", "gpu"], "--device 'gpu' cannot be used"),
        (["calibrate", "photos", *FIT[2:]], "photos holds no trained model"),
        (["calibrate", "run", "none.csv", *FIT[3:]], "none.csv"),
    ],
)
def test_mistakes_are_one_line_and_change_nothing(command: list[str], message: str, desk: Desk) -> None:
    assert message in desk.complaint(*command)


def test_positives_alone_give_what_they_can(desk: Desk) -> None:
    for rule in ("recall:0.9", "share:0.3"):
        assert main([*POSITIVES, "--rule", rule]) == 0
        assert "how many decisions are false is not known" in desk.capsys.readouterr().out


def test_photos_give_the_thresholds_of_their_features(desk: Desk) -> None:
    assert main([*FIT, "--rule", "recall:0.8"]) == 0
    assert "stored in run" in desk.capsys.readouterr().out
    stored = load_bundle("run").thresholds.values
    assert main([*FIT[:4], "--images", "photos", "--rule", "recall:0.8"]) == 0
    np.testing.assert_allclose(load_bundle("run").thresholds.values, stored, atol=2e-3)
