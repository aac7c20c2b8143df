"""The folder of scenes reads back, without a flag, as exactly what was drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from onelabel.demo.folder import write_scenes
from onelabel.demo.scenes import CLASSES, make_scene, part_seed
from onelabel.io.errors import OneLabelError
from onelabel.labels import ReadOptions, load_labels

COUNTS = {"train": 20, "val": 8, "test": 12}


def test_labels_and_splits_read_back_without_a_flag(tmp_path: Path) -> None:
    table = write_scenes(tmp_path / "scenes", COUNTS, seed=4)
    assert load_labels(tmp_path / "scenes" / "labels.csv", ReadOptions()).table == table
    assert {part: len(table.part(part)) for part in COUNTS} == COUNTS
    assert table.class_ids == CLASSES


def test_files_hold_the_scenes_and_their_labels(tmp_path: Path) -> None:
    table = write_scenes(tmp_path / "scenes", COUNTS, seed=4)
    for row, name in enumerate(table.ids):
        part, file = name.split("/")
        picture, names = make_scene(part_seed(part, 4), int(file[:5]))
        with Image.open(tmp_path / "scenes" / "images" / name) as image:
            assert image.tobytes() == picture.tobytes()
        assert table.rows([row])[0].tolist() == [1 if kind in names else -1 for kind in CLASSES]


def test_every_picture_is_listed_and_none_occurs_twice(tmp_path: Path) -> None:
    table = write_scenes(tmp_path / "scenes", COUNTS)
    files = sorted((tmp_path / "scenes" / "images").rglob("*.png"))
    listed = sorted(tmp_path / "scenes" / "images" / name for name in table.ids)
    assert files == listed
    assert len({file.read_bytes() for file in files}) == sum(COUNTS.values())


def test_another_seed_gives_other_pictures(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_scenes(tmp_path / str(seed), COUNTS, seed=seed)
    first, second = ({file.read_bytes() for file in (tmp_path / n).rglob("*.png")} for n in "01")
    assert not first & second


def test_an_unknown_part_and_an_existing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OneLabelError, match=r"unknown part 'tests' \(did you mean 'test'\?\)"):
        write_scenes(tmp_path / "scenes", {"tests": 2})
    assert not list(tmp_path.iterdir())
    write_scenes(tmp_path / "scenes", {"test": 2})
    with pytest.raises(OneLabelError, match="exists already"):
        write_scenes(tmp_path / "scenes", {"test": 2})
    assert len(write_scenes(tmp_path / "scenes", {"test": 3}, overwrite=True)) == 3
