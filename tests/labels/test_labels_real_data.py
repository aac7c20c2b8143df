"""The real label files: two formats of the same photos say the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onelabel.labels import (
    LabelTable,
    ReadOptions,
    describe,
    load_labels,
    save_labels,
    simulate_single_positives,
)


@pytest.fixture
def coco(data: Path) -> Path:
    return data / "coco128"


@pytest.fixture
def aerial(data: Path) -> Path:
    return data / "ucm_multilabel"


def test_coco_json_and_csv_agree(coco: Path) -> None:
    boxes = load_labels(coco / "instances.json")
    listed = load_labels(coco / "labels.csv", ReadOptions(classes_file=coco / "classes.txt"))
    assert (boxes.format, listed.format) == ("coco", "list-csv")
    rows = boxes.table.ids.rows_of(listed.table.ids)
    assert len(rows) == len(boxes.table) == 254
    assert np.array_equal(boxes.table.rows(rows), listed.table.dense())  # the same order of classes
    pairs = zip(boxes.table.class_ids, listed.table.class_ids, strict=True)
    assert [pair for pair in pairs if pair[0] != pair[1]] == [
        ("motorcycle", "motorbike"), ("airplane", "aeroplane"), ("couch", "sofa"), ("tv", "tvmonitor")
    ]  # fmt: skip
    assert "10 crowd regions" in boxes.notes[0]
    assert listed.table.split_names == ("train2017", "val2017")


def test_coco_csv_against_the_names_of_the_json(coco: Path) -> None:
    names = load_labels(coco / "instances.json").table.class_ids
    with pytest.raises(
        Exception, match=r"labels.csv, line \d+, column 'labels': class '\w+' is not a known class"
    ):
        load_labels(coco / "labels.csv", ReadOptions(class_ids=names))


def aerial_table(aerial: Path) -> LabelTable:
    return load_labels(
        aerial / "labels.csv",
        ReadOptions(exhaustive=True, classes_file=aerial / "classes.txt", group_column="scene"),
    ).table


def test_aerial_photos(aerial: Path) -> None:
    table = aerial_table(aerial)
    counts = dict(zip(table.class_ids, table.counts().positive.tolist(), strict=True))
    assert {counts[name] for name in ("airplane", "dock", "sea", "tanks")} == {100}
    assert counts["pavement"] == 1300
    assert [len(table.part(name)) for name in ("train", "test")] == [1680, 420]
    assert len(table.group_names) == 21
    assert not table.counts().unknown.any()
    assert "3.3 on average (1 to 7)" in describe(table, "list-csv")


def test_simulated_file_comes_back(aerial: Path, tmp_path: Path) -> None:
    full = aerial_table(aerial)
    hidden = simulate_single_positives(full, val_fraction=0.2)
    save_labels(hidden, tmp_path / "single.csv")
    back = load_labels(tmp_path / "single.csv").table
    assert back == hidden
    train = back.part("train")
    assert train.counts_per_image().positive.tolist() == [1] * len(train)
    assert train.counts().negative.sum() == 0
    assert back.part("test") == full.part("test")
    assert not set(back.part("val").dense().ravel().tolist()) - {1, -1}
