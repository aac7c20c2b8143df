"""What is written is read back as the same table, without a flag."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels import LabelTable, load_labels, save_labels
from onelabel.labels.entries import CONTROL
from onelabel.labels.readers.classes import class_name
from onelabel.labels.readers.collect import image_id
from onelabel.labels.readers.columns import plain

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)


def is_name(text: str) -> bool:
    return bool(text) and not CONTROL.search(text) and not plain(text).startswith("onelabel:")


NAMES = TEXT.map(class_name).filter(is_name) | st.sampled_from(
    [
        "image",
        "Image",
        "split",
        "label",
        "labels",
        "id",
        "value",
        "group",
        "weight",
        'say "x"',
        "a,b",
        "-1",
        "1",
        "a;;b",
        ".TIF",
    ]
)


def is_plain(text: str) -> bool:
    try:
        return image_id(text) == text
    except ValueError:
        return False


IDS = TEXT.filter(is_plain) | st.from_regex(r"\A[a-z]{1,5}(/[a-z ]{1,4}x)?\.jpg\Z")


@st.composite
def tables(draw: st.DrawFn) -> LabelTable:
    ids = draw(st.lists(IDS, min_size=1, max_size=6, unique=True))
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    size = len(ids) * len(names)
    cells = draw(st.lists(st.sampled_from([-1, 0, 1]), min_size=size, max_size=size))
    table = LabelTable.from_dense(ids, names, np.array(cells, np.int8).reshape(len(ids), len(names)))
    if draw(st.booleans()):
        codes = draw(st.lists(st.integers(-1, 1), min_size=len(ids), max_size=len(ids)))
        table = replace(table, splits=np.array(codes, np.int8), split_names=("train", "val"))
    if draw(st.booleans()):
        codes = draw(st.lists(st.integers(-1, 2), min_size=len(ids), max_size=len(ids)))
        groups = IdTable.from_strings(["p1", "p,2", "1"])
        table = replace(table, groups=np.array(codes, np.int32), group_names=groups)
    return table


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(tables())
def test_write_then_read_is_the_identity(tmp_path: Path, table: LabelTable) -> None:
    path = tmp_path / "out.csv"
    save_labels(table, path, overwrite=True)
    assert load_labels(path).table == table


def test_complete_and_empty_tables_come_back_as_small_as_they_were(tmp_path: Path) -> None:
    for value in (-1, 0, 1):
        table = LabelTable.from_dense(["a", "b"], ["x", "y", "z"], np.full((2, 3), value, np.int8))
        path = tmp_path / f"{value}.csv"
        save_labels(table, path)
        back = load_labels(path).table
        assert back == table
        assert len(back.indices) == len(table.indices)


def test_file_is_plain(tmp_path: Path) -> None:
    table = LabelTable.from_dense(["a.jpg", "b.jpg"], ["cat", "dog"], [[1, 0], [-1, 1]])
    table = replace(table, splits=np.array([0, -1], np.int8), split_names=("train",))
    save_labels(table, tmp_path / "new" / "out.csv")
    assert (
        tmp_path / "new" / "out.csv"
    ).read_bytes() == b"image,split,cat,dog\na.jpg,train,1,\nb.jpg,,-1,1\n"


def test_groups_that_would_not_come_back_are_refused(tmp_path: Path) -> None:
    table = LabelTable.from_dense(["a"], ["x"], [[1]])
    table = replace(table, groups=np.zeros(1, np.int32), group_names=IdTable.from_strings([" p"]))
    with pytest.raises(OneLabelError, match="split or group ' p' cannot be written"):
        save_labels(table, tmp_path / "out.csv")


def test_existing_file_is_kept_unless_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("mine")
    table = LabelTable.from_dense(["a.jpg"], ["cat"], [[1]])
    with pytest.raises(OneLabelError, match="exists already"):
        save_labels(table, path)
    assert path.read_text() == "mine"
    save_labels(table, path, overwrite=True)
    assert path.read_text() == "image,cat\na.jpg,1\n"


@pytest.mark.parametrize(
    ("ids", "names", "message"),
    [
        (["ok", "../a.jpg"], ["x"], r"image id '../a.jpg' cannot be written"),
        (["ok", "a.jpg "], ["x"], "cannot be written"),
        (["ok"], ["e\u0301"], "cannot be a column name"),
        (["ok"], ["onelabel:image"], "cannot be a column name"),
        ([], ["x"], "nothing to write"),
    ],
)
def test_what_would_not_come_back_is_refused_and_leaves_nothing(
    tmp_path: Path, ids: list[str], names: list[str], message: str
) -> None:
    table = LabelTable.from_dense(ids, names, np.ones((len(ids), len(names)), np.int8))
    with pytest.raises(OneLabelError, match=message):
        save_labels(table, tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


def test_weights_are_refused_unless_all_are_one(tmp_path: Path) -> None:
    table = LabelTable.from_entries(["a"], ["x"], [0], [0], [1], weights=[0.5])
    with pytest.raises(OneLabelError, match="holds no weights"):
        save_labels(table, tmp_path / "out.csv")
    ones = LabelTable.from_entries(["a"], ["x"], [0], [0], [1], weights=[1.0])
    save_labels(ones, tmp_path / "out.csv")
    assert load_labels(tmp_path / "out.csv").table == ones
