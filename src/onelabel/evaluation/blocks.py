"""Reads score and label matrices in blocks, so that memory is bounded, and refuses what cannot be scored."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from onelabel.io.errors import OneLabelError

BLOCK_BYTES = 2**27
"""Most memory that one block of scores takes, as float32 (128 MiB); a metric needs about three times that."""

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.signedinteger[Any]]


class Matrix(Protocol):
    """A two-dimensional array: NumPy (also memory-mapped), torch, or anything sliced in the same way."""

    @property
    def shape(self) -> Sequence[int]:
        """Rows and columns."""

    def __getitem__(self, key: Any, /) -> Any:
        """Return a part as an array."""


def as_array(part: Any) -> NDArray[Any]:
    """Return a part of a :class:`Matrix` as NumPy; torch is not imported for it.

    Example:
        >>> as_array([[1, 2]])
        array([[1, 2]])
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(part, torch.Tensor):
        part = part.detach().cpu()
        part = part.float() if part.dtype == torch.bfloat16 else part
        return np.asarray(part.numpy())
    return np.asarray(part)


def shape_of(scores: Matrix, labels: Matrix) -> tuple[int, int]:
    """Return (images, classes) of both.

    Raises:
        OneLabelError: they are not two matrices of the same shape.
    """
    if len(labels.shape) != 2 or tuple(scores.shape) != tuple(labels.shape):
        raise OneLabelError(
            f"scores {tuple(scores.shape)} and labels {tuple(labels.shape)} must both be (images, classes)"
        )
    return int(labels.shape[0]), int(labels.shape[1])


def score_part(scores: Matrix, rows: slice, columns: slice, class_ids: Sequence[str] | None = None) -> Floats:
    """Return ``scores[rows, columns]`` as float32 or float64; order and ties of the values are kept.

    Raises:
        OneLabelError: a value is not a finite number; names its image by position and its class by id, or by
            position where there are no ids.
    """
    part = as_array(scores[rows, columns])
    if part.dtype.kind not in "fiub":
        raise OneLabelError(f"scores must be numbers, these are {part.dtype}")
    if part.dtype.kind != "f":
        part = part.astype(np.float64)
    elif part.dtype.itemsize < 4:
        part = part.astype(np.float32)
    finite = np.isfinite(part)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        name = columns.start + column if class_ids is None else repr(class_ids[columns.start + column])
        raise OneLabelError(
            f"the score of image {rows.start + row} (counted from 0) for class {name} is "
            f"{part[row, column]}: such a model cannot be evaluated"
        )
    return part


def label_part(labels: Matrix, rows: slice, columns: slice) -> Labels:
    """Return ``labels[rows, columns]`` as signed integers in {-1, 0, +1}.

    Raises:
        OneLabelError: another type (a 0 of a yes/no table would be read as unknown) or another value.
    """
    part = as_array(labels[rows, columns])
    if part.dtype.kind != "i":
        raise OneLabelError(
            f"labels must be signed integers (+1 present, 0 unknown, -1 absent), these are {part.dtype}"
        )
    if part.size and (part.min() < -1 or part.max() > 1):
        raise OneLabelError("labels must be +1 (present), 0 (unknown) or -1 (absent)")
    return part


def column_blocks(scores: Matrix, labels: Matrix) -> Iterator[tuple[slice, Floats, Labels]]:
    """Yield (columns, scores, labels) for blocks of classes, turned so that each class is one contiguous row.

    Example:
        >>> scores = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
        >>> labels = np.array([[1, 0], [0, 1], [-1, 1]], dtype=np.int8)
        >>> [(part.start, s.shape) for part, s, _ in column_blocks(scores, labels)]
        [(0, (2, 3))]
    """
    images, classes = shape_of(scores, labels)
    step = max(1, BLOCK_BYTES // (4 * max(images, 1)))
    for first in range(0, classes, step):
        columns = slice(first, min(first + step, classes))
        part = score_part(scores, slice(0, images), columns)
        known = label_part(labels, slice(0, images), columns)
        yield columns, np.ascontiguousarray(part.T), np.ascontiguousarray(known.T)


def row_blocks(
    scores: Matrix, labels: Matrix, class_ids: Sequence[str] | None = None
) -> Iterator[tuple[slice, Floats, Labels]]:
    """Yield (rows, scores, labels) for blocks of images; ``class_ids`` are for the messages."""
    images, classes = shape_of(scores, labels)
    step = max(1, BLOCK_BYTES // (4 * max(classes, 1)))
    for first in range(0, images, step):
        rows = slice(first, min(first + step, images))
        columns = slice(0, classes)
        yield rows, score_part(scores, rows, columns, class_ids), label_part(labels, rows, columns)
