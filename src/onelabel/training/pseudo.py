"""Making a named set of pseudo-labels: ask a source once, grade what it says, write it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import onelabel
from onelabel.io.errors import OneLabelError
from onelabel.io.progress import progress
from onelabel.labels.table import LabelTable
from onelabel.sources.base import STATIC, Source, notes_of
from onelabel.sources.grade import Grade, grade
from onelabel.sources.opinions import Opinions
from onelabel.training.opening import Wanted, open_wanted, provenance, read_rules
from onelabel.training.parts import split_names

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Made:
    """A set that is ready to be written.

    Args:
        opinions: scores and decisions, without those of the dropped classes.
        grade: of all classes, as they were before any was dropped.
        dropped: classes whose decisions were taken out.
        facts: what ``set.json`` is to hold.
        notes: what a user should know, a sentence each.
    """

    opinions: Opinions
    grade: Grade
    dropped: tuple[str, ...]
    facts: Mapping[str, Any]
    notes: tuple[str, ...]


def training_rows(table: LabelTable) -> tuple[LabelTable, tuple[str, ...]]:
    """Return the images that may get pseudo-labels, and a note on those that may not.

    Raises:
        OneLabelError: there are splits and none begins with train.
    """
    if table.splits is None:
        return table, ()
    names = split_names(table)
    if "train" not in names:
        raise OneLabelError("the split column names no training images: no split begins with train")
    train = table.part(names["train"])
    left = len(table) - len(train)
    return train, (f"{left} images of other splits get no pseudo-labels",) if left else ()


def make_set(
    table: LabelTable,
    wanted: Wanted,
    *,
    checked: LabelTable | None = None,
    disable_below: float | None = None,
) -> Made:
    """Ask a source for all images of a table, unmirrored, and grade the answers.

    A source may look at the observed labels of an image (DAMP does). What it says of a pair that is observed
    is asked for without telling it, so that the recall of observed positives is not a repetition.

    Args:
        table: the training images.
        wanted: source and rules.
        checked: labels that people looked at, with the classes of ``table``; images in any order.
        disable_below: drop classes with a lift of this or less.

    Raises:
        OneLabelError: the source cannot be opened or does not fit, or no checked image is in the table.
    """
    truth = None if checked is None else _aligned(checked, table)
    source = open_wanted(wanted, table.classes)
    source.start(table)
    opinions = ask(source, table)
    assert opinions.decision is not None
    graded = grade(opinions.decision, table.dense(), table.class_ids, truth)
    dropped = () if disable_below is None else graded.no_better_than(disable_below)
    opinions.decision[:, [table.class_ids.index(name) for name in dropped]] = 0
    facts = _facts(table, wanted, opinions, graded, dropped, source)
    return Made(opinions, graded, dropped, facts, notes_of(source))


def ask(source: Source, table: LabelTable) -> Opinions:
    """Return what a started source says of every image, unmirrored."""
    decision = np.empty((len(table), table.num_classes), np.int8)
    score = np.empty(decision.shape, np.float32)
    with progress("pseudo-label", len(table)) as advance:
        for start in range(0, len(table), _ROWS_AT_ONCE):
            rows = np.arange(start, min(start + _ROWS_AT_ONCE, len(table)))
            labels, never = torch.from_numpy(table.rows(rows)), torch.zeros(len(rows), dtype=torch.bool)
            index = torch.from_numpy(rows)
            told = source.pseudo(index, labels, never, STATIC)
            untold = source.pseudo(index, torch.zeros_like(labels), never, STATIC)
            decision[rows] = torch.where(labels == 0, told[0], untold[0]).numpy()
            score[rows] = torch.where(labels == 0, told[1], untold[1]).numpy()
            advance(len(rows))
    return Opinions(table.ids, table.class_ids, decision, score)


def _aligned(checked: LabelTable, table: LabelTable) -> NDArray[np.int8]:
    """Return the checked labels in the rows of the table, 0 where there are none."""
    rows = checked.ids.rows_of(table.ids)
    here = np.flatnonzero(rows >= 0)
    if not len(here):
        raise OneLabelError(
            f"none of the {len(checked)} checked images is among the {len(table)} training images"
        )
    truth = np.zeros((len(table), table.num_classes), np.int8)
    truth[here] = checked.reorder(table.class_ids).rows(rows[here])
    return truth


def _facts(
    table: LabelTable,
    wanted: Wanted,
    opinions: Opinions,
    graded: Grade,
    dropped: tuple[str, ...],
    source: Source,
) -> dict[str, Any]:
    decision = opinions.decision
    assert decision is not None
    described = wanted.described()
    if wanted.rules is not None:
        described["rules"] = read_rules(wanted.rules, table.class_ids)
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "onelabel": onelabel.__version__,
        "images": len(table),
        "classes": list(table.class_ids),
        "present": int((decision == 1).sum()),
        "absent": int((decision == -1).sum()),
        **described,
        "provenance": provenance(source, wanted),
        "dropped": list(dropped),
        "grade": graded.to_dict(),
    }
