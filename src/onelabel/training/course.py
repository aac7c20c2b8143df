"""What goes on from epoch to epoch, whichever loop takes the steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from onelabel.io.errors import OneLabelError
from onelabel.methods.base import ScoreAll
from onelabel.models.heads import LinearHead
from onelabel.training.averaging import Average
from onelabel.training.checkpoint import Checkpoints
from onelabel.training.common import Log, Trained, no_log
from onelabel.training.recipe import Recipe
from onelabel.training.sharding import all_finite
from onelabel.training.snapshot import restore, take
from onelabel.training.stopping import why_stop

Score = Callable[[], NDArray[np.float32] | None]
"""Scores the validation rows with the weights as they are: logits (N, C), or None without such rows."""

_ADVICE = "lower --lr; with --precision 16 or bf16, try 32"


class Scaler(Protocol):
    """What scales the loss in half precision: numbers that a checkpoint must hold."""

    def state_dict(self) -> dict[str, Any]:
        """Return the numbers."""

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Take them over."""


class Course:
    """The epochs of one run: their beginning, their end, and which is kept.

    What is random inside an epoch depends on seed and epoch only, so that a resumed run repeats it.

    Args:
        recipe: what is trained, fresh.
        network: all weights that are kept; it must be on its device already.
        optimizer: of these weights; None where nothing is left to train.
        log: called with a dictionary after each epoch.
        checkpoints: where the run is saved, and what it goes on from; or None.
        scaler: of half precision, or None.

    Raises:
        OneLabelError: the checkpoint does not fit.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Module,
        optimizer: Optimizer | None,
        log: Log = no_log,
        checkpoints: Checkpoints | None = None,
        scaler: Scaler | None = None,
    ) -> None:
        self.recipe, self.network, self.optimizer, self.scaler = recipe, network, optimizer, scaler
        self.log, self.checkpoints = log, checkpoints
        self.keeper = recipe.keeper()
        decay = recipe.settings.ema
        self.average = Average(network, decay) if decay else None
        self.epoch, self.step, self.began, self.total = 0, 0, 0.0, 0.0
        self.why: str | None = None
        self.history: list[dict[str, Any]] = []
        if checkpoints is not None and checkpoints.saved is not None:
            restore(self, checkpoints.saved)

    @property
    def over(self) -> bool:
        """Whether no epoch is left, or the stopping rule has spoken."""
        return self.why is not None or self.epoch >= self.recipe.settings.epochs

    def begin(self) -> int:
        """Begin the next epoch; return its number, from 1."""
        self.epoch += 1
        self.step, self.total, self.began = 0, 0.0, time.perf_counter()
        torch.manual_seed(epoch_seed(self.recipe.settings.seed, self.epoch))
        self.recipe.method.start_epoch(self.epoch)
        return self.epoch

    def add(self, value: Tensor, index: Tensor) -> None:
        """Take note of the loss of a batch, before the step.

        Args:
            value: the loss, scalar.
            index: rows of the training table, (B,).

        Raises:
            OneLabelError: it is no finite number; says where, with which images, and what to change.
        """
        loss = float(value.detach())
        self.step += 1
        if not math.isfinite(loss):
            ids = self.recipe.parts.train.ids
            names = ", ".join(ids.text(int(row)) for row in index[:8])
            more = f" and {len(index) - 8} more" if len(index) > 8 else ""
            self._stop(f"the loss became {loss} in epoch {self.epoch}, step {self.step}, on {names}{more}")
        self.total += loss * len(index)

    def stepped(self) -> None:
        """Take note of a step."""
        if self.average is not None:
            self.average.update()

    def end(self, score_all: ScoreAll, score: Score) -> None:
        """End the epoch: update the method, score, keep the epoch if it is the best, record and save it.

        Methods see the scores of the weights themselves; validation is scored, and weights are kept, with
        the average where there is one.

        Args:
            score_all: for :meth:`Method.end_epoch`.
            score: scores the validation rows.

        Raises:
            OneLabelError: the last step left weights that are no finite numbers, or the checkpoint cannot be
                written.
        """
        if not all_finite(self.network):
            self._stop(f"the weights are no finite numbers after step {self.step} of epoch {self.epoch}")
        self.recipe.method.end_epoch(score_all)
        with nullcontext() if self.average is None else self.average.in_place():
            chosen = self.keeper.offer(self.epoch, self.network.state_dict(), score())
        self.why = why_stop(self.recipe.settings.stop, self.keeper.scores)
        loss, seconds = self.total / len(self.recipe.parts.train), time.perf_counter() - self.began
        entry = {"epoch": self.epoch, "loss": loss, "selection": chosen, "seconds": seconds}
        self.history.append(entry)
        self.log(entry)
        if self.checkpoints is not None:
            leads = self.checkpoints.team.leads
            self.checkpoints.offer(lambda: take(self, keep=leads))

    def result(self, network: nn.Module, head: LinearHead) -> Trained:
        """Give the kept weights to a network, and hand over.

        Args:
            network: the trained one, or what it was before its weights were shared out.
            head: its classifier.
        """
        keeper = self.keeper
        network.load_state_dict(keeper.state, assign=True)
        ended = f"all {self.epoch} epochs were run"
        if self.why is not None:
            ended = f"stopped after epoch {self.epoch}: {self.why}"
        return Trained(head, keeper.epoch, keeper.score, keeper.logits, ended)

    def _stop(self, problem: str) -> None:
        kept = "" if self.checkpoints is None else f" ({self.checkpoints.kept()})"
        raise OneLabelError(f"{problem}: {_ADVICE}{kept}")


def epoch_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """Return the seed of the random numbers inside the network (dropout) for one epoch and process.

    Example:
        >>> epoch_seed(0, 1) == epoch_seed(0, 1), epoch_seed(0, 1) == epoch_seed(1, 0)
        (True, False)
    """
    parts = (seed, epoch, rank) if rank else (seed, epoch)
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
