"""What goes on from epoch to epoch, whichever loop takes the steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from onelabel.methods.base import ScoreAll
from onelabel.models.heads import LinearHead
from onelabel.training.averaging import Average
from onelabel.training.common import Log, Trained, require_finite
from onelabel.training.recipe import Recipe
from onelabel.training.stopping import why_stop

Score = Callable[[], NDArray[np.float32] | None]
"""Scores the validation rows with the weights as they are: logits (N, C), or None without such rows."""


class Course:
    """The epochs of one run: their beginning, their end, and which is kept.

    What is random inside an epoch depends on seed and epoch only, so that a resumed run repeats it.

    Args:
        recipe: what is trained, fresh.
        network: all weights that are kept; it must be on its device already.
        log: called with a dictionary after each epoch.
    """

    def __init__(self, recipe: Recipe, network: nn.Module, log: Log) -> None:
        self.recipe, self.network, self.log = recipe, network, log
        self.keeper = recipe.keeper()
        decay = recipe.settings.ema
        self.average = Average(network, decay) if decay else None
        self.epoch, self.began = 0, 0.0
        self.why: str | None = None

    @property
    def over(self) -> bool:
        """Whether no epoch is left, or the stopping rule has spoken."""
        return self.why is not None or self.epoch >= self.recipe.settings.epochs

    def begin(self) -> int:
        """Begin the next epoch; return its number, from 1."""
        self.epoch += 1
        self.began = time.perf_counter()
        torch.manual_seed(epoch_seed(self.recipe.settings.seed, self.epoch))
        self.recipe.method.start_epoch(self.epoch)
        return self.epoch

    def stepped(self) -> None:
        """Take note of a step."""
        if self.average is not None:
            self.average.update()

    def end(self, loss: float, score_all: ScoreAll, score: Score) -> None:
        """End the epoch: update the method, score, keep the epoch if it is the best, record it.

        Methods see the scores of the weights themselves; validation is scored, and weights are kept, with
        the average where there is one.

        Args:
            loss: mean loss of the epoch.
            score_all: for :meth:`Method.end_epoch`.
            score: scores the validation rows.

        Raises:
            OneLabelError: the loss became non-finite.
        """
        require_finite(loss, self.epoch)
        self.recipe.method.end_epoch(score_all)
        with nullcontext() if self.average is None else self.average.in_place():
            chosen = self.keeper.offer(self.epoch, self.network.state_dict(), score())
        self.why = why_stop(self.recipe.settings.stop, self.keeper.scores)
        seconds = time.perf_counter() - self.began
        self.log({"epoch": self.epoch, "loss": loss, "selection": chosen, "seconds": seconds})

    def result(self, head: LinearHead) -> Trained:
        """Put the kept weights into the network, and hand over."""
        keeper = self.keeper
        self.network.load_state_dict(keeper.state)
        epochs = self.recipe.settings.epochs
        ended = f"all {epochs} epochs were run" if self.why is None else f"stopped after epoch {self.epoch}"
        return Trained(
            head, keeper.epoch, keeper.score, keeper.logits, ": ".join(filter(None, (ended, self.why)))
        )


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the seed of the random numbers inside the network (dropout) for one epoch.

    Example:
        >>> epoch_seed(0, 1) == epoch_seed(0, 1), epoch_seed(0, 1) == epoch_seed(1, 0)
        (True, False)
    """
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
