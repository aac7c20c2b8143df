"""Pseudo-labels from a file: found by id, never over what is observed, and refused with a reason."""

from __future__ import annotations

import hashlib
import zipfile
from importlib.util import find_spec
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
from onelabel.sources.base import Source, decides
from onelabel.sources.file import FileSource

NAN = float("nan")
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
@given(st.integers(0, 9999), st.sampled_from(["pseudo", "score", "both", "known"]))
def test_everything_is_matched_by_id(tmp_path_factory: pytest.TempPathFactory, seed: int, holds: str) -> None:
    rng = np.random.default_rng(seed)
    images, classes = int(rng.integers(1, 9)), int(rng.integers(1, 6))
    pseudo, score = rng.integers(-1, 2, (images, classes)), rng.random((images, classes))
    known = rng.random((images, classes)) < (0.5 if holds == "known" else 2)
    ids, names = [f"{n}.jpg" for n in range(images)], [f"c{c}" for c in range(classes)]
    path = tmp_path_factory.mktemp("tags") / "tags.npz"
    arrays: dict[str, Any] = {"ids": ids, "classes": names, "pseudo": pseudo, "score": score, "known": known}
    left_out = {"pseudo": ["score", "known"], "score": ["pseudo"], "both": ["known"], "known": []}[holds]
    np.savez(path, **{key: value for key, value in arrays.items() if key not in left_out})
    rows = rng.permutation(images)[: rng.integers(1, images + 1)]
    # The labels have a class that the file has not, anywhere.
    columns = rng.permutation(classes + 1)
    source: Source = FileSource(path)
    assert decides(source) == (holds != "score")
    source.start(table([ids[row] for row in rows], [[*names, "new"][column] for column in columns]))
    index = rng.integers(0, len(rows), 5).tolist()
    labels = rng.integers(-1, 2, (5, len(columns)))
    found, scores = ask(source, index, labels)
    for place, row in enumerate(rows[index]):
        for slot, column in enumerate(columns):
            silent = column == classes or not known[row, column]
            decided = 0 if silent or holds == "score" else pseudo[row, column]
            assert found[place, slot] == (decided if labels[place, slot] == 0 else 0)
            wanted = {1: 1.0, 0: NAN, -1: 0.0}[decided] if holds == "pseudo" else score[row, column % classes]
            np.testing.assert_equal(scores[place, slot], np.float32(NAN if silent else wanted))


def test_an_id_in_another_unicode_form_is_the_same(tmp_path: Path) -> None:
    source = FileSource(write(tmp_path, ids=["a.jpg", "d/b.jpg", "u\u0308.jpg"]))
    source.start(table(["\u00fc.jpg"], CLASSES))
    assert ask(source, [0], np.zeros((1, 2)))[0].tolist() == [[1, 1]]


def test_says_what_it_does_not_use(tmp_path: Path) -> None:
    source = FileSource(write(tmp_path))
    source.start(table(IDS, CLASSES))
    assert list(source.notes) == []
    source.start(table(IDS[:2], ["dog", "cow", "cat"]))
    more, fewer = source.notes
    assert more.endswith("tags.npz holds 1 images more than the training labels")
    assert fewer.endswith("tags.npz abstains from 1 classes: cow")


@pytest.mark.parametrize(
    ("ids", "classes", "message"),
    [
        (["a.jpg", "none.jpg"], CLASSES, r"nothing for 1 of 2 images of the training labels, such as 'none"),
        (["A.jpg"], CLASSES, r"images .* 'A.jpg'"),
        (IDS, ["cat", "dgo"], r"classes\[1\] 'dog' is no class of the labels \(did you mean 'dgo'\?\)"),
        (IDS, ["cow"], r"classes\[0\] 'cat' is no class of the labels \(cow\): correct it"),
    ],
)
def test_missing_images_and_unknown_classes_are_refused(
    tmp_path: Path, ids: list[str], classes: list[str], message: str
) -> None:
    with pytest.raises(OneLabelError, match=message):
        FileSource(write(tmp_path)).start(table(ids, classes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"classes": None, "ids": None},
            "has no ids and no classes; it must have ids, classes, and pseudo or",
        ),
        ({"pseudo": None}, "has no pseudo or score; it must have"),
        ({"pseudo": None, "score": np.ones(3)}, r"score must be numbers \(images, classes\), not \(3,\)"),
        ({"pseudo": PSEUDO * 2}, r"pseudo\[0, 0\] is 2; it must be 1 \(present\)"),
        ({"pseudo": PSEUDO.astype(float)}, r"integers \(images, classes\), not \(3, 2\) float64"),
        ({"pseudo": PSEUDO == 1}, "integers"),
        ({"pseudo": PSEUDO[0]}, r"not \(2,\)"),
        ({"pseudo": np.array([[200]], np.uint8)}, "is 200"),
        ({"ids": ["a.jpg", "b.jpg"]}, "ids must be 3 texts"),
        ({"ids": [1, 2, 3]}, "ids must be 3 texts to fit the rest, not .* int64"),
        ({"ids": ["a.jpg", "b.jpg", "a.jpg"]}, "tags.npz: ids 'a.jpg' appears twice"),
        ({"classes": ["cat", "cat"]}, "classes 'cat' appears twice"),
        ({"classes": [["cat", "dog"]]}, "classes must be 2 texts"),
        ({"ids": np.array(IDS, object)}, "plain arrays"),
        (
            {"score": [[0.1, 0.2], [0.3, 1.5], [0, 0]]},
            r"score\[1, 1\], of 'd/b.jpg' and 'dog', is 1.5; every score must be a number from 0 to 1",
        ),
        ({"score": [[0.1, 0.2], [-0.3, 0.5], [0, 0]]}, r"score\[1, 0\], of 'd/b.jpg' and 'cat', is -0.3"),
        ({"score": [[0.1, np.nan], [0.3, 0.5], [0, 0]]}, r"score\[0, 1\], of 'a.jpg' and 'dog', is nan"),
        ({"score": [[0.1, np.inf], [0.3, 0.5], [0, 0]]}, "is inf; .* let an array 'known' be False"),
        ({"score": np.ones((2, 3))}, r"score must be numbers \(3, 2\), not \(2, 3\)"),
        ({"known": np.ones((2, 3), bool)}, r"known must be booleans \(3, 2\), not \(2, 3\)"),
        ({"known": np.ones((3, 2))}, r"known must be booleans \(3, 2\), not \(3, 2\) float64"),
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


@pytest.mark.skipif(find_spec("pyarrow") is not None, reason="pyarrow is installed")
def test_parquet_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "tags.parquet").write_bytes(b"PAR1")
    with pytest.raises(OneLabelError, match=r"tags.parquet is a parquet file; to read it: pip install"):
        FileSource(tmp_path / "tags.parquet")


def test_says_where_it_comes_from(tmp_path: Path) -> None:
    path = write(tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert FileSource(path).provenance == {"file": "tags.npz", "sha256": digest}


def test_the_name_of_a_file_stands_for_the_source(tmp_path: Path) -> None:
    path = str(write(tmp_path))
    assert registry.load(path) is registry.load("file") is FileSource
    assert registry.spelled_out({"name": path}) == {"name": "file", "path": path}
    with pytest.raises(OneLabelError, match=r"give --source FILE\.csv or FILE\.npz"):
        FileSource()
