"""The whole way on drawn photos: simulate, check, embed, train, evaluate, predict."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from onelabel.cli import main
from onelabel.cli.evaluate import evaluate
from onelabel.labels.readers import ReadOptions, load_labels
from onelabel.models.bundle_read import load_bundle
from workshop import COLOURS, IMAGES, Workshop

RUN_FILES = {
    "config.yaml", "environment.json", "metrics.jsonl", "metrics.json", "predictions.npz", "bundle",
}  # fmt: skip
BUNDLE_FILES = {"model.safetensors", "bundle.json", "README.md", "images.npz"}


def train(shop: Workshop, out: Path, *options: str) -> Path:
    assert main([*shop.basics, *options, "--out", str(out)]) == 0
    return out


def model(run: Path) -> bytes:
    return (run / "bundle" / "model.safetensors").read_bytes()


def epochs(run: Path) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl, without the time that they took."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def config(run: Path) -> dict[str, Any]:
    content = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


# -- before training ---


def test_simulated_labels_keep_one_positive_of_each_training_image(workshop: Workshop) -> None:
    full = load_labels(workshop.full, ReadOptions(exhaustive=True)).table
    single = load_labels(workshop.single).table
    assert single.ids == full.ids and single.class_ids == full.class_ids == tuple(COLOURS)
    hidden, complete = single.part("train").dense(), full.part("train").dense()
    assert ((hidden == 1).sum(axis=1) == 1).all()
    assert ((hidden == 1) <= (complete == 1)).all() and not (hidden == -1).any()
    for part in ("val", "test"):
        assert single.part(part) == full.part(part)


def test_check_says_how_the_labels_were_read_and_finds_nothing(
    workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = tmp_path / "findings.json"
    arguments = ["check", str(workshop.single), "--images", str(workshop.photos), "--strict"]
    assert main([*arguments, "--workers", "0", "--json", str(found)]) == 0
    assert f"{IMAGES} images" in capsys.readouterr().out
    assert isinstance(json.loads(found.read_text(encoding="utf-8")), dict)


def test_check_strict_ends_with_one_where_there_are_findings(workshop: Workshop, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(workshop.photos, photos)
    (photos / "old album" / "photo 1.png").unlink()
    arguments = ["check", str(workshop.single), "--images", str(photos), "--workers", "0"]
    assert main(arguments) == 0
    assert main([*arguments, "--strict"]) == 1


# -- training a head ---


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("bce", ["--head-init", "prior"]),
        ("an", ["--head-init", "zero", "--select", "full"]),
        ("an-ls", ["--select", "last", "--no-mirror"]),
        ("em", ["--method.alpha", "0.2", "--weight-decay", "0.01"]),
    ],
)
def test_a_run_leaves_what_the_design_says(
    method: str, options: list[str], workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    select = options[options.index("--select") + 1] if "--select" in options else "full"
    run = train(workshop, tmp_path / "run", "--method", method, *options, "--select", select)
    assert {path.name for path in run.iterdir()} == RUN_FILES
    assert {path.name for path in (run / "bundle").iterdir()} == BUNDLE_FILES
    assert len(epochs(run)) == 3
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["select"] == select and metrics["selection_means"]
    assert metrics["selection_means"] in capsys.readouterr().out.replace("\n", " ")
    scores = [line["selection"] for line in epochs(run)]
    assert metrics["selection"] == (None if select == "last" else max(scores))
    assert metrics["epoch"] == (3 if select == "last" else 1 + int(np.argmax(scores)))
    with np.load(run / "predictions.npz") as kept:
        assert kept["ids"].tolist() == list(load_labels(workshop.single).table.part("val").ids)
        assert kept["classes"].tolist() == list(COLOURS)
        assert kept["logits"].shape == (len(kept["ids"]), len(COLOURS))
    bundle = load_bundle(run)
    assert bundle.class_ids == tuple(COLOURS) and bundle.method["name"] == method


def test_observed_selection_says_what_it_can_show(
    workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.csv"
    hide = ["simulate", str(workshop.full), "--exhaustive", "--ignore-columns", "split", "--out"]
    assert main([*hide, str(labels)]) == 0
    options = ["--features", str(workshop.features), "--epochs", "3", "--method", "an"]
    assert main(["train", str(labels), *options, "--out", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "images were set aside to choose the epoch" in out
    assert "Chosen by pu_auc" in out and "It is not mAP" in out
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["select"] == "observed" and 0 <= metrics["selection"] <= 1


def test_a_preset_brings_its_source_and_records_it(workshop: Workshop, tmp_path: Path) -> None:
    store = ["--vlm-store", str(workshop.clip_store), "--select", "full"]
    run = train(workshop, tmp_path / "run", *store, "--method", "vlpl", "--source.threshold", "0.2")
    found = config(run)
    assert found["source"]["name"] == "vlpl" and found["source"]["threshold"] == 0.2
    assert "temperature" in found["source"], "the defaults are recorded too"
    again = ["--config", str(run / "config.yaml"), "--out", str(tmp_path / "again")]
    assert main(["train", *again]) == 0
    assert model(tmp_path / "again") == model(run)
    # The same method and source, named one by one.
    named = train(workshop, tmp_path / "named", *store, "--method", "em-pl", "--source", "vlpl",
                  "--source.threshold", "0.2")  # fmt: skip
    assert epochs(named) == epochs(run)


def test_the_same_seed_gives_the_same_digits_and_another_does_not(workshop: Workshop, tmp_path: Path) -> None:
    options = ["--method", "em", "--select", "full"]
    first, second, other = (
        train(workshop, tmp_path / name, *options, "--seed", seed)
        for name, seed in (("first", "7"), ("second", "7"), ("other", "8"))
    )
    assert model(first) == model(second) and epochs(first) == epochs(second)
    assert model(first) != model(other)


def test_the_recorded_config_trains_the_same_model(workshop: Workshop, tmp_path: Path) -> None:
    run = train(workshop, tmp_path / "run", "--method", "an-ls", "--select", "full", "--head-init", "prior")
    found = config(run)
    assert (found["epochs"], found["lr"], found["batch_size"]) == (3, 1e-3, 16)
    assert found["method"]["name"] == "an-ls" and len(found["method"]) > 1
    again = tmp_path / "again"
    assert main(["train", "--config", str(run / "config.yaml"), "--out", str(again)]) == 0
    assert model(again) == model(run) and epochs(again) == epochs(run)
    assert config(again) == found | {"out": str(again)}
    # What stands on the command line beats the file.
    changed = tmp_path / "changed"
    more = ["--epochs", "2", "--method", "an-ls", "--out", str(changed)]
    assert main(["train", "--config", str(run / "config.yaml"), *more]) == 0
    assert len(epochs(changed)) == 2


def test_a_config_written_by_hand(workshop: Workshop, tmp_path: Path) -> None:
    file, run = tmp_path / "em.yaml", tmp_path / "run"
    content = {"method": {"name": "em", "alpha": 0.2}, "select": "full", "epochs": 2, "mirror": False}
    content |= {"labels": str(workshop.single), "features": str(workshop.features)}
    file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    assert main(["train", "--config", str(file), "--out", str(run), "--seed", "3"]) == 0
    options = ["--method", "em", "--method.alpha", "0.2", "--select", "full", "--no-mirror", "--seed", "3"]
    same = train(workshop, tmp_path / "same", *options, "--epochs", "2")
    assert model(same) == model(run)
    assert {key: config(run)[key] for key in ("seed", "mirror", "method")} == {
        "seed": 3, "mirror": False, "method": {"name": "em", "alpha": 0.2, "eps": 0.0, "reduction": "mean"},
    }  # fmt: skip


def test_the_recorded_config_fine_tunes_the_same_model(workshop: Workshop, tmp_path: Path) -> None:
    options = ["--images", str(workshop.photos), "--backbone", workshop.backbone, "--workers", "0"]
    arguments = ["train", str(workshop.single), *options, "--method", "em", "--select", "full"]
    run, again = tmp_path / "run", tmp_path / "again"
    assert main([*arguments, "--epochs", "1", "--lr", "1e-3", "--out", str(run)]) == 0
    assert {path.name for path in run.iterdir()} == RUN_FILES
    assert main(["train", "--config", str(run / "config.yaml"), "--out", str(again)]) == 0
    assert model(again) == model(run) and epochs(again) == epochs(run)


@pytest.mark.parametrize("way", ["features", "backbone"])
def test_what_depends_on_the_way_to_train_is_resolved(
    way: str, workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr("onelabel.cli.train_steps.start", lambda found, *_, **__: seen.update(found))
    options = {
        "features": ["--features", str(workshop.features)],
        "backbone": ["--backbone", workshop.backbone, "--images", str(workshop.photos)],
    }[way]
    arguments = ["train", str(workshop.single), *options, "--method", "an", "--out", str(tmp_path / "run")]
    assert main(arguments) == 0
    assert (seen["epochs"], seen["lr"], seen["batch_size"]) == {
        "features": (25, 1e-3, 16), "backbone": (10, 1e-5, 16)
    }[way]  # fmt: skip
    assert main([*arguments, "--epochs", "1", "--lr", "0.5"]) == 0
    assert (seen["epochs"], seen["lr"]) == (1, 0.5)


def test_separate_validation_labels_are_read_in_their_own_way(workshop: Workshop, tmp_path: Path) -> None:
    """Training labels are positives only; the validation list is complete."""
    full = load_labels(workshop.full, ReadOptions(exhaustive=True)).table
    with (tmp_path / "train.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "labels"])
        for image, row in zip(full.ids, full.dense(), strict=True):
            writer.writerow([image, full.class_ids[int(np.argmax(row))]])
    with (tmp_path / "val.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "labels"])
        val = full.part("val")
        for image, row in zip(val.ids, val.dense(), strict=True):
            writer.writerow([image, "|".join(np.array(full.class_ids)[row == 1])])
    options = ["--features", str(workshop.features), "--method", "an", "--epochs", "1", "--delimiter", "|"]
    arguments = ["train", str(tmp_path / "train.csv"), *options, "--val", str(tmp_path / "val.csv")]
    out = ["--select", "full", "--out", str(tmp_path / "run")]
    assert main([*arguments, *out]) == 2, "nothing is known to be absent"
    (tmp_path / "classes.txt").write_text("\n".join(reversed(full.class_ids)), encoding="utf-8")
    classes = ["--classes", str(tmp_path / "classes.txt")]
    assert main([*arguments, "--val-exhaustive", *classes, *out]) == 0
    with np.load(tmp_path / "run" / "predictions.npz") as kept:
        assert kept["ids"].tolist() == list(val.ids)
        assert kept["classes"].tolist() == [*reversed(full.class_ids)]
    assert config(tmp_path / "run")["val_exhaustive"] is True


def test_features_from_a_file(workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full = load_labels(workshop.full, ReadOptions(exhaustive=True)).table
    noise = np.random.default_rng(0).normal(size=(len(full), 5))
    signal = np.concatenate([full.dense() + 0.1 * noise[:, :4], noise], axis=1)
    np.savez(tmp_path / "x.npz", X=signal.astype(np.float32), ids=np.array(list(full.ids)))
    options = ["--features", str(tmp_path / "x.npz"), "--method", "bce", "--select", "full", "--lr", "0.1"]
    out = str(tmp_path / "run")
    assert main(["train", str(workshop.full), "--exhaustive", *options, "--out", out]) == 0
    arguments = ["evaluate", out, str(workshop.full), "--exhaustive"]
    assert main([*arguments, "--features", str(tmp_path / "x.npz"), "--json", str(tmp_path / "e.json")]) == 0
    assert json.loads((tmp_path / "e.json").read_text())["map"] == 1.0
    capsys.readouterr()
    assert main([*arguments, "--images", str(workshop.photos)]) == 2
    assert "give --features, it reads no photos" in capsys.readouterr().err
    assert main(["predict", out, str(workshop.photos), "--out", str(tmp_path / "p.csv")]) == 2


# -- using a model ---


@pytest.fixture(scope="module")
def good_run(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head on complete labels."""
    run = tmp_path_factory.mktemp("runs") / "full"
    options = ["--features", str(workshop.features), "--method", "bce", "--select", "full"]
    arguments = ["train", str(workshop.full), "--exhaustive", *options, "--lr", "0.01", "--out", str(run)]
    assert main(arguments) == 0
    return run


