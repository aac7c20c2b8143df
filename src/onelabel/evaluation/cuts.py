"""One threshold for one list of scores: the cut that follows a rule on the entries that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelabel.evaluation.blocks import Floats
from onelabel.evaluation.rules import Rule

Vector = NDArray[np.float64]


def cut_for(rule: Rule, positive: Floats, negative: Floats) -> float:
    """Return the threshold from which on a score counts as present (``score >= threshold``).

    Only cuts at the score of a positive are compared: from there down to the next positive, only false calls
    are added. Among equally good cuts the highest wins.

    * f1: the highest 2·TP / (TP + FP + n_pos).
    * precision:P: the most positives with TP / (TP + FP) >= P; NaN where no cut reaches P.
    * recall:R: the highest cut with TP / n_pos >= R: the score of a positive itself.
    * cost:FN:FP: the lowest FN·(n_pos − TP) + FP·(false calls); calling nothing is a choice.

    But for recall, a cut lies half-way between the last score called present and the next known one, rounded
    to the precision of the scores, and never on or below that next one.

    Args:
        rule: not ``share``, which asks for no labels: see :func:`share_cut`.
        positive: (P,) scores of the known positives, in any order, finite.
        negative: (Q,) scores of the known absences; of no use to ``recall``.

    Returns:
        NaN without a positive, and for precision as said.

    Example:
        >>> scores = np.array([0.9, 0.6, 0.3]), np.array([0.5, 0.1])
        >>> [round(cut_for(Rule(*rule), *scores), 2) for rule in (("f1",), ("precision", (1.0,)))]
        [0.2, 0.55]
        >>> cut_for(Rule("recall", (0.5,)), *scores)
        0.6
    """
    if not len(positive):
        return np.nan
    positive, negative = np.sort(positive), np.sort(negative)
    cuts, first = np.unique(positive, return_index=True)  # rising
    true = len(positive) - first
    if rule.name == "recall":
        return float(cuts[np.flatnonzero(true / len(positive) >= rule.numbers[0])[-1]])
    false = len(negative) - np.searchsorted(negative, cuts)
    best = _best(rule, true, false, len(positive))
    if best is None:
        return np.nan
    if best == len(cuts):
        return _above(max(cuts[-1], negative[-1] if len(negative) else cuts[-1]))
    return _below(cuts[best], cuts[:best], negative)


def _best(rule: Rule, true: NDArray[np.int64], false: NDArray[np.int64], positives: int) -> int | None:
    """Return which cut is best; their number for a cut above all scores; None for none."""
    if rule.name == "f1":
        return _last_max(2 * true / (true + false + positives))
    if rule.name == "precision":
        reached = np.flatnonzero(true / (true + false) >= rule.numbers[0])
        return int(reached[0]) if len(reached) else None
    missed_cost, false_cost = rule.numbers
    cost = np.append(missed_cost * (positives - true) + false_cost * false, missed_cost * positives)
    return _last_max(-cost)


def _last_max(values: NDArray[np.floating[Any]]) -> int:
    return len(values) - 1 - int(np.argmax(values[::-1]))


def _below(cut: Any, lower: Floats, negative: Floats) -> float:
    """Return a threshold half-way between a cut and the next known score below it, if there is one."""
    under = negative[: np.searchsorted(negative, cut)]
    nexts = [part[-1] for part in (lower, under) if len(part)]
    if not nexts:
        return float(cut)
    middle = cut.dtype.type((float(cut) + float(max(nexts))) / 2)
    return float(middle if middle > max(nexts) else cut)


def _above(highest: Any) -> float:
    """Return the threshold that the highest known score just misses."""
    return float(np.nextafter(highest, highest.dtype.type(np.inf)))


def share_cut(scores: Floats, share: float) -> float:
    """Return the highest threshold at which at least a share of all scores is called present.

    That is the m-th highest score, m = ⌈share · N⌉; more are called only where scores equal it.

    Args:
        scores: (N,) finite, N at least 1.
        share: between 0 and 1.

    Example:
        >>> share_cut(np.array([0.1, 0.4, 0.2, 0.3]), 0.5)
        0.3
    """
    wanted = max(1, int(np.ceil(share * len(scores) - 1e-9)))
    place = len(scores) - wanted
    return float(np.partition(scores, place)[place])
