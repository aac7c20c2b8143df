"""Opinions from parquet files; needs pyarrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.sources.file import FileSource

pq: Any = pytest.importorskip("pyarrow.parquet")
TABLE = LabelTable.from_dense(["a.jpg", "b.jpg"], ["cat", "dog"], np.zeros((2, 2), np.int8))


def write(path: Path, **columns: list[Any]) -> Path:
    pq.write_table(pytest.importorskip("pyarrow").table(columns), path / "tags.parquet")
    return path / "tags.parquet"


def scores(source: FileSource) -> list[list[float]]:
    labels = torch.zeros(2, 2, dtype=torch.int8)
    found: list[list[float]] = source.pseudo(torch.arange(2), labels, torch.zeros(2) > 0, 1)[1].tolist()
    return found


def test_both_forms(tmp_path: Path) -> None:
    nan = float("nan")
    images = ["b.jpg", "a.jpg", "b.jpg"]
    long = FileSource(
        write(tmp_path, image=images, **{"class": ["dog", "cat", "cat"]}, score=[0.5, nan, 1.0])
    )
    long.start(TABLE)
    np.testing.assert_equal(scores(long), [[nan, nan], [1, 0.5]], "NaN is how pandas writes a blank")
    decided = FileSource(
        write(tmp_path, image=images, **{"class": ["dog", "cat", "cat"]}, decision=[1, -1, 0])
    )
    decided.start(TABLE)
    assert decided.decides
    wide = FileSource(write(tmp_path, dog=[0.25, 0.125], image=["b.jpg", "a.jpg"]))
    wide.start(TABLE)
    np.testing.assert_equal(scores(wide), [[nan, 0.125], [nan, 0.25]])


def test_faults(tmp_path: Path) -> None:
    faults: tuple[tuple[dict[str, list[Any]], str], ...] = (
        ({"cat": [0.1, 1.5], "image": ["a.jpg", "b.jpg"]}, "line 2, column 'cat': score '1.5'"),
        ({"cat": [0.1, float("inf")], "image": ["a.jpg", "b.jpg"]}, "line 2, column 'cat': score 'inf'"),
        ({"cat": [0.1, 0.1], "image": ["a.jpg", "a.jpg"]}, "line 2: image 'a.jpg' stands at line 1"),
        ({"cow": [0.1, 0.1], "image": ["a.jpg", "b.jpg"]}, "'cow' is no class of the labels"),
    )
    for columns, message in faults:
        with pytest.raises(OneLabelError, match=message):
            FileSource(write(tmp_path, **columns)).start(TABLE)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and more")
    with pytest.raises(OneLabelError, match=r"bad.parquet: not a parquet file that can be read"):
        FileSource(tmp_path / "bad.parquet")
