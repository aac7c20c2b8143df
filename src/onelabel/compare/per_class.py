"""What a comparison says class by class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onelabel.compare.contenders import FULL, REFERENCE
from onelabel.compare.summary import Row, Summary


@dataclass(frozen=True)
class ClassRow:
    """One class: mean average precision (or pu_auc) over the seeds, NaN where it is not defined.

    Attributes:
        name: id of the class.
        reference: of AN.
        best: of the best method but AN.
        full: of complete labels.
    """

    name: str
    reference: float
    best: float
    full: float


def class_rows(summary: Summary) -> list[ClassRow]:
    """Return all classes, those that the best method but AN changes most first; none where AN failed."""
    reference, best = summary.row(REFERENCE), summary.challenger
    if reference is None or best is None:
        return []
    columns = [_means(row, summary) for row in (reference, best, summary.row(FULL))]
    rows = [
        ClassRow(name, *(float(column[c]) for column in columns)) for c, name in enumerate(summary.classes)
    ]
    return sorted(rows, key=lambda row: -abs(np.nan_to_num(row.best - row.reference)))


def _means(row: Row | None, summary: Summary) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if row is None:
        return np.full(len(summary.classes), np.nan)
    found = np.array([trial[summary.figure.where]["per_class"] for trial in row.chosen], np.float64)
    known = ~np.isnan(found)
    total = np.where(known, found, 0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)
