"""Parquet files are read as the CSV file that holds the same."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from onelabel.io.errors import OneLabelError
from onelabel.labels import ReadOptions, load_labels

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def written(path: Path, columns: dict[str, Any]) -> Path:
    parquet.write_table(pyarrow.table(columns), path, row_group_size=2)
    return path


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(OneLabelError) as caught:
        load_labels(path, ReadOptions(**options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_wide(tmp_path: Path) -> None:
    columns = {
        "image": ["a", "b", "c"],
        "cat": [1.0, None, float("nan")],
        "dog": [-1, 1, None],
        "split": ["x", "x", "y"],
    }
    loaded = load_labels(written(tmp_path / "labels.parquet", columns))
    assert loaded.format == "wide-csv" and loaded.table.split_names == ("x", "y")
    assert loaded.table.dense().tolist() == [[1, -1], [0, 1], [0, 0]]


def test_truth_values_leave_the_question_of_zero_open(tmp_path: Path) -> None:
    path = written(tmp_path / "labels", {"image": ["a", "b"], "cat": [True, False]})
    assert "Add --exhaustive" in refused(path)
    assert load_labels(path, ReadOptions(exhaustive=True)).table.dense().tolist() == [[1], [-1]]


def test_long_and_list(tmp_path: Path) -> None:
    long = {
        "image": ["a", "a", "b"],
        "label": ["cat", "dog", "cat"],
        "value": [1, -1, 1],
        "confidence": [0.5, 1, 1],
    }
    loaded = load_labels(written(tmp_path / "long.parquet", long))
    assert loaded.format == "long-csv" and loaded.table.dense().tolist() == [[1, -1], [1, 0]]
    assert loaded.table.weight_rows([0]).tolist() == [[0.5, 1]]
    listed = written(
        tmp_path / "list.parquet", {"image": ["a", "b", "c"], "labels": [["cat", "big dog"], [], None]}
    )
    loaded = load_labels(listed)
    assert loaded.format == "list-csv" and loaded.table.class_ids == ("big dog", "cat")
    assert loaded.table.dense().tolist() == [[1, 1], [0, 0], [0, 0]]


def test_faults_are_named(tmp_path: Path) -> None:
    assert "line 2, column 'labels': 'a|b' in a list holds '|'" in refused(
        written(tmp_path / "1", {"image": ["x", "y"], "labels": [["c"], ["a|b"]]})
    )
    strange = written(tmp_path / "2", {"image": ["x"], "cat": [{"a": 1}]})
    assert "line 1, column 'cat': dict is no text, number" in refused(strange)
    assert "line 3, column 'cat': value '7' is not 1, 0" in refused(
        written(tmp_path / "3", {"image": ["x", "y", "z"], "cat": [1, 1, 7]})
    )
    cut = tmp_path / "4"
    cut.write_bytes(strange.read_bytes()[:-20])
    assert "not a parquet file that can be read" in refused(cut)
    assert "is a csv, but --format coco reads a json" in refused(strange, format="coco")


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "labels.parquet", {"image": ["a"], "cat": [1]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'onelabel[parquet]'" in refused(path)
