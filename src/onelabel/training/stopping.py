"""When a run ends before its last epoch: the stopping rules of the papers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Stop = Literal["never", "no-gain", "drop-2", "drop-3", "drop-2-or-2-misses"]


@dataclass(frozen=True)
class _Rule:
    """A drop below the best score, in points (hundredths), and epochs in a row without a new best."""

    drop: float | None = None
    misses: int | None = None


_RULES: dict[Stop, _Rule] = {
    "never": _Rule(),
    "no-gain": _Rule(misses=1),
    "drop-2": _Rule(drop=2.0),
    "drop-3": _Rule(drop=3.0),
    "drop-2-or-2-misses": _Rule(drop=2.0, misses=2),
}


def why_stop(stop: Stop, scores: Sequence[float]) -> str | None:
    """Return why a run is to end after these epochs, or None while it is to go on.

    * ``never``: all epochs.
    * ``no-gain``: the first epoch that is no new best.
    * ``drop-2``, ``drop-3``: the score lies more than 2 or 3 points below the best one.
    * ``drop-2-or-2-misses``: more than 2 points below, or 2 epochs in a row without a new best.

    A point is 0.01 of the selection score, which in the papers is the mAP of completely labelled validation
    images (``--select full``). Every epoch counts, those of a linear phase too.

    Source: released codes. ``no-gain``: Zhou et al. (2022), Correr-Zhou/SPML-AckTheUnknown (ae1ccaf), where a
    run may so end before its first pseudo-label. ``drop-3``: Kim et al. (2022), snucml/LargeLossMatters
    (5025d16). ``drop-2``: Chen et al. (2024), the GR loss. ``drop-2-or-2-misses``: Tran et al. (2025),
    Fsoft-AIC/AEVLP (0bad82a).

    Args:
        stop: name of the rule.
        scores: selection score of each epoch so far.

    Example:
        >>> why_stop("drop-2", [0.80, 0.79])
        >>> why_stop("drop-2", [0.80, 0.79, 0.77])
        'the selection score 0.770 of epoch 3 lies more than 2 points below the 0.800 of epoch 1'
        >>> why_stop("no-gain", [0.80, 0.80])
        '1 epoch without a selection score above the 0.800 of epoch 1'
    """
    rule = _RULES[stop]
    if not scores:
        return None
    best = max(range(len(scores)), key=lambda epoch: scores[epoch])
    misses, drop = len(scores) - 1 - best, 100 * (scores[best] - scores[-1])
    reference = f"the {scores[best]:.3f} of epoch {best + 1}"
    if rule.drop is not None and drop > rule.drop:
        last = f"the selection score {scores[-1]:.3f} of epoch {len(scores)}"
        return f"{last} lies more than {rule.drop:g} points below {reference}"
    if rule.misses is not None and misses >= rule.misses:
        epochs = "1 epoch" if misses == 1 else f"{misses} epochs in a row"
        return f"{epochs} without a selection score above {reference}"
    return None
