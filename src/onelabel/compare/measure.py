"""What scores are worth on held-out labels, complete or not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onelabel.evaluation.cuts import cut_for
from onelabel.evaluation.metrics import mean_average_precision, support
from onelabel.evaluation.rules import Rule
from onelabel.evaluation.selection import pu_auc, pu_recall_at_k
from onelabel.labels.table import LabelTable

Labels = NDArray[np.int8]
KS = (1, 3)


def can_judge(table: LabelTable) -> bool:
    """Say whether labels allow a mean average precision: "present" can be wrong in every class."""
    known = support(table.dense())
    return bool(known.judgeable.all() and ((known.positive > 0) & (known.negative > 0)).any())


def measure(scores: NDArray[np.float32], table: LabelTable) -> dict[str, Any]:
    """Return everything that the labels allow, JSON-like; None for what they do not.

    ``map`` and ``f1`` where labels can be wrong, ``pu_auc`` and ``recall_at_k`` where something is unknown;
    ``per_class`` is average precision or pu_auc.

    Args:
        scores: (N, C) logits, or scores of a source.
        table: N labels.
    """
    labels = table.dense()
    unknown = bool((labels == 0).any())
    found: dict[str, Any] = dict.fromkeys(("map", "map_classes", "f1", "pu_auc"))
    per_class: NDArray[np.float64] = np.full(table.num_classes, np.nan)
    if can_judge(table):
        precision = mean_average_precision(scores, labels)
        per_class = precision.ap
        found |= {"map": precision.value, "map_classes": precision.classes_used}
        found["f1"] = pooled_f1(crossed_decisions(scores, labels), labels)
    elif unknown:
        per_class = pu_auc(scores, labels).per_class
    if unknown:
        found["pu_auc"] = plain(pu_auc(scores, labels).value)
    for k in (k for k in KS if k < table.num_classes):
        found[f"recall_at_{k}"] = plain(pu_recall_at_k(scores, labels, k)) if unknown else None
    return found | {"per_class": [plain(value) for value in per_class.tolist()]}


def crossed_decisions(scores: ArrayLike, labels: Labels) -> NDArray[np.bool_]:
    """Decide for each half of the images with the threshold that is best on the other half.

    Probabilities of one method mean less than those of another (EM keeps what is unknown near 0.5), so a
    fixed threshold would compare thresholds. One threshold serves all classes. The halves are drawn, always
    alike for a number of images.

    Args:
        scores: (N, C).
        labels: (N, C), +1 present, 0 unknown, -1 absent.

    Returns:
        (N, C): called present. All False where a half has no class with both kinds of label.
    """
    values = np.asarray(scores, np.float64)
    first = np.zeros(len(values), bool)
    first[np.random.RandomState(0).permutation(len(values))[: len(values) // 2]] = True
    called = np.zeros(values.shape, bool)
    for half in (first, ~first):
        cut = _best_cut(values[~half], labels[~half])
        called[half] = False if math.isnan(cut) else values[half] >= cut
    return called


def _best_cut(scores: NDArray[np.float64], labels: Labels) -> float:
    """Return the threshold for all classes with the best pooled F1, over the classes with both kinds."""
    both = (labels > 0).any(axis=0) & (labels < 0).any(axis=0)
    return cut_for(Rule("f1"), scores[(labels > 0) & both], scores[(labels < 0) & both])


def pooled_f1(called: NDArray[np.bool_], labels: Labels) -> float:
    """Return 2·TP / (called + present) over the known entries; 0 where nothing is called or present."""
    hits, size = (called & (labels > 0)).sum(), (called & (labels != 0)).sum() + (labels > 0).sum()
    return float(2 * hits / size) if size else 0.0


def chance(table: LabelTable) -> dict[str, Any]:
    """Return what a random order reaches on average: mAP, ½ as pu_auc, k of C classes as recall."""
    labels = table.dense()
    known = support(labels)
    found: dict[str, Any] = dict.fromkeys(("map", "map_classes", "f1", "pu_auc"))
    share = np.full(table.num_classes, np.nan)
    unknown = bool((labels == 0).any())
    if can_judge(table):
        both = (known.positive > 0) & (known.negative > 0)
        share[both] = random_ap(known.positive[both], known.negative[both])
        found |= {"map": float(share[both].mean()), "map_classes": int(both.sum())}
    elif unknown:
        share[(known.positive > 0) & (known.unknown > 0)] = 0.5
    if unknown:
        found["pu_auc"] = 0.5
    for k in (k for k in KS if k < table.num_classes):
        found[f"recall_at_{k}"] = k / table.num_classes if unknown else None
    return found | {"per_class": [plain(value) for value in share.tolist()]}


def random_ap(positive: NDArray[np.int64], negative: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean average precision of R positives among n in random order, without ties.

    (1/n)·(H + (R-1)/(n-1)·(n-H)), H = 1 + ½ + … + 1/n: at rank k lies a positive with probability R/n, with
    (k-1)·(R-1)/(n-1) others before it on average. It lies above R/n, far above where n is small.

    Args:
        positive: R of each class, (C,), 1 or more.
        negative: n - R, (C,), 1 or more.

    Example:
        >>> random_ap(np.array([1, 50]), np.array([1, 950])).round(4)
        array([0.75  , 0.0562])
    """
    number = positive + negative
    sums = np.cumsum(1 / np.arange(1, number.max(initial=1) + 1))[number - 1]
    found: NDArray[np.float64] = (sums + (positive - 1) / (number - 1) * (number - sums)) / number
    return found


def plain(value: float) -> float | None:
    """Return a number for JSON: None where there is none."""
    return float(value) if math.isfinite(value) else None
