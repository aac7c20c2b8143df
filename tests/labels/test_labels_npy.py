"""The ``.npy`` pairs of the single-positive repositories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onelabel.io.errors import OneLabelError
from onelabel.labels import Loaded, ReadOptions, load_labels, observe

LABELS = np.array([[1, 0, 0], [0, 1, 1]])
CLASSES = ("cat", "dog", "cow")


def pair(
    folder: Path, labels: np.ndarray[Any, Any], images: object = ("x/a.jpg", "b.jpg"), part: str = "train"
) -> Path:
    np.save(folder / f"formatted_{part}_images.npy", np.array(images), allow_pickle=True)
    np.save(folder / f"formatted_{part}_labels.npy", labels)
    return folder / f"formatted_{part}_labels.npy"


def read(path: Path, **options: Any) -> Loaded:
    return load_labels(path, ReadOptions(**{"class_ids": CLASSES, **options}))


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(OneLabelError) as caught:
        read(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("dtype", [np.float64, np.int8, np.uint8, bool])
def test_folder_and_file(tmp_path: Path, dtype: type) -> None:
    file = pair(tmp_path, LABELS.astype(dtype))
    one = read(file)
    assert one.format == "npy" and one.table.splits is None
    assert list(one.table.ids) == ["x/a.jpg", "b.jpg"]
    assert one.table.dense().tolist() == [[1, -1, -1], [-1, 1, 1]]
    pair(tmp_path, LABELS[::-1].astype(dtype), ["c.jpg", "d.jpg"], "val")
    both = read(tmp_path)
    assert both.table.split_names == ("train", "test")
    assert both.table.part("test").dense().tolist() == [[-1, 1, 1], [1, -1, -1]]
    assert read(tmp_path, format="npy").table == both.table
    assert read(file, exhaustive=False).table.dense().tolist() == [[1, 0, 0], [0, 1, 1]]


def test_observed_labels(tmp_path: Path) -> None:
    file = pair(tmp_path, LABELS)
    seen = observe(2 * LABELS - 1, 1, 1)
    np.save(tmp_path / "formatted_train_labels_obs.npy", seen.astype(np.float64))
    assert np.array_equal(read(tmp_path / "formatted_train_labels_obs.npy").table.dense(), seen)
    assert np.array_equal(read(file).table.dense(), 2 * LABELS - 1)


def test_classes_must_be_named_and_enough(tmp_path: Path) -> None:
    file = pair(tmp_path, LABELS)
    assert "holds no class names: give a file with one a line, --classes FILE" in refused(
        file, class_ids=None
    )
    assert "has 3 columns for 2 classes" in refused(file, class_ids=CLASSES[:2])
    assert "has 3 columns for 4 classes" in refused(file, class_ids=(*CLASSES, "owl"))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    file = pair(tmp_path, LABELS, np.array(["a.jpg", "b.jpg"], dtype=object))
    assert "write it again with array.astype(str)" in refused(file)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS * 2, "holds 2"),
        (LABELS - 0.5, "holds 0.5"),
        (np.where(LABELS, 1.0, np.nan), "holds nan"),
        (np.array([[1, 0, -1], [0, 1, 1]]), "holds 0 and -1: observed labels"),
        (LABELS[:1], "an array (1, 3) of int64, not numbers in 2 rows"),
        (LABELS.astype(str), "not numbers in 2 rows"),
    ],
)
def test_arrays_that_are_no_labels(tmp_path: Path, labels: np.ndarray[Any, Any], message: str) -> None:
    assert message in refused(pair(tmp_path, labels))


def test_files_that_are_no_pair(tmp_path: Path) -> None:
    file = pair(tmp_path, LABELS)
    other = tmp_path / "matrix.npy"
    np.save(other, LABELS)
    assert "ends in _labels.npy or _labels_obs.npy" in refused(other)
    (tmp_path / "formatted_train_images.npy").unlink()
    assert "formatted_train_images.npy: there is no such file" in refused(file)
    file.write_bytes(file.read_bytes()[:-9])
    pair_images = tmp_path / "formatted_train_images.npy"
    np.save(pair_images, np.array(["a", "b"]))
    assert "not a NumPy array that can be read" in refused(file)
    assert "is a npy, but --format coco reads a json" in refused(file, format="coco")
