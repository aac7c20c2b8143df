"""The readable form of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onelabel.evaluation.curve import F1Curve
from onelabel.evaluation.ece import CalibrationError
from onelabel.evaluation.f1 import F1Scores
from onelabel.evaluation.metrics import MeanAP, Support
from onelabel.evaluation.selection import PuAuc
from onelabel.evaluation.thresholds import FittedThresholds
from onelabel.evaluation.top_k import TopK


def notes_on(known: Support, classes_used: int) -> tuple[str, ...]:
    """Return what labels with this support cannot show, in sentences."""
    classes = len(known.positive)
    blind = int(((known.positive > 0) & ~known.judgeable).sum())
    notes = []
    if not known.positive.any():
        notes.append("No image is known to show any class: nothing can be measured.")
    elif known.unknown.any() and not known.negative.any():
        notes.append(
            "No image is known to lack a class. With positives alone, mAP, precision and F1 would be perfect "
            "for every model, so they are not given. pu_auc and the recall of observed positives order "
            "models on such labels; neither is mAP."
        )
    elif blind:
        notes.append(
            f"{blind} of {classes} classes have known positives and no known negative: they are left out of "
            "mAP, precision and F1, and map_published counts each as 1, which is too high."
        )
    empty = int(((known.positive == 0) & (known.negative > 0)).sum())
    if empty:
        notes.append(f"{empty} of {classes} classes have no known positive: left out of mAP.")
    if known.unknown.any() and classes_used:
        notes.append(
            "mAP, precision and F1 use the known entries alone. They hold for all images only if what is "
            "known was chosen without regard to what is there."
        )
    return tuple(notes)


def head(images: int, known: Support) -> str:
    """Return the line of what is known."""
    return (
        f"{images} images, {len(known.positive)} classes; known: {known.positive.sum()} present, "
        f"{known.negative.sum()} absent, {known.unknown.sum()} unknown"
    )


def map_line(result: MeanAP) -> str:
    """Return the line of mean average precision, or why there is none."""
    if not result.classes_used:
        return "mAP not defined: no class has known positives and known negatives"
    return (
        f"mAP {percent(result.value)} over {result.classes_used} of {len(result.ap)} classes "
        f"(map_published {percent(result.map_published)}: an empty class counts 0)"
    )


def f1_lines(f1: F1Scores, source: str | None) -> list[str]:
    """Return the lines of decisions: where the thresholds came from, CF1 and OF1 if defined, recall."""
    lines = [f"Decisions at thresholds: {source}"]
    if f1.classes_used:
        lines += [
            f"  per class  CP {percent(f1.class_precision)}  CR {percent(f1.class_recall)}  "
            f"CF1 {percent(f1.class_f1)} over {f1.classes_used} of {len(f1.f1)} classes",
            f"  overall    OP {percent(f1.overall_precision)}  OR {percent(f1.overall_recall)}  "
            f"OF1 {percent(f1.overall_f1)}",
        ]
    return [
        *lines,
        f"  recall of known positives {percent(f1.observed_recall)}, "
        f"{f1.predicted.sum():.2f} classes called present per image",
    ]


def calibration_lines(errors: Sequence[tuple[str, CalibrationError]]) -> list[str]:
    """Return a line for each calibration error; none where it is not defined."""
    return [
        f"calibration error (classwise ECE) {percent(error.value)} over {error.classes_used} of "
        f"{len(error.per_class)} classes: {name}"
        for name, error in errors
        if error.classes_used
    ]


def curve_lines(curve: F1Curve) -> list[str]:
    """Return the line that says how far 0.5 is from the best threshold; none where there is no curve."""
    if not len(curve.thresholds):
        return []
    return [
        f"one threshold for all classes: OF1 {percent(curve.half_f1)} at 0.5, at best "
        f"{percent(curve.best_f1)} at {curve.best:.3g}, found on these very images"
    ]


def threshold_lines(found: FittedThresholds, limit: int) -> list[str]:
    """Return a table of the ``limit`` classes with the fewest known positives, and what all reach."""
    order = np.argsort(found.known.positive, kind="stable")[:limit]
    rows = [["class, rarest first", "threshold", "own", "weight", "present", "absent", "P", "R", "F1"]]
    for c in order:
        own = "-" if np.isnan(found.own[c]) else f"{found.own[c]:.4f}"
        reached = (found.reached.precision[c], found.reached.recall[c], found.reached.f1[c])
        counts = (str(found.known.positive[c]), str(found.known.negative[c]))
        numbers = (f"{found.values[c]:.4f}", own, f"{found.weight[c]:.2f}")
        rows.append([found.class_ids[c], *numbers, *counts, *map(percent, reached)])
    more = len(found.class_ids) - len(order)
    table = _aligned(rows) if limit else []
    return [
        *table,
        *([f"… and {more} more classes"] if more and limit else []),
        f"on these images: CF1 {percent(found.reached.class_f1)}  OF1 {percent(found.reached.overall_f1)}  "
        f"recall of known positives {percent(found.reached.observed_recall)}  "
        f"{found.reached.predicted.sum():.2f} classes per image; on new images expect less",
    ]


def top_lines(top: Sequence[TopK]) -> list[str]:
    """Return a line for each k of which any image counts."""
    return [
        f"Top {t.k}: precision {percent(t.precision)}, recall {percent(t.recall)}, "
        f"any present {percent(t.any_present)} over {t.images_used} of {len(t.row_recall)} images"
        for t in top
        if t.images_used
    ]


def pu_lines(pu: PuAuc, recall: Sequence[tuple[int, float]]) -> list[str]:
    """Return the lines of positives against unknown, none where no class has both."""
    if not pu.classes_used:
        return []
    recalls = ", ".join(f"top {k} {percent(value)}" for k, value in recall)
    return [
        f"pu_auc {percent(pu.value)} over {pu.classes_used} of {len(pu.per_class)} classes: "
        "chance that an image marked present scores above one of unknown label (50 is guessing; not mAP)",
        f"pu_recall, observed positives among the first classes of their image: {recalls}",
    ]


def class_lines(
    class_ids: Sequence[str], known: Support, mean_ap: MeanAP, pu: PuAuc | None, limit: int
) -> list[str]:
    """Return a table of the ``limit`` classes with the lowest AP, then of those without one."""
    if limit == 0:
        return []
    order = np.argsort(mean_ap.ap, kind="stable")[:limit]  # NaN sorts last
    pu_header = [] if pu is None else ["pu_auc"]
    rows = [["class, lowest AP first", "AP", "present", "absent", "unknown", *pu_header]]
    for c in order:
        counts = (str(count[c]) for count in (known.positive, known.negative, known.unknown))
        pu_cell = [] if pu is None else [percent(pu.per_class[c])]
        rows.append([class_ids[c], percent(mean_ap.ap[c]), *counts, *pu_cell])
    more = len(class_ids) - len(order)
    return [*_aligned(rows), *([f"… and {more} more classes"] if more else [])]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    first, *rest = (max(map(len, column)) for column in zip(*rows, strict=True))
    return [
        "  ".join([name.ljust(first), *(cell.rjust(w) for cell, w in zip(cells, rest, strict=True))])
        for name, *cells in rows
    ]


def percent(value: float) -> str:
    """Return a share times 100 with two digits, ``-`` where it is not defined.

    Example:
        >>> percent(0.5), percent(float("nan"))
        ('50.00', '-')
    """
    return "-" if np.isnan(value) else f"{100 * value:.2f}"
