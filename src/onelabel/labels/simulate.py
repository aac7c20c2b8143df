"""Hiding labels: what would be known if each image had been given one label (or a few)."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onelabel.io.errors import OneLabelError
from onelabel.labels.bias import Preference, choose
from onelabel.labels.entries import cheapest_default
from onelabel.labels.split import group_split, random_split
from onelabel.labels.table import LabelTable

HELD_OUT = ("val", "dev", "test")
"""A split whose name begins with one of these keeps its labels."""

_CELLS_AT_ONCE = 1 << 22


def observe(labels: ArrayLike, num_pos: int = 1, num_neg: int = 0, seed: int = 1200) -> NDArray[np.int8]:
    """Keep some known labels of each row, drawn at random as in the published protocol.

    For each row, in order: the positives are shuffled and the first ``num_pos`` kept, then the negatives are
    shuffled and the first ``num_neg`` kept. The second shuffle happens even if no negative is kept: it moves
    the stream of random numbers, and the published labels depend on that.

    Source: Cole et al. 2021, https://arxiv.org/abs/2106.09708; official code
    https://github.com/elijahcole/single-positive-multi-label (``preproc/generate_observed_labels.py``, commit
    89152d5). There labels are complete; cells that are 0 here are never drawn.

    Args:
        labels: (B, C) in {+1, 0, -1}.
        num_pos: positives kept in each row; -1 for all.
        num_neg: negatives kept in each row; -1 for all.
        seed: of ``numpy.random.RandomState``; 1200 as published.

    Returns:
        (B, C) int8: +1 and -1 where kept, else 0.

    Raises:
        OneLabelError: a number below -1.

    Example:
        >>> full = np.array([[1, 0, 1, 0, 1], [0, 1, 0, 0, 0], [1, 1, 0, 0, 1], [0, 0, 1, 1, 0]])
        >>> observe(2 * full - 1).argmax(axis=1).tolist()
        [0, 1, 4, 3]
    """
    matrix = np.asarray(labels)
    return _observe(matrix, num_pos, num_neg, np.random.RandomState(seed))


def _observe(
    matrix: NDArray[np.int8], num_pos: int, num_neg: int, rng: np.random.RandomState
) -> NDArray[np.int8]:
    for name, number in (("positives", num_pos), ("negatives", num_neg)):
        if number < -1:
            raise OneLabelError(
                f"{number} {name} an image has no meaning: give a number from 0, or -1 for all"
            )
    observed = np.zeros(matrix.shape, np.int8)
    for row, result in zip(matrix, observed, strict=True):
        for value, number in ((1, num_pos), (-1, num_neg)):
            columns = np.flatnonzero(row == value)
            rng.shuffle(columns)
            result[columns if number == -1 else columns[:number]] = value
    return observed


def simulate_single_positives(
    table: LabelTable,
    *,
    positives: int = 1,
    negatives: int = 0,
    seed: int = 1200,
    val_fraction: float = 0.0,
    split_seed: int = 1200,
    preference: Preference | None = None,
) -> LabelTable:
    """Hide labels of the training images by the published protocol, and split off a validation part.

    Labels are drawn with :func:`observe` over all training images in file order; then :func:`random_split`
    (:func:`group_split` where images have groups) makes the validation part, which keeps its labels. Images
    in a split whose name begins with val, dev or test keep theirs and take no part.

    Args:
        table: complete labels (cells that are unknown stay so).
        positives: positives kept per image; -1 for all.
        negatives: negatives kept per image; -1 for all.
        seed: of the draw; 1200 as published.
        val_fraction: share of the training images that become the split ``val``; the others become ``train``.
        split_seed: of that split; 1200 as published.
        preference: which positives are named first, by row of the table; None draws uniformly, as published.

    Raises:
        OneLabelError: a number below -1, no training images, a fraction outside [0, 1), or a validation part
            asked for where there is one.

    Example:
        >>> full = LabelTable.from_dense(["a", "b"], ["x", "y"], [[1, 1], [-1, 1]])
        >>> simulate_single_positives(full).counts().positive.tolist()
        [1, 1]
    """
    training = _training_rows(table, bool(val_fraction))
    drawn = _draw(table, training, positives, negatives, seed, preference)
    if not val_fraction:
        return _with_drawn(table, training, drawn)
    if table.groups is None:
        train, val = random_split(len(training), val_fraction, split_seed)
    else:
        train, val = group_split(table.groups[training], val_fraction, split_seed)
    return _mark_split(_with_drawn(table, training[train], drawn), training[train], training[val])


def _training_rows(table: LabelTable, split_off: bool) -> NDArray[np.int64]:
    if table.splits is None:
        return np.arange(len(table))
    held_out = [code for code, name in enumerate(table.split_names) if name.lower().startswith(HELD_OUT)]
    validation = [
        table.split_names[code] for code in held_out if "test" not in table.split_names[code].lower()
    ]
    if split_off and validation:
        raise OneLabelError(
            f"there is a split {validation[0]!r} already: leave --val-fraction out, or ignore that column"
        )
    rows = np.flatnonzero(~np.isin(table.splits, held_out))
    if not len(rows):
        raise OneLabelError(
            f"every image is in a split that keeps its labels: {', '.join(table.split_names)}"
        )
    return rows


class _Drawn(NamedTuple):
    """Cells of the rows that were drawn for, as a table keeps them, and the default of each row."""

    images: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.int8]
    weights: NDArray[np.float32]
    default: NDArray[np.int8]


def _draw(
    table: LabelTable,
    rows: NDArray[np.int64],
    positives: int,
    negatives: int,
    seed: int,
    preference: Preference | None,
) -> _Drawn:
    rng, chooser = np.random.RandomState(seed), random.Random(seed)
    step = max(1, _CELLS_AT_ONCE // table.num_classes)
    default = np.zeros(len(table), np.int8)
    cells = []
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        labels = _observe(table.rows(part), positives, negatives, rng)
        if preference is not None:
            labels = _preferred(table.rows(part), labels, part, positives, preference, chooser)
        if table.weights is None:  # a default cell has no weight
            default[part] = cheapest_default((labels == -1).sum(axis=1), (labels == 0).sum(axis=1))
        row, column = np.nonzero(labels != default[part][:, None])
        cells.append((part[row], column, labels[row, column], table.weight_rows(part)[row, column]))
    images, columns, values, weights = (np.concatenate(kind) for kind in zip(*cells, strict=True))
    return _Drawn(images, columns, values, weights, default)


def _preferred(
    truth: NDArray[np.int8],
    uniform: NDArray[np.int8],
    rows: NDArray[np.int64],
    positives: int,
    preference: Preference,
    rng: random.Random,
) -> NDArray[np.int8]:
    """Draw the positives again, by preference; negatives stay as they were drawn."""
    labels = np.minimum(uniform, 0)
    for row, known, result in zip(rows.tolist(), truth, labels, strict=True):
        result[choose(preference, row, np.flatnonzero(known == 1), positives, rng)] = 1
    return labels


def _with_drawn(table: LabelTable, rows: NDArray[np.int64], drawn: _Drawn) -> LabelTable:
    """Return the table in which ``rows`` have the drawn labels and all others their own."""
    replaced = np.zeros(len(table), bool)
    replaced[rows] = True
    image = table.stored_images()
    old, new = np.flatnonzero(~replaced[image]), np.flatnonzero(replaced[drawn.images])
    hidden = LabelTable.from_entries(
        table.ids,
        table.class_ids,
        np.concatenate([image[old], drawn.images[new]]),
        np.concatenate([table.indices[old], drawn.columns[new]]),
        np.concatenate([table.values[old], drawn.values[new]]),
        None if table.weights is None else np.concatenate([table.weights[old], drawn.weights[new]]),
        np.where(replaced, drawn.default, table.default),
    )
    return replace(
        table,
        default=hidden.default,
        indptr=hidden.indptr,
        indices=hidden.indices,
        values=hidden.values,
        weights=hidden.weights,
    )


def _mark_split(table: LabelTable, train: NDArray[np.int64], val: NDArray[np.int64]) -> LabelTable:
    names = list(dict.fromkeys([*table.split_names, "train", "val"]))
    splits = np.zeros(len(table), np.int8) if table.splits is None else table.splits.copy()
    splits[train], splits[val] = names.index("train"), names.index("val")
    return replace(table, splits=splits, split_names=tuple(names))