def test_evaluation_from_photos_is_that_from_features(
    good_run: Path, workshop: Workshop, tmp_path: Path
) -> None:
    figures = {}
    ways = {"features": str(workshop.features), "images": str(workshop.photos)}
    for way, source in ways.items():
        file = tmp_path / f"{way}.json"
        arguments = ["evaluate", str(good_run), str(workshop.full), "--exhaustive", f"--{way}", source]
        assert main([*arguments, "--json", str(file)]) == 0
        figures[way] = json.loads(file.read_text())
    # Stored features are float16.
    found = evaluate(str(good_run), str(workshop.full), images=str(workshop.photos), exhaustive=True)
    stored = evaluate(str(good_run), str(workshop.full), features=str(workshop.features), exhaustive=True)
    assert found.mean_ap.value == pytest.approx(stored.mean_ap.value, abs=0.05)
    assert figures["images"] == json.loads(json.dumps(found.to_dict()))


def test_the_interval_of_the_map(
    good_run: Path, workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(good_run), str(workshop.full), "--exhaustive", "--bootstrap", "50"]
    arguments += ["--features", str(workshop.features), "--json", str(tmp_path / "out.json")]
    assert main(arguments) == 0
    assert "95 % interval" in capsys.readouterr().out
    figures = json.loads((tmp_path / "out.json").read_text())
    assert figures["map_interval"]["draws"] == 50
    assert figures["map_interval"]["value"] == pytest.approx(figures["map"])


