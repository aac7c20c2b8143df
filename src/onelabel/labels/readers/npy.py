"""The ``.npy`` pairs of the single-positive repositories: a matrix of labels beside a vector of image paths.

``formatted_train_images.npy`` and ``formatted_train_labels.npy`` (complete: 1 present, 0 absent), the same
for ``val``, which all released codes test on, and ``..._labels_obs.npy`` (observed: 1, -1, 0 for unknown), as
written by https://github.com/elijahcole/single-positive-multi-label (commit 89152d5) and its followers. Class
names are not in these files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelabel.io.arrays import load_npy, texts_of
from onelabel.io.errors import LabelFileError, OneLabelError
from onelabel.labels.datasets.common import Archive, Part, finish
from onelabel.labels.readers.base import Loaded, Probe, Reader, ReadOptions
from onelabel.labels.readers.classes import ClassList

PARTS = {"train": "train", "test": "val"}
_PAIR = Archive(
    "npy", "Give formatted_train_labels.npy and formatted_train_images.npy, or one folder of these", {}
)
_ENDINGS = ("_labels.npy", "_labels_obs.npy")
_ROWS_AT_ONCE = 1 << 14


def _sniff(probe: Probe) -> bool:
    return probe.kind == "npy" or (probe.kind == "folder" and has_pairs(probe.path))


def has_pairs(path: Path) -> bool:
    """Whether a folder holds the complete labels of a part."""
    return any((path / f"formatted_{part}_labels.npy").is_file() for part in PARTS.values())


def read(path: Path, options: ReadOptions) -> Loaded:
    """Read one pair, or a folder of the pairs train and val; val becomes the split ``test``.

    Raises:
        OneLabelError: one of the pair is missing, or the class names are not given.
        LabelFileError: a file that is no such array, or holds other values.
    """
    images = None if path.is_dir() else _images_of(path)
    names = [*ClassList(options).numbers]
    if not names:
        raise OneLabelError(f"{path} holds no class names: give a file with one a line, --classes FILE")
    if images is None:
        parts, notes = read_parts(path, _PAIR, len(names))
    else:
        parts, notes = [read_pair(path, images, "", len(names))], []
    loaded = finish(path, _PAIR, parts, names, None, options)
    return Loaded(loaded.table, loaded.format, (*notes, *loaded.notes))


def read_parts(folder: Path, archive: Archive, classes: int) -> tuple[list[Part], list[str]]:
    """Read the complete labels of train and val in a folder.

    Args:
        folder: with ``formatted_train_images.npy`` and so on.
        archive: for messages.
        classes: the number of columns there must be.

    Returns:
        The parts, and a note on a part that is not there.

    Raises:
        OneLabelError: neither part is there, or one file of a pair.
        LabelFileError: a file that is no such array, or holds other values.
    """
    parts, notes = [], []
    for split, part in PARTS.items():
        labels = folder / f"formatted_{part}_labels.npy"
        if labels.is_file():
            parts.append(read_pair(labels, folder / f"formatted_{part}_images.npy", split, classes))
        else:
            notes.append(f"there is no {split} part: {labels} is missing")
    if not parts:
        raise archive.missing(folder, "there is no formatted_train_labels.npy")
    return parts, notes


def _images_of(path: Path) -> Path:
    ending = next((ending for ending in _ENDINGS if path.name.endswith(ending)), None)
    if ending is None:
        text = "the name of a label matrix ends in _labels.npy or _labels_obs.npy, beside ..._images.npy"
        raise LabelFileError(path, f"a NumPy array, but {text}")
    return path.with_name(path.name.removesuffix(ending) + "_images.npy")


def read_pair(labels: Path, images: Path, split: str, classes: int) -> Part:
    """Read one pair; 0 is unknown in a file of observed labels, else absent.

    Raises:
        LabelFileError: missing, no such array, other values, or another number of rows or columns.
    """
    names, matrix = _load(images), _load(labels)
    if names.ndim != 1 or names.dtype.kind != "U":
        raise LabelFileError(images, f"an array {names.shape} of {names.dtype}, not a vector of texts")
    if matrix.ndim != 2 or len(matrix) != len(names) or matrix.dtype.kind not in "biuf":
        problem = f"an array {matrix.shape} of {matrix.dtype}, not numbers in {len(names):,} rows"
        raise LabelFileError(labels, f"{problem}, as {images.name} has")
    if matrix.shape[1] != classes:
        raise LabelFileError(labels, f"has {matrix.shape[1]:,} columns for {classes:,} classes")
    observed = labels.name.endswith(_ENDINGS[1])
    default = 0 if observed or not _any_zero(matrix) else -1
    marked = [_marked(labels, matrix, first, observed) for first in range(0, len(matrix), _ROWS_AT_ONCE)]
    image, column, value = (
        np.concatenate([np.zeros(0, np.int64), *kind]) for kind in zip(*marked, strict=True)
    )
    return Part(split, _texts(images, names), image, column, value.astype(np.int8), default)


def _texts(path: Path, names: NDArray[Any]) -> list[str]:
    try:
        return texts_of(names)
    except ValueError as error:
        raise LabelFileError(path, str(error)) from None


def _any_zero(matrix: NDArray[Any]) -> bool:
    return any((matrix[row : row + _ROWS_AT_ONCE] == 0).any() for row in range(0, len(matrix), _ROWS_AT_ONCE))


def _marked(
    path: Path, matrix: NDArray[Any], first: int, observed: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8]]:
    """Return image, class and value of the cells that are not 0, of some rows."""
    block = np.asarray(matrix[first : first + _ROWS_AT_ONCE])
    if not np.isin(block, (-1, 0, 1)).all():
        wrong = block[~np.isin(block, (-1, 0, 1))][0]
        raise LabelFileError(path, f"holds {wrong}; labels are 1 and 0, or 1, 0 and -1 in ..._labels_obs.npy")
    if not observed and (block == -1).any() and (block == 0).any():
        raise LabelFileError(
            path, "holds 0 and -1: observed labels are expected under the name ..._labels_obs.npy"
        )
    row, column = np.nonzero(block)
    return row + first, column, block[row, column].astype(np.int8)


def _load(path: Path) -> NDArray[Any]:
    if not path.is_file():  # reading a pipe or a device may never end
        raise LabelFileError(path, "there is no such file; labels and image paths come as a pair")
    try:
        return load_npy(path, mapped=True)
    except OneLabelError as error:
        advice = "if it holds Python objects, write it again with array.astype(str)"
        raise OneLabelError(f"{error}; {advice}") from None


READER = Reader(
    name="npy",
    summary="a matrix of labels and a vector of paths, .npy, as in the single-positive repositories",
    kind="folder or npy",
    uses=frozenset(),
    sniff=_sniff,
    read=read,
)
