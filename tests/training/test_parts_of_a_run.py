"""Which images train and which choose: nothing is used twice, test images never."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels.table import LabelTable
from onelabel.training.parts import Parts, divide, split_names


def table(rows: int = 10, prefix: str = "", classes: tuple[str, ...] = ("cat", "dog")) -> LabelTable:
    matrix = np.random.default_rng(rows).integers(-1, 2, (rows, len(classes)))
    return LabelTable.from_dense([f"{prefix}{row}.jpg" for row in range(rows)], classes, matrix)


def with_splits(names: tuple[str, ...], codes: list[int]) -> LabelTable:
    return replace(table(len(codes)), splits=np.array(codes, np.int8), split_names=names)


def ids(found: LabelTable | None) -> list[str]:
    return [] if found is None else list(found.ids)


def same_rows(whole: LabelTable, part: LabelTable) -> bool:
    return part == whole.take(whole.ids.rows_of(part.ids))


@given(st.lists(st.sampled_from([-1, 0, 1, 2]), min_size=1, max_size=30).filter(lambda codes: 0 in codes))
def test_a_split_column_decides(codes: list[int]) -> None:
    whole = with_splits(("train2017", "Validation", "TEST"), codes)
    parts = divide(whole, None, 0.0, 0)
    assert ids(parts.train) == [f"{row}.jpg" for row, code in enumerate(codes) if code == 0]
    assert ids(parts.val) == [f"{row}.jpg" for row, code in enumerate(codes) if code == 1]
    assert same_rows(whole, parts.train) and (parts.val is None or same_rows(whole, parts.val))


def test_validation_images_are_drawn_from_training_images_only() -> None:
    whole = with_splits(("train", "test"), [0, 1] * 20)
    parts = divide(whole, None, 0.25, 3)
    assert len(parts.train) == 15 and len(ids(parts.val)) == 5
    drawn = {*ids(parts.train), *ids(parts.val)}
    assert drawn == {f"{row}.jpg" for row in range(0, 40, 2)}
    assert parts.notes == (
        "20 images of split 'test' are not used",
        "5 of 20 training images were set aside to choose the epoch",
    )


@given(st.integers(2, 40), st.floats(0.05, 0.95), st.integers(0, 5))
def test_a_drawn_part_is_disjoint_complete_and_repeatable(rows: int, fraction: float, seed: int) -> None:
    try:
        first, second = (divide(table(rows), None, fraction, seed) for _ in range(2))
    except OneLabelError:
        return
    assert sorted([*ids(first.train), *ids(first.val)]) == sorted(table(rows).ids)
    assert first.train == second.train and first.val == second.val


def test_groups_stay_together() -> None:
    groups = np.repeat(np.arange(10, dtype=np.int32), 4)
    names = IdTable.from_strings([f"patient {number}" for number in range(10)])
    whole = replace(table(40), groups=groups, group_names=names)
    parts = divide(whole, None, 0.3, 1)
    assert parts.val is not None and parts.train.groups is not None and parts.val.groups is not None
    assert not {*parts.train.groups.tolist()} & {*parts.val.groups.tolist()}


def test_images_of_a_validation_file_never_train() -> None:
    whole, val = table(10), table(4, classes=("dog", "cat"))
    parts = divide(whole, val, 0.5, 0)
    assert ids(parts.train) == [f"{row}.jpg" for row in range(4, 10)]
    assert parts.val is not None and parts.val.class_ids == whole.class_ids
    assert np.array_equal(parts.val.dense(), val.dense()[:, ::-1])
    assert parts.notes == ("4 images of --val were taken out of the training images",)


def test_no_validation_images_are_possible() -> None:
    whole = table(3)
    assert divide(whole, None, 0.0, 0) == Parts(whole, None, ())


def test_what_cannot_be_divided_is_said() -> None:
    with pytest.raises(OneLabelError, match="split 'val' and --val both name validation images"):
        divide(with_splits(("train", "val"), [0, 1]), table(2), 0.2, 0)
    with pytest.raises(OneLabelError, match="names no training images"):
        divide(with_splits(("val", "test"), [0, 1]), None, 0.2, 0)
    with pytest.raises(OneLabelError, match="no training images are left"):
        divide(table(4), table(4), 0.2, 0)
    with pytest.raises(OneLabelError, match="unknown class"):
        divide(table(4), table(2, "v", ("cat",)), 0.2, 0)


@pytest.mark.parametrize("names", [("train", "train2"), ("train", "holdout"), ("dev", "val")])
def test_split_names_that_mean_nothing_or_the_same_twice(names: tuple[str, ...]) -> None:
    with pytest.raises(OneLabelError, match="must begin with train, val or test, one of each"):
        split_names(with_splits(names, [0, 1]))