def test_the_test_part_is_scored_unless_another_is_named(
    good_run: Path, workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(good_run), str(workshop.full), "--exhaustive"]
    arguments += ["--features", str(workshop.features)]
    assert main(arguments) == 0
    assert "scoring on 10 images of split 'test'" in capsys.readouterr().out
    assert main([*arguments, "--split", "val"]) == 0
    assert "scoring on 10 images of split 'val'" in capsys.readouterr().out


def test_classes_are_matched_by_name_not_by_position(
    good_run: Path, workshop: Workshop, tmp_path: Path
) -> None:
    with workshop.full.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = ["split", *reversed(COLOURS), "image"]
    turned = tmp_path / "turned.csv"
    with turned.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
    options: dict[str, Any] = {"features": str(workshop.features), "exhaustive": True}
    one = evaluate(str(good_run), str(workshop.full), **options)
    other = evaluate(str(good_run), str(turned), **options)
    assert one.to_dict() == other.to_dict()


def test_predictions_need_only_the_bundle(good_run: Path, workshop: Workshop, tmp_path: Path) -> None:
    bundle = tmp_path / "elsewhere"
    shutil.copytree(good_run / "bundle", bundle)
    photos = str(workshop.photos)
    assert main(["predict", str(bundle), photos, "--out", str(tmp_path / "tags.csv")]) == 0
    pattern = f"{photos}/neu/größer/*.png"
    assert main(["predict", str(good_run), pattern, photos, "--out", str(tmp_path / "tags.jsonl")]) == 0
    with (tmp_path / "tags.csv").open(encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    lines = [json.loads(line) for line in (tmp_path / "tags.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(table) == len(lines) == IMAGES * len(COLOURS), "a photo that is named twice stands once"
    thresholds = load_bundle(bundle).thresholds.values
    for row, cut in zip(table, itertools.cycle(thresholds), strict=False):
        assert (np.float32(row["probability"]) >= cut) == (row["decision"] == "1")
    as_table = {(row["image"], row["class"]): float(row["probability"]) for row in table}
    assert as_table == {(line["image"], line["class"]): line["probability"] for line in lines}


def test_a_model_on_a_vision_language_model_predicts_too(workshop: Workshop, tmp_path: Path) -> None:
    options = ["--features", str(workshop.clip_store), "--method", "an", "--select", "full"]
    run = train(workshop, tmp_path / "run", *options)
    assert main(["predict", str(run), str(workshop.photos), "--out", str(tmp_path / "tags.csv")]) == 0


@pytest.mark.parametrize("method", ["epr", "role", "gpr"])
def test_the_expected_number_of_labels_is_one_option_for_all(
    workshop: Workshop, tmp_path: Path, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = ["--source", "vlpl", "--vlm-store", str(workshop.clip_store)] if method == "gpr" else []
    command = [*workshop.basics, "--select", "last", "--method", method, *source, "--expected-positives"]
    for number in ("1.5", "2"):
        assert main([*command, number, "--out", str(tmp_path / number)]) == 0
    models = {(tmp_path / n / "bundle" / "model.safetensors").read_bytes() for n in ("1.5", "2")}
    assert len(models) == 2, "the number is used"
    capsys.readouterr()
