"""Everything that can be said about scores and labels, as numbers, JSON and text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onelabel.evaluation import text
from onelabel.evaluation.blocks import Matrix, row_blocks, shape_of
from onelabel.evaluation.curve import F1Curve, f1_curve
from onelabel.evaluation.ece import CalibrationError, calibration_error
from onelabel.evaluation.f1 import F1Scores, as_thresholds, f1_at
from onelabel.evaluation.metrics import MeanAP, Support, mean_average_precision, support
from onelabel.evaluation.selection import PuAuc, pu_auc, pu_recall_at_k
from onelabel.evaluation.top_k import TopK, top_k
from onelabel.io.errors import OneLabelError

TOP = (1, 3, 5)
"""The values of k that papers print."""


@dataclass(frozen=True)
class Evaluation:
    """The result of :func:`evaluate`.

    Attributes:
        class_ids: C class ids, in the order of the columns.
        images: number of images.
        known: how many images are known present, known absent and unknown, per class.
        mean_ap: masked mean average precision, see :func:`onelabel.evaluation.mean_average_precision`.
        top: top-k for the k of 1, 3 and 5 that are at most C.
        f1: decisions at ``thresholds``, or None without thresholds.
        thresholds: (C,), in the unit of the scores, or None.
        thresholds_source: where the thresholds came from, in words, or None.
        pu: ranking of positives against unknown, or None when nothing is unknown.
        pu_recall: (k, share of observed positives among the k first classes), empty when nothing is unknown.
        calibration: calibration errors, each with what the probabilities are, in words.
        f1_curve: F1 against one threshold on the last of these probabilities, or None without them.
        warnings: why these figures may be too good, in sentences.
    """

    class_ids: tuple[str, ...]
    images: int
    known: Support
    mean_ap: MeanAP
    top: tuple[TopK, ...]
    f1: F1Scores | None
    thresholds: NDArray[np.float64] | None
    thresholds_source: str | None
    pu: PuAuc | None
    pu_recall: tuple[tuple[int, float], ...]
    calibration: tuple[tuple[str, CalibrationError], ...] = ()
    f1_curve: F1Curve | None = None
    warnings: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What these labels cannot show, in sentences."""
        return (*self.warnings, *text.notes_on(self.known, self.mean_ap.classes_used))

    def to_dict(self) -> dict[str, Any]:
        """Return shares in [0, 1], counts and texts for ``json.dump``; what is not defined is None."""
        parts: dict[str, Any] = {
            "images": self.images,
            "classes": len(self.class_ids),
            "known": {
                "positive": int(self.known.positive.sum()),
                "negative": int(self.known.negative.sum()),
                "unknown": int(self.known.unknown.sum()),
            },
            "map": self.mean_ap.value,
            "map_classes": self.mean_ap.classes_used,
            "map_published": self.mean_ap.map_published if self.mean_ap.classes_used else None,
            "f1": None if self.f1 is None else _overall(self.f1, self.thresholds_source),
            "top_k": [_top(top) for top in self.top],
            "calibration": [{"probabilities": name, **error.to_dict()} for name, error in self.calibration],
            "f1_curve": None if self.f1_curve is None else self.f1_curve.to_dict(),
            "pu_auc": None if self.pu is None else self.pu.value,
            "pu_auc_classes": None if self.pu is None else self.pu.classes_used,
            "pu_recall_at_k": [{"k": k, "recall": recall} for k, recall in self.pu_recall],
            "notes": list(self.notes),
            "per_class": [self._class(c) for c in range(len(self.class_ids))],
        }
        cleaned: dict[str, Any] = _plain(parts)
        return cleaned

    def _class(self, c: int) -> dict[str, Any]:
        row: dict[str, Any] = {
            "class": self.class_ids[c],
            "positive": self.known.positive[c],
            "negative": self.known.negative[c],
            "unknown": self.known.unknown[c],
            "ap": self.mean_ap.ap[c],
        }
        if self.calibration:
            row["ece"] = self.calibration[-1][1].per_class[c]
        if self.pu is not None:
            row["pu_auc"] = self.pu.per_class[c]
        if self.f1 is not None and self.thresholds is not None:
            row |= {"threshold": self.thresholds[c], "precision": self.f1.precision[c]}
            row |= {"recall": self.f1.recall[c], "f1": self.f1.f1[c], "predicted": self.f1.predicted[c]}
        return row

    def table(self, classes: int = 20) -> str:
        """Return the readable text; shares are printed times 100.

        Args:
            classes: how many classes to list, lowest AP first.
        """
        lines = [text.head(self.images, self.known), text.map_line(self.mean_ap)]
        lines += [] if self.f1 is None else text.f1_lines(self.f1, self.thresholds_source)
        lines += text.calibration_lines(self.calibration)
        lines += [] if self.f1_curve is None else text.curve_lines(self.f1_curve)
        lines += text.top_lines(self.top)
        lines += [] if self.pu is None else text.pu_lines(self.pu, self.pu_recall)
        lines += [f"Note: {note}" for note in self.notes]
        lines += ["", *text.class_lines(self.class_ids, self.known, self.mean_ap, self.pu, classes)]
        return "\n".join(lines)


