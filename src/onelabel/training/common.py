"""What both training loops do alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelabel.labels.table import LabelTable
from onelabel.models.heads import LinearHead

Log = Callable[[dict[str, Any]], None]


def no_log(entry: dict[str, Any]) -> None:
    """Log nothing."""


@dataclass(frozen=True)
class Trained:
    """What a training loop hands over.

    Args:
        head: the classifier, with the weights of the kept epoch.
        epoch: the kept epoch, from 1.
        score: its selection score; NaN with ``--select last``.
        val_logits: its logits of the validation rows (N, C), or None.
        ended: why the run ended, in words.
    """

    head: LinearHead
    epoch: int
    score: float
    val_logits: NDArray[np.float32] | None
    ended: str = ""


def observed_prior(table: LabelTable) -> NDArray[np.float64]:
    """Return the share of images where each class is marked present, (C,), kept off 0 and 1.

    With one known label per image this is a lower bound of the true share.
    """
    positive = table.counts().positive.astype(np.float64)
    return (positive + 0.5) / (len(table) + 1)
