"""A folder of class folders is labels and photos in one: ``--images`` can be left out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from desk import Desk, words
from onelabel.cli import main


@pytest.fixture
def folders(desk: Desk) -> Path:
    """Three class folders with eight photos each, of which the first of "red" stands in "green", too."""
    photos = sorted(path for path in (desk.path / "photos").rglob("*.png"))
    for number, path in enumerate(photos[:24]):
        target = desk.path / "folders" / ("red", "green", "blue thing")[number % 3] / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    shutil.copyfile(desk.path / "folders/red/0.png", desk.path / "folders/green/0.png")
    return desk.path / "folders"


@pytest.mark.usefixtures("folders")
def test_check_reads_the_photos_and_knows_the_copies(desk: Desk) -> None:
    assert main(words("check folders --workers 0 --json found.json")) == 0
    found = json.loads((desk.path / "found.json").read_text(encoding="utf-8"))
    assert found["photos"] == 24
    assert "file_without_labels" not in found["counts"]


def test_check_knows_the_copies_below_a_folder_above(folders: Path, desk: Desk) -> None:
    shutil.copytree(folders, desk.path / "above" / "folders")
    shutil.copyfile(folders / "red/0.png", desk.path / "above" / "other.png")
    assert main(words("check above/folders --images above --workers 0 --json found.json")) == 0
    found = json.loads((desk.path / "found.json").read_text(encoding="utf-8"))
    missing = [f["subjects"] for f in found["findings"] if f["kind"] == "file_without_labels"]
    assert missing == [["other.png"]]


@pytest.mark.usefixtures("folders")
def test_embed_train_and_evaluate_without_images() -> None:
    assert main(words("embed folders --backbone local-dir:net --workers 0 --out store")) == 0
    train = (
        "train folders --backbone local-dir:net --method an --select last --epochs 1 --workers 0 --out made"
    )
    assert main(words(train)) == 0
    assert main(words("evaluate made folders --exhaustive")) == 0


def test_a_file_needs_images(desk: Desk) -> None:
    assert "--images DIR" in desk.complaint(*words("embed labels.csv --backbone local-dir:net --out store"))
