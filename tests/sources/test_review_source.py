"""A label file of a second look as a source."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.sources.base import decides
from onelabel.sources.review import ReviewSource

TABLE = LabelTable.from_dense(["a.jpg", "b.jpg", "c.jpg"], ["cat", "dog"], [[1, 0], [0, 1], [0, 0]])
NAN = float("nan")


def ask(source: ReviewSource) -> tuple[list[list[int]], list[list[float]]]:
    source.start(TABLE)
    labels, never = torch.from_numpy(TABLE.dense()), torch.zeros(3, dtype=torch.bool)
    pseudo, score = source.pseudo(torch.arange(3), labels, never, epoch=1)
    return pseudo.tolist(), score.tolist()


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_marks_fill_what_is_unknown_and_never_beat_what_is_observed(tmp_path: Path) -> None:
    source = ReviewSource(write(tmp_path / "r.csv", "image,dog,cat\nc.jpg,-1,1\na.jpg,1,-1\nmore.jpg,1,1\n"))
    assert decides(source)
    pseudo, score = ask(source)
    assert pseudo == [[0, 1], [0, 0], [1, -1]], "cat of a.jpg is observed: present"
    np.testing.assert_equal(score, [[0, 1], [NAN, NAN], [1, 0]])
    assert [note.rpartition(".csv ")[2] for note in source.notes] == [
        "holds 1 images more than the training labels", "has an opinion on 2 of 3 images"
    ]  # fmt: skip


def test_any_label_format(tmp_path: Path) -> None:
    for text in ("image,label,value\nc.jpg,cat,1\nc.jpg,dog,-1\n", "image,labels\nc.jpg,cat\n"):
        pseudo, _ = ask(ReviewSource(write(tmp_path / "r.csv", text)))
        assert pseudo == [[0, 0], [0, 0], [1, -1 if "-1" in text else 0]]
    whole = ReviewSource(write(tmp_path / "r.csv", "image,labels\nc.jpg,cat\n"), exhaustive=True)
    assert ask(whole)[0] == [[0, 0], [0, 0], [1, -1]]
    images = [{"id": 1, "file_name": "c.jpg"}]
    coco = {"images": images, "categories": [{"id": 7, "name": "cat"}, {"id": 8, "name": "dog"}]}
    coco |= {"annotations": [{"id": 1, "image_id": 1, "category_id": 8}]}
    file = write(tmp_path / "r.json", json.dumps(coco))
    assert ask(ReviewSource(file, exhaustive=False))[0][2] == [0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,cat,dgo\na.jpg,1,1\n", r"line 1, column 'dgo': class 'dgo' is not .*did you mean 'dog'"),
        ("image,cat\na.jpg,0.5\n", "line 2, column 'cat': value '0.5' is not 1, 0, -1 or blank"),
        ("image,cat\na.jpg,1\na.jpg,-1\n", r"line 3: image 'a.jpg' is marked both .* \(lines 2 and 3\)"),
        ("image,cat\nz.jpg,1\n", "nothing for 3 of 3 images of the training labels"),
    ],
)
def test_a_malformed_review_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(OneLabelError, match=message):
        ask(ReviewSource(write(tmp_path / "r.csv", text)))


def test_a_review_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OneLabelError, match=r"there is no review file or folder .*none.csv"):
        ReviewSource(tmp_path / "none.csv")
    with pytest.raises(OneLabelError, match=r"give --source\.path FILE"):
        ReviewSource()
