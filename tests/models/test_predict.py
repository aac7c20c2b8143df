"""Predictions as a file."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onelabel.io.errors import ImageError, OneLabelError
from onelabel.labels.table import ClassInfo
from onelabel.models.backbones import load_backbone
from onelabel.models.bundle import Bundle, Thresholds
from onelabel.models.bundle_read import load_bundle
from onelabel.models.bundle_write import write_bundle
from onelabel.models.heads import LinearHead
from onelabel.models.predict import predict_to_file

IDS = ("cat", "dog, big", 'say "yak"')


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    backbone = load_backbone("test_resnet", pretrained=False)
    head = LinearHead(backbone.dim, 3)
    torch.nn.init.normal_(head.weight)
    classes = tuple(ClassInfo(name, name) for name in IDS)
    folder = tmp_path_factory.mktemp("trained") / "run"
    write_bundle(folder / "bundle", Bundle(classes, head, backbone, Thresholds.not_calibrated(3)))
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name in ("b.png", "a, 1.png", "ü.jpg"):
        Image.fromarray(generator.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(folder / name)
    return folder


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_row_per_photo_and_class(suffix: str, run: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / f"tags{suffix}"
    done = predict_to_file(run, [str(photos)], out, batch_size=2)
    assert (done.images, done.classes, done.skipped) == (3, 3, ())
    assert done.thresholds_source == "0.5 (not calibrated)"
    assert done.probabilities == "sigmoid of the logits, not calibrated"
    with out.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream)) if suffix == ".csv" else [json.loads(line) for line in stream]
    paths = [photos / name for name in ("a, 1.png", "b.png", "ü.jpg")]
    assert [(row["image"], row["class"]) for row in rows] == [
        (str(path), name) for path in paths for name in IDS
    ]
    written = np.array([row["probability"] for row in rows], dtype=np.float32).reshape(3, 3)
    bundle = load_bundle(run)
    expected = np.stack([probs for _, probs in bundle.predict(paths, batch_size=2)])
    np.testing.assert_array_equal(written, expected)
    decided = np.array([int(row["decision"]) for row in rows]).reshape(3, 3)
    np.testing.assert_array_equal(decided, bundle.decide(written))
    assert set(decided.ravel()) <= {1, -1}


def test_a_bad_photo_stops_before_a_file_exists_or_is_skipped(
    run: Path, photos: Path, tmp_path: Path
) -> None:
    (photos / "c.png").write_bytes(b"no image")
    out = tmp_path / "tags.csv"
    with pytest.raises(ImageError, match=r"c\.png"):
        predict_to_file(run, [str(photos)], out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "run"]
    done = predict_to_file(run, [str(photos)], out, on_bad_image="skip")
    assert done.images == 3
    assert [Path(error.path).name for error in done.skipped] == ["c.png"]
    assert len(out.read_text().splitlines()) == 1 + 3 * 3


def test_no_photo_that_can_be_used_writes_nothing(run: Path, tmp_path: Path) -> None:
    (tmp_path / "c.png").write_bytes(b"no image")
    with pytest.raises(OneLabelError, match=r"none of the 1 photos can be used; the first: .*c\.png"):
        predict_to_file(run, [str(tmp_path / "c.png")], tmp_path / "tags.csv", on_bad_image="skip")
    assert not (tmp_path / "tags.csv").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run": "nowhere"}, "holds no trained model: there is no such folder"),
        ({"photos": ["nowhere.jpg"]}, "nowhere.jpg"),
        ({"out": "tags.xlsx"}, r"must end in \.csv or \.jsonl"),
        ({"out": "taken.csv"}, "exists already"),
        ({"on_bad_image": "black"}, "unknown on_bad_image 'black'"),
        ({"max_pixels": 10}, "the limit is 10"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    change: dict[str, object],
    message: str,
    run: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken.csv").write_text("mine")
    arguments = {"run": run, "photos": [str(photos)], "out": "tags.csv"} | change
    with pytest.raises(OneLabelError, match=message) as error:
        predict_to_file(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "run", "taken.csv"]
    assert Path("taken.csv").read_text() == "mine"


def test_an_old_file_survives_a_failed_overwrite(run: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "tags.csv"
    out.write_text("old")
    (photos / "z.png").write_bytes(b"no image")
    with pytest.raises(ImageError):
        predict_to_file(run, [str(photos)], out, batch_size=1, overwrite=True)
    assert out.read_text() == "old"
    (photos / "z.png").unlink()
    predict_to_file(run, [str(photos)], out, overwrite=True)
    assert out.read_text().startswith("image,class,probability,decision\n")


def test_names_that_are_not_utf8_are_refused(run: Path, tmp_path: Path) -> None:
    name = b"\xff.png".decode(errors="surrogateescape")
    try:
        Image.new("RGB", (9, 9)).save(tmp_path / name)
    except OSError:
        pytest.skip("this file system has no such names")
    with pytest.raises(OneLabelError, match="not valid UTF-8"):
        predict_to_file(run, [str(tmp_path / name)], tmp_path / "tags.csv")
