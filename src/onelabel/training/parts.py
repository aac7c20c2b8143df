"""Which images train, which choose, and which are never touched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onelabel.io.errors import OneLabelError
from onelabel.labels.split import group_split, random_split
from onelabel.labels.table import LabelTable

_BEGINNINGS = {"train": ("train",), "val": ("val", "dev"), "test": ("test",)}


@dataclass(frozen=True)
class Parts:
    """The images of a run.

    Args:
        train: labels of the training images.
        val: labels of the images that choose the epoch, or None.
        notes: what was decided, a sentence each.
    """

    train: LabelTable
    val: LabelTable | None
    notes: tuple[str, ...]


def split_names(table: LabelTable) -> dict[str, str]:
    """Map "train", "val" and "test" to the table's own split names, such as ``train2017``.

    Raises:
        OneLabelError: a name begins with none of the three, or two begin with the same.
    """
    names: dict[str, str] = {}
    for name in table.split_names:
        role = next((r for r, begin in _BEGINNINGS.items() if name.lower().startswith(begin)), None)
        if role is None or role in names:
            raise OneLabelError(
                f"split {name!r}: the names must begin with train, val or test, one of each "
                f"(found {', '.join(table.split_names)}); rename them, or take the column out"
            )
        names[role] = name
    return names


def divide(table: LabelTable, val: LabelTable | None, fraction: float, seed: int) -> Parts:
    """Divide labelled images into training and validation images.

    A split column decides; else ``val`` does; else a share of the training images is drawn. Test images are
    never used.

    Args:
        table: all labels given for training.
        val: labels of a separate validation file, or None.
        fraction: share to draw where neither a split nor ``val`` names validation images; 0 for none.
        seed: of the draw.

    Raises:
        OneLabelError: no training images are left, classes differ, or both a split and ``val`` name
            validation images.
    """
    names = split_names(table)
    if table.splits is not None and "train" not in names:
        raise OneLabelError("the split column names no training images: no split begins with train")
    train = table.part(names["train"]) if names else table
    notes = []
    if "test" in names:
        notes.append(f"{len(table.part(names['test']))} images of split {names['test']!r} are not used")
    if "val" in names and val is not None:
        raise OneLabelError(f"split {names['val']!r} and --val both name validation images; give one of them")
    chosen: LabelTable | None
    if "val" in names:
        chosen = table.part(names["val"])
    elif val is not None:
        train, chosen = _without(train, val, notes), val.reorder(table.class_ids)
    elif fraction > 0:
        rows, val_rows = _draw(train, fraction, seed)
        train, chosen = train.take(rows), train.take(val_rows)
        notes.append(
            f"{len(chosen)} of {len(train) + len(chosen)} training images were set aside to choose the epoch"
        )
    else:
        chosen = None
    if not len(train):
        raise OneLabelError("no training images are left after the split")
    return Parts(train, chosen, tuple(notes))


def _draw(table: LabelTable, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if table.groups is None:
        return random_split(len(table), fraction, seed)
    return group_split(table.groups, fraction, seed)


def _without(train: LabelTable, val: LabelTable, notes: list[str]) -> LabelTable:
    """Take validation images out of the training images."""
    rows = np.flatnonzero(val.ids.rows_of(train.ids) < 0)
    if len(rows) < len(train):
        notes.append(f"{len(train) - len(rows)} images of --val were taken out of the training images")
    return train.take(rows)
