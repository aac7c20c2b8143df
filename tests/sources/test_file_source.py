"""Pseudo-labels from a file: found by id, never over what is observed, and refused with a reason."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.sources import registry
from onelabel.sources.base import Source
from onelabel.sources.file import FileSource

IDS, CLASSES = ["a.jpg", "d/b.jpg", "ü.jpg"], ["cat", "dog"]
PSEUDO = np.array([[1, 0], [0, -1], [1, 1]])
PLAIN: dict[str, Any] = {"ids": IDS, "classes": CLASSES, "pseudo": PSEUDO}


def write(folder: Path, **changes: Any) -> Path:
    """``tags.npz`` as :data:`PLAIN` but for ``changes``; None leaves an array out."""
    path = folder / "tags.npz"
    arrays = {key: value for key, value in (PLAIN | changes).items() if value is not None}
    np.savez(path, **arrays)
    return path


def table(ids: list[str], classes: list[str]) -> LabelTable:
    return LabelTable.from_dense(ids, classes, np.zeros((len(ids), len(classes)), np.int8))


def ask(source: Source, index: list[int], labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    bits = torch.zeros(len(index), dtype=torch.bool)
    pseudo, score = source.pseudo(
        torch.tensor(index), torch.from_numpy(labels.astype(np.int8)), bits, epoch=2
    )
    assert pseudo.dtype == torch.int8 and score.dtype == torch.float32
    return pseudo.numpy(), score.numpy()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9999), st.booleans())
def test_everything_is_matched_by_id(
    tmp_path_factory: pytest.TempPathFactory, seed: int, scored: bool
) -> None:
    rng = np.random.default_rng(seed)
    images, classes = int(rng.integers(1, 9)), int(rng.integers(1, 6))
    pseudo, score = rng.integers(-1, 2, (images, classes)), rng.random((images, classes))
    ids, names = [f"{n}.jpg" for n in range(images)], [f"c{c}" for c in range(classes)]
    path = tmp_path_factory.mktemp("tags") / "tags.npz"
    arrays: dict[str, Any] = {"ids": ids, "classes": names, "pseudo": pseudo}
    np.savez(path, **arrays | ({"score": score} if scored else {}))
    rows = rng.permutation(images)[: rng.integers(1, images + 1)]
    columns = rng.permutation(classes)[: rng.integers(1, classes + 1)]
    source: Source = FileSource(path)
    source.start(table([ids[row] for row in rows], [names[column] for column in columns]))
    index = rng.integers(0, len(rows), 5).tolist()
    labels = rng.integers(-1, 2, (5, len(columns)))
    found, scores = ask(source, index, labels)
    for place, row in enumerate(rows[index]):
        for slot, column in enumerate(columns):
            wanted = pseudo[row, column] if labels[place, slot] == 0 else 0
            assert found[place, slot] == wanted
            given_score = score[row, column] if scored else (1 + pseudo[row, column]) / 2
            assert scores[place, slot] == np.float32(given_score)


def test_an_id_in_another_unicode_form_is_the_same(tmp_path: Path) -> None:
    source = FileSource(write(tmp_path, ids=["a.jpg", "d/b.jpg", "u\u0308.jpg"]))
    source.start(table(["\u00fc.jpg"], CLASSES))
    assert ask(source, [0], np.zeros((1, 2)))[0].tolist() == [[1, 1]]


def test_says_what_it_does_not_use(tmp_path: Path) -> None:
    source = FileSource(write(tmp_path))
    source.start(table(IDS, CLASSES))
    assert list(source.notes) == []
    source.start(table(IDS[:2], ["dog"]))
    (note,) = source.notes
    assert note.endswith("tags.npz holds 1 images and 1 classes more than the training labels")


@pytest.mark.parametrize(
    ("ids", "classes", "message"),
    [
        (["a.jpg", "none.jpg"], CLASSES, r"nothing for 1 of 2 images of the training labels, such as 'none"),
        (["A.jpg"], CLASSES, r"images .* 'A.jpg'"),
        (IDS, ["cat", "cow"], r"nothing for 1 of 2 classes of the training labels, such as 'cow': add them"),
    ],
)
def test_missing_images_and_classes_are_refused(
    tmp_path: Path, ids: list[str], classes: list[str], message: str
) -> None:
    with pytest.raises(OneLabelError, match=message):
        FileSource(write(tmp_path)).start(table(ids, classes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": None, "ids": None}, "has no ids and no classes; it must have ids, classes, pseudo"),
        ({"pseudo": PSEUDO * 2}, r"pseudo\[0, 0\] is 2; it must be 1 \(present\)"),
        ({"pseudo": PSEUDO.astype(float)}, r"integers \(images, classes\), not \(3, 2\) float64"),
        ({"pseudo": PSEUDO == 1}, "integers"),
        ({"pseudo": PSEUDO[0]}, r"not \(2,\)"),
        ({"pseudo": np.array([[200]], np.uint8)}, "is 200"),
        ({"ids": ["a.jpg", "b.jpg"]}, "ids must be 3 texts"),
        ({"ids": [1, 2, 3]}, "ids must be 3 texts to fit pseudo, not .* int64"),
        ({"ids": ["a.jpg", "b.jpg", "a.jpg"]}, "tags.npz: ids 'a.jpg' appears twice"),
        ({"classes": ["cat", "cat"]}, "classes 'cat' appears twice"),
        ({"classes": [["cat", "dog"]]}, "classes must be 2 texts"),
        ({"ids": np.array(IDS, object)}, "plain arrays"),
        ({"score": PSEUDO + 0.5}, "every score must be a number from 0 to 1"),
        ({"score": np.full((3, 2), np.nan)}, "every score"),
        ({"score": np.ones((2, 3))}, r"score must be numbers \(3, 2\) as pseudo, not \(2, 3\)"),
        ({"score": np.full((3, 2), "high")}, "score must be numbers"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OneLabelError, match=message):
        FileSource(write(tmp_path, **changes))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OneLabelError, match=r"there is no file .*none.npz of pseudo-labels"):
        FileSource(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("a.jpg,cat")
    with pytest.raises(OneLabelError, match=r"text.npz is not an .npz archive"):
        FileSource(tmp_path / "text.npz")
    with zipfile.ZipFile(tmp_path / "zip.npz", "w") as archive:
        for name in PLAIN:
            archive.writestr(f"{name}.npy", b"no array")
    with pytest.raises(OneLabelError, match=r"zip.npz cannot be read as plain arrays"):
        FileSource(tmp_path / "zip.npz")


def test_the_name_of_a_file_stands_for_the_source(tmp_path: Path) -> None:
    path = str(write(tmp_path))
    assert registry.load(path) is registry.load("file") is FileSource
    assert registry.spelled_out({"name": path}) == {"name": "file", "path": path}
    with pytest.raises(OneLabelError, match=r"give --source FILE\.npz"):
        FileSource()
