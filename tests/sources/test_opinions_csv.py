"""Opinions from CSV files: both forms, by id, every fault with its line."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onelabel.io.errors import LabelFileError, OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.sources.base import decides
from onelabel.sources.file import FileSource

CLASSES = ["cat", "dog", "grüner Ara"]
IDS = ["a.jpg", "d/b c.jpg", "ü.jpg"]
NAN = float("nan")


def start(path: Path, text: str, ids: list[str] = IDS, classes: list[str] = CLASSES) -> FileSource:
    file = path / "tags.csv"
    file.write_text(text, encoding="utf-8")
    source = FileSource(file)
    source.start(LabelTable.from_dense(ids, classes, np.zeros((len(ids), len(classes)), np.int8)))
    return source


def ask(source: FileSource, images: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    labels = torch.zeros(images, classes, dtype=torch.int8)
    pseudo, score = source.pseudo(torch.arange(images), labels, torch.zeros(images) > 0, epoch=1)
    assert pseudo.dtype == torch.int8 and score.dtype == torch.float32
    return pseudo.numpy(), score.numpy()


def test_a_row_for_each_image_and_class(tmp_path: Path) -> None:
    text = (
        "class,model,score,image,decision\n"
        'dog,v1,0.25,./d\\b c.jpg,0\n'
        "grüner Ara,v1,1,ü.jpg,1\n"
        "cat,v1,,a.jpg,-1\n"
        "dog,v1,0.5,a.jpg,\n"
        "dog,v1,,ü.jpg,\n"
        "cat,v1,0,more.jpg,-1\n"
    )  # fmt: skip
    source = start(tmp_path, text)
    assert decides(source)
    pseudo, score = ask(source, 3)
    assert pseudo.tolist() == [[-1, 0, 0], [0, 0, 0], [0, 0, 1]]
    np.testing.assert_equal(score, np.array([[0, 0.5, NAN], [NAN, 0.25, NAN], [NAN, NAN, 1]], np.float32))
    (note,) = source.notes
    assert note.endswith("tags.csv holds 1 images more than the training labels")


def test_scores_alone_and_decisions_alone(tmp_path: Path) -> None:
    scored = start(tmp_path, "image,label,probability\na.jpg,cat,0.75\nü.jpg,,\nd/b c.jpg,dog,1e-3\n")
    assert not decides(scored)
    pseudo, score = ask(scored, 3)
    assert not pseudo.any()
    wanted = [[0.75, NAN, NAN], [NAN, 1e-3, NAN], [NAN] * 3]
    np.testing.assert_equal(score, np.array(wanted, np.float32))
    decided = start(tmp_path, "image,class,decision\na.jpg,cat,1\nü.jpg,dog,-1\nd/b c.jpg,dog,0\n")
    pseudo, score = ask(decided, 3)
    assert pseudo.tolist() == [[1, 0, 0], [0, 0, 0], [0, -1, 0]]
    np.testing.assert_equal(score, np.array([[1, NAN, NAN], [NAN] * 3, [NAN, 0, NAN]], np.float32))


def test_a_column_for_each_class(tmp_path: Path) -> None:
    text = "dog,image,cat\n0.5,ü.jpg,\n,a.jpg,1.0\n0,d/b c.jpg,0.125\n"
    source = start(tmp_path, text)
    assert not decides(source)
    _, score = ask(source, 3)
    np.testing.assert_equal(score, np.array([[1, NAN, NAN], [0.125, 0, NAN], [NAN, 0.5, NAN]], np.float32))
    (note,) = source.notes
    assert note.endswith("tags.csv abstains from 1 classes: grüner Ara")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9999), st.booleans())
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, seed: int, wide: bool) -> None:
    rng = np.random.default_rng(seed)
    images, classes = int(rng.integers(1, 7)), int(rng.integers(1, 5))
    ids, names = [f"{n}, {n}.jpg" for n in range(images)], [f'c"{c}' for c in range(classes)]
    score = np.where(rng.random((images, classes)) < 0.3, np.nan, rng.random((images, classes)))
    score = score.astype(np.float32)
    path = tmp_path_factory.mktemp("tags") / "tags.csv"
    cells = np.where(np.isnan(score), "", score.astype(str))
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        if wide:
            writer.writerow(["image", *names])
            writer.writerows([ids[n], *cells[n]] for n in rng.permutation(images))
        else:
            writer.writerow(["image", "class", "score"])
            pairs = [(n, c) for n in range(images) for c in range(classes)]
            writer.writerows([ids[n], names[c], cells[n, c]] for n, c in rng.permutation(pairs))
    source = FileSource(path)
    order = rng.permutation(images)
    source.start(LabelTable.from_dense([ids[n] for n in order], names, np.zeros((images, classes), np.int8)))
    np.testing.assert_equal(ask(source, images, classes)[1], score[order])


LONG = "image,class,score\na.jpg,cat,0.5\nd/b c.jpg,cat,0.5\n"
WRONG: dict[str, tuple[str, str]] = {
    "unknown class": (
        LONG + "ü.jpg,dgo,0.1\n",
        r"line 4, column 'class': 'dgo' is no class of the labels \(did you mean 'dog'\?\)",
    ),
    "unknown column": (
        "image,cat,dgo\na.jpg,0,0\n",
        r"line 1, column 'dgo': 'dgo' is no class of the labels \(did you mean 'dog'\?\)",
    ),
    "column without a name": ("image,cat,\na.jpg,0,0\n", "line 1, column 3: '' is no class of the labels"),
    "too high": (
        LONG + "ü.jpg,cat,1.01\n",
        "line 4, column 'score': score '1.01' must be a number from 0 to 1",
    ),
    "negative": (
        LONG + "ü.jpg,cat,-0.1\n",
        "line 4, column 'score': score '-0.1' must be a number from 0 to 1",
    ),
    "percent": (LONG + "ü.jpg,cat,50%\n", "line 4, column 'score': score '50%' must be"),
    "nan": (LONG + "ü.jpg,cat,NaN\n", "line 4, column 'score': score 'NaN' must be"),
    "infinite": (LONG + "ü.jpg,cat,inf\n", "line 4, column 'score': score 'inf' must be"),
    "labels": (
        "image,cat,dog\na.jpg,1,-1\n",
        "line 2, column 'dog': score '-1' must be .*; if these are labels .* --source review",
    ),
    "pair twice": (
        LONG + "ü.jpg,cat,0.1\na.jpg,cat,0.5\n",
        "line 5: image 'a.jpg' and class 'cat' stand at line 2 already: delete one of the rows",
    ),
    "the same image in another spelling": (
        LONG + "./d\\b c.jpg,cat,0.5\n",
        "line 4: image 'd/b c.jpg' and class 'cat' stand at line 3 already",
    ),
    "image twice": (
        "image,cat\na.jpg,0\nü.jpg,0\na.jpg,0\n",
        "line 4: image 'a.jpg' stands at line 2 already: delete one row",
    ),
    "class column twice": ("image,cat,cat\na.jpg,0,0\n", "line 1, column 'cat': two columns have this name"),
    "decision": (
        "image,class,decision\na.jpg,cat,1\nü.jpg,cat,yes\n",
        "line 3, column 'decision': decision 'yes' must be 1",
    ),
    "missing images": (
        LONG,
        r"tags.csv has nothing for 1 of 3 images of the training labels, such as 'ü.jpg'",
    ),
    "no rows": ("image,class,score\n", "nothing for 3 of 3 images"),
    "no image column": ("thing,class,score\na,cat,1\n", "no column is called 'image'"),
    "labels, not scores": ("image,class\na.jpg,cat\n", "line 1: a column 'class' .* --source review"),
    "short row": (LONG + "ü.jpg,cat\n", "line 4: 2 cells, but the header names 3 columns"),
    "way out": (LONG + "../ü.jpg,cat,1\n", r"line 4: image '../ü.jpg' leaves the image folder"),
    "empty": ("", "the file is empty"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_malformed_file_is_refused_with_line_and_reason(fault: str, tmp_path: Path) -> None:
    text, message = WRONG[fault]
    with pytest.raises(OneLabelError, match=message) as raised:
        start(tmp_path, text)
    assert "tags.csv" in str(raised.value)


def test_the_line_is_right_beyond_the_first_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onelabel.sources.opinions_csv._ROWS_AT_ONCE", 2)
    rows = "".join(f"{n}.jpg,cat,0.5\n" for n in range(7))
    for last, message in (("8.jpg,cat,2", "line 9, column 'score'"), ("0.jpg,cat,1", "line 9: .* at line 2")):
        with pytest.raises(LabelFileError, match=message):
            start(tmp_path, f"image,class,score\n{rows}{last}\n")
    rows = "".join(f"{n}.jpg,0.5\n" for n in range(40))
    for last, message in (("99.jpg,2", "line 42, column 'cat'"), ("0.jpg,1", "line 42: .* at line 2")):
        with pytest.raises(LabelFileError, match=message):
            start(tmp_path, f"image,cat\n{rows}{last}\n")
