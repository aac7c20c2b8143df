"""Choosing an epoch or a model from validation labels that may be partial.

With positives alone every masked precision is 1 for every model. What partial labels can show is whether
images marked present score above images where nobody looked; the numbers that do so are named ``pu_…``
(positive against unknown) and are never called mAP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from onelabel.evaluation.blocks import Floats, Labels, Matrix, column_blocks, row_blocks, shape_of
from onelabel.evaluation.metrics import mean_average_precision, support
from onelabel.evaluation.top_k import first_columns
from onelabel.io.errors import OneLabelError, unknown_name

Selection = Literal["observed", "full", "last"]
"""How the epoch to keep is chosen."""

_SENTENCES: dict[str, str] = {
    "observed": (
        "Chosen by pu_auc: the chance that an image marked present scores above an image where the class is "
        "unknown, averaged over classes. It orders models on the labels you have. It is not mAP, it says "
        "nothing about precision, thresholds or calibration, and a perfect model stays below 1, because some "
        "unknown images do show the class."
    ),
    "full": (
        "Chosen by mean average precision on validation labels with known absences, as the papers do. It "
        "shows what it says, and it needs labels that a user with one label per image does not have: a "
        "result chosen so is not what partial labels alone would give."
    ),
    "last": (
        "The last epoch is kept and nothing was compared: no validation label chose it, and nothing shows "
        "whether an earlier epoch was better."
    ),
}


@dataclass(frozen=True)
class PuAuc:
    """Ranking of observed positives against unknown images.

    Attributes:
        value: mean over the classes with at least one of each; NaN when there is none.
        per_class: (C,) in [0, 1], NaN where not defined; 0.5 is chance.
        classes_used: how many classes are in the mean.
    """

    value: float
    per_class: NDArray[np.float64]
    classes_used: int


def pu_auc(scores: Matrix, labels: Matrix) -> PuAuc:
    """Return, per class, the probability that an observed positive scores above an image of unknown label.

    pu_auc_c = mean over positives p and unknown u of [s_p > s_u] + ½ [s_p = s_u]. Known absences are not
    used. Where a share π of the unknown images shows the class and the observed positives are a random part
    of all, it equals (1 − π)·AUC + π/2, AUC being that against true absences: the order of models is the
    same, the value is lower (Menon et al., "Learning from Corrupted Binary Labels via Class-Probability
    Estimation", ICML 2015, https://proceedings.mlr.press/v37/menon15.html).

    Args:
        scores: (N, C) logits or probabilities of images the model was **not** trained on, finite.
        labels: (N, C) signed integers, +1 present, 0 unknown, -1 absent.

    Raises:
        OneLabelError: as :func:`onelabel.evaluation.average_precision`.

    Example:
        >>> scores = np.array([[0.9], [0.5], [0.5], [0.1]])
        >>> labels = np.array([[1], [1], [0], [0]], dtype=np.int8)
        >>> pu_auc(scores, labels).value
        0.875
    """
    per_class = np.full(shape_of(scores, labels)[1], np.nan)
    for columns, block, known in column_blocks(scores, labels):
        per_class[columns] = [_class_pu_auc(row, marks) for row, marks in zip(block, known, strict=True)]
    used = per_class[~np.isnan(per_class)]
    return PuAuc(float(used.mean()) if len(used) else np.nan, per_class, len(used))


def _class_pu_auc(scores: Floats, labels: Labels) -> float:
    positives, unknown = np.sort(scores[labels > 0]), np.sort(scores[labels == 0])
    if not len(positives) or not len(unknown):
        return np.nan
    below = np.searchsorted(unknown, positives, side="left")
    not_above = np.searchsorted(unknown, positives, side="right")
    return float((below + not_above).sum() / (2 * len(positives) * len(unknown)))


def pu_recall_at_k(scores: Matrix, labels: Matrix, k: int) -> float:
    """Return the share of observed positives among the k highest-scoring classes of their image.

    Every class is ranked, known or not; equal scores keep the order of the columns. NaN without a positive.

    Args:
        scores: (N, C) logits or probabilities on one scale for all classes, finite.
        labels: (N, C) signed integers, +1 present, 0 unknown, -1 absent.
        k: at least 1.

    Raises:
        OneLabelError: as :func:`onelabel.evaluation.average_precision`.

    Example:
        >>> labels = np.array([[1, 0, 0], [0, 0, 1]], dtype=np.int8)
        >>> pu_recall_at_k(np.array([[0.5, 0.9, 0.1], [0.5, 0.9, 0.1]]), labels, 2)
        0.5
    """
    found, positives = 0, 0
    for _, block, known in row_blocks(scores, labels):
        found += int(np.take_along_axis(known > 0, first_columns(block, k), axis=1).sum())
        positives += int((known > 0).sum())
    return found / positives if positives else np.nan


def selection_sentence(how: str) -> str:
    """Return what a selection rule is, what it can show and what it cannot, for every output that names it.

    Raises:
        OneLabelError: no such rule.

    Example:
        >>> selection_sentence("last")
        'The last epoch is kept and nothing was compared: ...'
    """
    if how not in get_args(Selection):
        raise unknown_name("--select", how, get_args(Selection))
    return _SENTENCES[how]


def require_selectable(how: str, labels: Matrix) -> None:
    """Check, before the first epoch, that the validation labels can answer what ``how`` asks.

    Raises:
        OneLabelError: ``full`` and a class has unknown images but no known absence, or no class has both
            kinds; ``observed`` and no class has both a positive and an unknown image; no such rule.

    Example:
        >>> require_selectable("full", np.array([[1, 0], [0, 1]], dtype=np.int8))
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: --select full needs ...
    """
    selection_sentence(how)
    counts = support(labels)
    if how == "full":
        missing = int((~counts.judgeable).sum())
        if missing:
            raise OneLabelError(
                f"--select full needs fully labelled validation images: {missing} of {len(counts.positive)} "
                "classes have unknown images and none known to be absent. Use --select observed, or give "
                "complete labels (--exhaustive, if what is not marked is absent)"
            )
        if not ((counts.positive > 0) & (counts.negative > 0)).any():
            raise OneLabelError(
                "--select full needs a class that is present in one validation image and absent in another; "
                "there is none. Give more validation images"
            )
    if how == "observed" and not ((counts.positive > 0) & (counts.unknown > 0)).any():
        if not counts.unknown.any():
            raise OneLabelError(
                "--select observed ranks images marked present above unknown ones, and nothing is unknown in "
                "these validation labels. They are complete: use --select full"
            )
        raise OneLabelError(
            "--select observed needs a class that is marked present in one validation image and unknown in "
            "another; there is none. Give more validation images, or use --select last"
        )


def selection_score(how: str, scores: Matrix, labels: Matrix) -> float:
    """Return the number to maximise over epochs: pu_auc, mAP, or NaN for ``last``, which compares nothing.

    Args:
        how: "observed", "full" or "last".
        scores: (N, C) logits or probabilities of the validation images, finite.
        labels: (N, C) signed integers, +1 present, 0 unknown, -1 absent.

    Raises:
        OneLabelError: as :func:`require_selectable` and :func:`onelabel.evaluation.average_precision`.

    Example:
        >>> scores = np.array([[0.9], [0.5], [0.1]])
        >>> selection_score("observed", scores, np.array([[1], [0], [0]], dtype=np.int8))
        1.0
        >>> selection_score("full", scores, np.array([[-1], [1], [-1]], dtype=np.int8))
        0.5
    """
    require_selectable(how, labels)
    if how == "last":
        return np.nan
    return pu_auc(scores, labels).value if how == "observed" else mean_average_precision(scores, labels).value
