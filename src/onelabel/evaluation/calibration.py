"""Platt calibration: logits to probabilities that say how often a class is present."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onelabel.evaluation.blocks import Floats, Matrix, column_blocks, shape_of
from onelabel.evaluation.metrics import Support, support
from onelabel.io.errors import OneLabelError

LEAST = 10
"""Known positives and known absences that a class needs for a curve of its own."""

_STEPS, _HALVINGS = 100, 30
Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Platt:
    """The result of :func:`fit_platt`: probability = σ(slope_c · logit + intercept_c).

    Attributes:
        slope: (C,) above 0, so that the order of images stays.
        intercept: (C,).
        own: (C,) whether a class has a curve of its own; the others have that of all classes together.
        known: known present, absent and unknown images per class.
    """

    slope: Vector
    intercept: Vector
    own: NDArray[np.bool_]
    known: Support


def fit_platt(logits: Matrix, labels: Matrix, class_ids: Sequence[str], least: int = LEAST) -> Platt:
    """Fit a Platt curve per class on the known entries.

    slope and intercept minimise Σ −t·log σ(a·z + b) − (1−t)·log(1 − σ(a·z + b)) over the known entries of a
    class, with t = (n₊ + 1)/(n₊ + 2) for its n₊ positives and t = 1/(n₋ + 2) for its n₋ absences, which keeps
    the curve finite where scores separate the two. Classes with fewer than ``least`` of either, and classes
    whose curve would fall, take the curve of all known entries together, leaving out classes of which only
    positives are known.

    Platt, "Probabilistic Outputs for Support Vector Machines and Comparisons to Regularized Likelihood
    Methods" (1999); minimised by Newton's method with halved steps as in Lin, Lin and Weng, "A Note on
    Platt's Probabilistic Outputs for Support Vector Machines" (2007),
    https://doi.org/10.1007/s10994-007-5018-6. Deviations: the common curve for rare classes; the sign of a
    and b.

    Args:
        logits: (N, C) finite.
        labels: (N, C) signed integers, +1 present, 0 unknown, -1 absent.
        class_ids: C ids of the columns.
        least: 1 or more.

    Raises:
        OneLabelError: no class has known positives and known absences, or all scores together do not rise
            from absent to present.

    Example:
        >>> logits = np.array([[4.0], [1.0], [2.0], [-1.0], [-3.0], [0.0]])
        >>> labels = np.array([[1], [1], [1], [-1], [-1], [-1]], dtype=np.int8)
        >>> found = fit_platt(logits, labels, ["cat"], least=3)
        >>> bool(found.slope[0] > 0), bool(found.own[0])
        (True, True)
    """
    known = support(labels)
    if not ((known.positive > 0) & (known.negative > 0)).any():
        raise OneLabelError(
            "calibration needs a class with known positives and known absences, and there is none: check "
            "some images completely (--exhaustive, if what is not marked is absent)"
        )
    enough = np.minimum(known.positive, known.negative) >= max(least, 1)
    curves = np.full((shape_of(logits, labels)[1], 2), np.nan)
    pools: list[tuple[Floats, Floats]] = []
    for columns, block, marks in column_blocks(logits, labels):
        for offset, (row, mark) in enumerate(zip(block, marks, strict=True)):
            c = columns.start + offset
            parts = row[mark > 0], row[mark < 0]
            if enough[c]:
                curves[c] = platt_curve(*parts)
            if known.judgeable[c]:
                pools.append(parts)
    own = curves[:, 0] > 0
    common = platt_curve(*(np.concatenate(part) for part in zip(*pools, strict=True)))
    if not common[0] > 0 and not own.all():
        lacking = class_ids[int(np.flatnonzero(~own)[0])]
        raise OneLabelError(
            f"calibration: class {lacking!r} has too few known images for a curve of its own, and over all "
            "classes present images do not score above absent ones: there is nothing to calibrate"
        )
    curves[~own] = common
    return Platt(curves[:, 0], curves[:, 1], own, known)


def platt_curve(positive: Floats, negative: Floats) -> tuple[float, float]:
    """Return slope and intercept of one Platt curve; slope 0 where all scores are equal.

    Args:
        positive: (P,) logits of known positives, P at least 1.
        negative: (Q,) logits of known absences, Q at least 1.
    """
    z = np.concatenate([positive, negative]).astype(np.float64)
    up, down = (len(positive) + 1) / (len(positive) + 2), 1 / (len(negative) + 2)
    target = np.repeat([up, down], [len(positive), len(negative)])
    centre, width = z.mean(), z.std()
    if not width > 1e-12 * max(1.0, abs(centre)):
        return 0.0, float(np.log(target.mean()) - np.log1p(-target.mean()))
    z = (z - centre) / width
    theta = np.array([0.0, np.log(target.mean()) - np.log1p(-target.mean())])
    loss = _loss(theta, z, target)
    for _ in range(_STEPS):
        p = _sigmoid(theta[0] * z + theta[1])
        gradient = np.array([((p - target) * z).sum(), (p - target).sum()])
        if np.abs(gradient).max() < 1e-9 * len(z):
            break
        spread = p * (1 - p) + 1e-12
        cross = (spread * z).sum()
        hessian = np.array([[(spread * z * z).sum(), cross], [cross, spread.sum()]])
        theta, loss, moved = _step(theta, -np.linalg.solve(hessian, gradient), loss, z, target)
        if not moved:
            break
    return float(theta[0] / width), float(theta[1] - theta[0] * centre / width)


def _step(theta: Vector, step: Vector, loss: float, z: Vector, target: Vector) -> tuple[Vector, float, bool]:
    """Go along a step, halved until the loss falls."""
    for _ in range(_HALVINGS):
        further = _loss(theta + step, z, target)
        if further < loss:
            return theta + step, further, True
        step = step / 2
    return theta, loss, False


def _loss(theta: Vector, z: Vector, target: Vector) -> float:
    logit = theta[0] * z + theta[1]
    return float((np.logaddexp(0, logit) - target * logit).sum())


def _sigmoid(logits: Vector) -> Vector:
    return np.exp(-np.logaddexp(0, -logits))
