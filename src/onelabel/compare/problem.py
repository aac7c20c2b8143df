"""One data set under one seed: what all methods of that seed share."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from onelabel.compare.plan import Plan
from onelabel.io.errors import OneLabelError
from onelabel.labels.simulate import simulate_single_positives
from onelabel.labels.split import group_split, random_split
from onelabel.labels.table import LabelTable
from onelabel.training.parts import Parts, split_names

_TEST_DRAW = 1 << 20
"""Added to the seed of the test images: they are not drawn with the numbers of the validation part."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Data:
    """The labels of a comparison.

    Args:
        table: complete labels with ``--simulate``, else labels as they are.
        checked: images that people labelled completely, never trained on; or None.
    """

    table: LabelTable
    checked: LabelTable | None = None


@dataclass(frozen=True)
class Problem:
    """What the methods of one seed train on, choose on and are judged on.

    Args:
        parts: training and validation images, with the labels that methods may see.
        complete: the same images with complete labels, where those exist.
        test: labels of the held-out images.
        checked: completely labelled images, or None.
        expected: expected number of labels per image, or None.
    """

    parts: Parts
    complete: Parts | None
    test: LabelTable
    checked: LabelTable | None
    expected: float | None


def make_problem(data: Data, plan: Plan, seed: int) -> Problem:
    """Draw split and observed labels.

    With ``--simulate`` labels are drawn as ``onelabel simulate --seed SEED`` draws them, and validation
    images as ``onelabel train --split-seed SEED`` does. With ``--select full`` validation images keep their
    labels; with ``observed`` they show one positive, too.

    Args:
        data: labels.
        plan: fractions, and whether to simulate.
        seed: of all draws.

    Raises:
        OneLabelError: there are too few images for three parts.
    """
    table = _without(data.table, data.checked)
    rows = _roles(table)
    if "test" not in rows:
        rows["train"], rows["test"] = _draw(table, rows["train"], plan.test_fraction, _TEST_DRAW + seed)
    plain = replace(table, splits=None, split_names=())
    known = _seen(plain, rows, plan, seed)
    if "val" not in rows:
        rows["train"], rows["val"] = _draw(plain, rows["train"], plan.val_fraction, seed)
    for role, part in rows.items():
        if not len(part):
            raise OneLabelError(f"no {role} images are left: {len(table)} images are too few for three parts")
    val = plain if plan.select == "full" else known
    parts = Parts(known.take(rows["train"]), val.take(rows["val"]), ())
    complete = Parts(plain.take(rows["train"]), plain.take(rows["val"]), ()) if plan.simulate else None
    judge = parts.train if complete is None else complete.train
    return Problem(
        parts, complete, plain.take(rows["test"]), data.checked, _expected(plan, data.checked, judge)
    )


def _without(table: LabelTable, checked: LabelTable | None) -> LabelTable:
    """Take checked images out of those that train, choose and test."""
    if checked is None:
        return table
    return table.take(np.flatnonzero(checked.ids.rows_of(table.ids) < 0))


def _roles(table: LabelTable) -> dict[str, Rows]:
    """Return the rows of the parts that a split column names."""
    names = split_names(table)
    if table.splits is None:
        return {"train": np.arange(len(table))}
    if "train" not in names:
        raise OneLabelError("the split column names no training images: no split begins with train")
    return {
        role: np.flatnonzero(table.splits == table.split_names.index(name)) for role, name in names.items()
    }


def _draw(table: LabelTable, rows: Rows, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Divide some rows; a group stays together."""
    if table.groups is None:
        left, drawn = random_split(len(rows), fraction, seed)
    else:
        left, drawn = group_split(table.groups[rows], fraction, seed)
    return rows[left], rows[drawn]


def _seen(table: LabelTable, rows: dict[str, Rows], plan: Plan, seed: int) -> LabelTable:
    """Return the table with the labels that methods may see of training and validation images.

    Each part that the file names is drawn by itself, in file order, as ``onelabel simulate`` does.
    """
    if not plan.simulate:
        return table
    image, column, value = [], [], []
    for role in ("train", "val"):
        if role in rows:
            drawn = simulate_single_positives(table.take(rows[role]), seed=seed).dense()
            row, col = np.nonzero(drawn)
            image.append(rows[role][row])
            column.append(col)
            value.append(drawn[row, col])
    drawn_table = LabelTable.from_entries(
        table.ids, table.class_ids, np.concatenate(image), np.concatenate(column), np.concatenate(value)
    )
    return replace(drawn_table, classes=table.classes)


def _expected(plan: Plan, checked: LabelTable | None, judge: LabelTable) -> float | None:
    """Return the expected number of labels per image: given, or from whatever complete labels there are."""
    if plan.expected_positives is not None:
        return plan.expected_positives
    known = judge if plan.simulate else checked
    return None if known is None else float(known.counts().positive.sum() / len(known))


def check_data(data: Data, plan: Plan) -> tuple[str, ...]:
    """Check that the labels are what ``--simulate``, or its absence, says; return what to note.

    Raises:
        OneLabelError: labels to simulate from are not complete, labels to train on are, or checked images are
            not checked.
    """
    counts = data.table.counts()
    unknown = int(counts.unknown.sum())
    if plan.simulate and data.checked is not None:
        raise OneLabelError("--simulate has complete labels of all images: leave --checked out")
    if plan.simulate and unknown:
        raise OneLabelError(
            f"--simulate needs complete labels and {unknown} are unknown: add --exhaustive if what is not "
            "marked is absent, or leave --simulate out"
        )
    if not plan.simulate and not unknown:
        raise OneLabelError(
            "nothing is unknown in these labels: add --simulate to see what methods make of one label per "
            "image"
        )
    if data.checked is not None:
        _check_checked(data.checked)
    empty = int((data.table.counts_per_image().positive == 0).sum())
    return (f"{empty} images show none of the classes",) if empty and plan.simulate else ()


def _check_checked(checked: LabelTable) -> None:
    unknown = int(checked.counts().unknown.sum())
    if unknown:
        raise OneLabelError(
            f"--checked must be complete and {unknown} of its labels are unknown: add --checked-exhaustive "
            "if what is not marked is absent"
        )
