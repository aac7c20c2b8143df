"""How good pseudo-labels are, on what is known: per class and over all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelabel.evaluation.f1 import F1Scores, f1_at
from onelabel.io.errors import OneLabelError

Vector = NDArray[np.float64]
Matrix = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Grade:
    """What can be said about the decisions of a source; NaN where nothing can.

    The first three need no labels but the observed ones; ``checked`` needs labels that people looked at.

    Args:
        class_ids: C classes.
        images: N.
        observed: (C,) number of observed positives.
        recall: (C,) share of the observed positives that are called present.
        predicted: (C,) share of all images that are called present.
        lift: (C,) recall / predicted: 1 is what calling as many at random gives; NaN where none is called.
        denied: (C,) share of the observed positives that are called absent.
        absent: (C,) share of all images that are called absent.
        overall_recall: share of all observed positives called present.
        overall_predicted: share of all (image, class) pairs called present.
        checked: precision, recall and F1 of "present" against labels that were checked.
        checked_images: number of images with such labels.
    """

    class_ids: tuple[str, ...]
    images: int
    observed: NDArray[np.int64]
    recall: Vector
    predicted: Vector
    lift: Vector
    denied: Vector
    absent: Vector
    overall_recall: float
    overall_predicted: float
    checked: F1Scores
    checked_images: int

    @property
    def overall_lift(self) -> float:
        """Recall / predicted over all classes."""
        return self.overall_recall / self.overall_predicted if self.overall_predicted > 0 else float("nan")

    def no_better_than(self, lift: float) -> tuple[str, ...]:
        """Return the classes whose lift is known and at most this."""
        return tuple(name for name, value in zip(self.class_ids, self.lift, strict=True) if value <= lift)

    def to_dict(self) -> dict[str, Any]:
        """Return shares in [0, 1] and counts for ``json.dump``; what is not known is None."""
        found = self.checked
        overall = {
            "observed_positives": int(self.observed.sum()), "recall": self.overall_recall,
            "predicted": self.overall_predicted, "lift": self.overall_lift,
            "checked_images": self.checked_images, "checked_classes": found.classes_used,
            "CP": found.class_precision, "CR": found.class_recall, "CF1": found.class_f1,
            "OP": found.overall_precision, "OR": found.overall_recall, "OF1": found.overall_f1,
        }  # fmt: skip
        per_class = [
            {"class": name} | {key: _plain(values[c]) for key, values in self._columns().items()}
            for c, name in enumerate(self.class_ids)
        ]
        return {key: _plain(value) for key, value in overall.items()} | {"per_class": per_class}

    def _columns(self) -> dict[str, NDArray[Any]]:
        found = self.checked
        return {
            "observed_positives": self.observed, "recall": self.recall, "predicted": self.predicted,
            "lift": self.lift, "denied": self.denied, "absent": self.absent,
            "precision": found.precision, "checked_recall": found.recall, "f1": found.f1,
        }  # fmt: skip


def grade(
    decision: Matrix, observed: Matrix, class_ids: Sequence[str], checked: Matrix | None = None
) -> Grade:
    """Grade decisions against labels that did not go into them.

    Args:
        decision: (N, C) in {+1, 0, -1}; in the cells of ``observed`` as the source decides without knowing.
        observed: (N, C) in {+1, 0, -1}, what is known to the training.
        class_ids: C ids.
        checked: (N, C) in {+1, 0, -1}, what people looked at; the cells of ``observed`` are left out, as no
            pseudo-label is used there. Without it, ``observed`` itself takes its place: precision is then
            known where a class has observed positives and observed negatives.

    Raises:
        OneLabelError: the shapes differ, or a value is not one of the three.

    Example:
        >>> decision = np.array([[1, 0, 0], [1, 1, 0]], np.int8)
        >>> found = grade(decision, np.array([[1, 0, 0], [0, 0, 1]], np.int8), ["cat", "dog", "cow"])
        >>> found.recall, found.predicted, found.lift
        (array([ 1., nan,  0.]), array([1. , 0.5, 0. ]), array([ 1., nan, nan]))
        >>> found.overall_recall, found.overall_predicted, found.no_better_than(1.0)
        (0.5, 0.5, ('cat',))
    """
    if decision.shape != observed.shape or (checked is not None and checked.shape != observed.shape):
        raise OneLabelError(f"decisions have shape {decision.shape}, the labels {observed.shape}")
    known = f1_at(decision.astype(np.float32), observed, 0.5)
    truth = observed if checked is None else np.where(observed == 0, checked, np.int8(0))
    positives = (observed == 1).sum(axis=0)
    denied = ((observed == 1) & (decision == -1)).sum(axis=0)
    return Grade(
        class_ids=tuple(class_ids),
        images=len(decision),
        observed=positives,
        recall=known.recall,
        predicted=known.predicted,
        lift=_ratio(known.recall, known.predicted),
        denied=_ratio(denied, positives),
        absent=(decision == -1).mean(axis=0) if len(decision) else np.full(len(positives), np.nan),
        overall_recall=known.observed_recall,
        overall_predicted=float((decision == 1).mean()) if decision.size else float("nan"),
        checked=known if checked is None else f1_at(decision.astype(np.float32), truth, 0.5),
        checked_images=int((truth != 0).any(axis=1).sum()),
    )


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Vector:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return round(value, 6) if np.isfinite(value) else None
    return value
