"""Which epoch is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from onelabel.evaluation.selection import require_selectable, selection_score
from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.training.sharding import whole


@dataclass
class Keeper:
    """Keeps the weights and validation scores of the best epoch so far; of equals, the first.

    Args:
        select: "observed", "full" or "last", see :mod:`onelabel.evaluation.selection`.
        val: labels of the validation rows; None where there are none, which only "last" allows.

    Attributes:
        epoch: the kept epoch, from 1.
        score: its score; NaN with "last".
        state: its weights.
        logits: its logits of the validation rows, or None.
        scores: the score of every epoch so far; empty with "last".

    Raises:
        OneLabelError: ``select`` needs validation rows and there are none.
    """

    select: str
    val: LabelTable | None
    epoch: int = 0
    score: float = float("-inf")
    state: dict[str, Tensor] = field(default_factory=dict)
    logits: NDArray[np.float32] | None = None
    scores: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.val is None and self.select != "last":
            raise OneLabelError(
                f"--select {self.select} needs validation images: give --val FILE or --val-fraction, "
                "or --select last"
            )
        self._labels = None if self.val is None else self.val.dense()
        if self._labels is not None:
            require_selectable(self.select, self._labels)

    def offer(
        self, epoch: int, state: Mapping[str, Tensor], logits: NDArray[np.float32] | None
    ) -> float | None:
        """Take the weights of ``epoch`` if they are the best; return the epoch's score, None with "last".

        Args:
            epoch: counts from 1.
            state: weights after the epoch; copied if kept.
            logits: of the validation rows, (N, C).
        """
        score = None
        if self.select != "last" and logits is not None and self._labels is not None:
            score = selection_score(self.select, logits, self._labels)
        if score is not None:
            self.scores.append(score)
        if score is None or score > self.score or not self.state:
            self.epoch, self.score = epoch, float("nan") if score is None else score
            self.state = {name: whole(value.detach()).cpu().clone() for name, value in state.items()}
            self.logits = logits
        return score