def evaluate(
    scores: Matrix,
    labels: Matrix,
    class_ids: Sequence[str],
    thresholds: ArrayLike | None = None,
    *,
    thresholds_source: str | None = None,
    probs: Mapping[str, Matrix] | None = None,
    warnings: Sequence[str] = (),
) -> Evaluation:
    """Compute every metric that the labels allow.

    Args:
        scores: (N, C) logits or probabilities, finite.
        labels: (N, C) signed integers, +1 present, 0 unknown, -1 absent.
        class_ids: C ids, in the order of the columns.
        thresholds: one number or (C,) numbers in the unit of ``scores``, or of the last of ``probs``; an
            image is called present where its score >= the threshold. Without them there are no decisions, and
            no F1.
        thresholds_source: where they came from, in words; shown wherever F1 is. Default: that they were given
            and not fitted.
        probs: (N, C) probabilities by what they are, in words, such as before and after a calibration; the
            calibration error of each is computed, and F1 against the threshold on the last.
        warnings: sentences to show among the notes.

    Raises:
        OneLabelError: shapes, values or the number of ids do not fit.

    Example:
        >>> scores = np.array([[0.9, 0.1], [0.8, 0.7], [0.3, 0.2]])
        >>> labels = np.array([[1, -1], [-1, -1], [1, 0]], dtype=np.int8)
        >>> found = evaluate(scores, labels, ["cat", "dog"], thresholds=0.5)
        >>> found.to_dict()["map"], found.to_dict()["map_classes"]
        (0.8333, 1)
        >>> print(found.table())
        3 images, 2 classes; known: 2 present, 3 absent, 1 unknown
        mAP 83.33 over 1 of 2 classes (map_published 41.67: an empty class counts 0)
        ...
    """
    images, classes = shape_of(scores, labels)
    if len(class_ids) != classes:
        raise OneLabelError(f"{len(class_ids)} class ids for {classes} columns of scores")
    for _ in row_blocks(scores, labels, class_ids):
        pass  # refuses what is not finite before anything is computed, and names the class
    known = support(labels)
    cuts = None if thresholds is None else as_thresholds(thresholds, classes)
    ks = [k for k in TOP if k <= classes]
    partial = bool(known.unknown.any())
    named = dict(probs or {})
    decided = list(named.values())[-1] if named else scores
    return Evaluation(
        class_ids=tuple(class_ids),
        images=images,
        known=known,
        mean_ap=mean_average_precision(scores, labels),
        top=tuple(top_k(scores, labels, k) for k in ks),
        f1=None if cuts is None else f1_at(decided, labels, cuts),
        thresholds=cuts,
        thresholds_source=None if cuts is None else thresholds_source or _given(thresholds),
        pu=pu_auc(scores, labels) if partial else None,
        pu_recall=tuple((k, pu_recall_at_k(scores, labels, k)) for k in ks) if partial else (),
        calibration=tuple((name, calibration_error(part, labels)) for name, part in named.items()),
        f1_curve=f1_curve(decided, labels) if named else None,
        warnings=tuple(warnings),
    )


def _given(thresholds: ArrayLike | None) -> str:
    value = np.asarray(thresholds)
    return f"{value:g} for every class, not fitted to any data" if value.ndim == 0 else "given, one per class"


def _overall(f1: F1Scores, source: str | None) -> dict[str, Any]:
    return {
        "thresholds_source": source,
        "classes": f1.classes_used,
        "CP": f1.class_precision,
        "CR": f1.class_recall,
        "CF1": f1.class_f1,
        "OP": f1.overall_precision,
        "OR": f1.overall_recall,
        "OF1": f1.overall_f1,
        "observed_recall": f1.observed_recall,
        "predicted_per_image": f1.predicted.sum(),
    }


def _top(top: TopK) -> dict[str, Any]:
    parts = {"k": top.k, "precision": top.precision, "recall": top.recall}
    return parts | {"any_present": top.any_present, "images": top.images_used}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value
