"""How good pseudo-labels are, on what is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Grade:
    """What can be said about pseudo-labels; NaN where nothing can.

    Args:
        recall: share of the observed positives that the pseudo-labels also call present.
        predicted: share of all (image, class) pairs that they call present.
        lift: recall / predicted; 1 is what guessing at the same rate gives.
        precision: among pairs called present whose label is known, share that is present. Only classes with
            known positives and known negatives count: without the latter it would be 1 for any source.
        checked: number of pairs that the precision is taken over.
    """

    recall: float
    predicted: float
    lift: float
    precision: float
    checked: int


def grade(pseudo: ArrayLike, labels: ArrayLike) -> Grade:
    """Grade pseudo-labels against labels that did not go into them.

    Args:
        pseudo: (N, C) in {+1, 0, -1}, as the source gives them when nothing is known (``labels`` all 0):
            sources leave out what is known already, and exactly that is compared here.
        labels: (N, C) in {+1, 0, -1}, what is known.

    Returns:
        The grade, over all pairs together.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> grade([[1, 0, 0], [1, 1, 0]], [[1, 0, 0], [0, 0, 1]])
        Grade(recall=0.5, predicted=0.5, lift=1.0, precision=nan, checked=0)
    """
    called, known = np.asarray(pseudo) == 1, np.asarray(labels)
    if called.shape != known.shape:
        raise ValueError(f"pseudo has shape {called.shape}, labels {known.shape}")
    recall = _share(called[known == 1])
    predicted = _share(called)
    judged = (known == 1).any(axis=0) & (known == -1).any(axis=0)
    checked = known[called & (known != 0) & judged] == 1
    lift = recall / predicted if predicted > 0 else float("nan")
    return Grade(recall, predicted, lift, _share(checked), int(checked.size))


def _share(values: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float:
    return float(values.mean()) if values.size else float("nan")
