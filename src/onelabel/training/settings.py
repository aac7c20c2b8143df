"""Settings that both training loops share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from onelabel.io.errors import OneLabelError
from onelabel.training.stopping import Stop

_LEAST = {
    "epochs": 1, "batch_size": 1, "boostlu": 1, "weight_decay": 0, "seed": 0, "ema": 0, "freeze_epochs": 0,
    "head_width": 1,
}  # fmt: skip
_LARGEST_RATE = 1e10  # far from anything useful, and from what float32 cannot hold


@dataclass(frozen=True)
class Settings:
    """How long, how fast and how chosen.

    Args:
        epochs: passes over the training images, 1 or more.
        batch_size: images per step, 1 or more.
        optimizer: "adam" or "sgd", see :func:`~onelabel.training.optimizers.make_optimizer`.
        lr: learning rate, above 0 and at most 1e10.
        head_lr_multiplier: of the head's learning rate when a network is fine-tuned, likewise.
        weight_decay: times half the squared weights, added to the loss; 0 as published.
        head_init: bias of the head: "zero", or "prior" (the log-odds of the share of observed positives).
        boostlu: α of BoostLU, 1 or more; 5 as published, 1 for none; see
            :class:`~onelabel.models.heads.LinearHead`.
        head: "linear", or "mlp" for one hidden layer, see :class:`~onelabel.models.heads.MLPHead`; BoostLU
            is for linear heads.
        head_width: width of that hidden layer, 1 or more.
        select: "observed", "full" or "last": how the epoch to keep is chosen.
        stop: when to end before the last epoch, see :func:`~onelabel.training.stopping.why_stop`; needs a
            selection score.
        ema: decay of the moving average of the weights that is scored and kept, from 0 to below 1; 0 for
            none. See :class:`~onelabel.training.averaging.Average`.
        freeze_epochs: epochs at the beginning in which only the head trains, in fine-tuning. ``gr`` and kin
            have a number of their own.
        freeze_batchnorm: whether the network stays in evaluation mode in those epochs: BatchNorm keeps and
            uses its statistics, and there is no dropout. False as in the released code of GR: only the
            weights stay, and the statistics move.
        mirror: train on mirrored images too, each with probability ½.
        seed: of the initial weights, the order of the images and the mirroring.

    Raises:
        OneLabelError: a value outside its range.

    Example:
        >>> Settings(epochs=0)
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: --epochs must be 1 or more, not 0
    """

    epochs: int = 25
    batch_size: int = 16
    optimizer: Literal["adam", "sgd"] = "adam"
    lr: float = 1e-3
    head_lr_multiplier: float = 1.0
    weight_decay: float = 0.0
    head_init: Literal["zero", "prior"] = "zero"
    boostlu: float = 1.0
    head: Literal["linear", "mlp"] = "linear"
    head_width: int = 512
    select: Literal["observed", "full", "last"] = "observed"
    stop: Stop = "never"
    ema: float = 0.0
    freeze_epochs: int = 0
    freeze_batchnorm: bool = True
    mirror: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not least <= value < math.inf:
                raise OneLabelError(f"--{name.replace('_', '-')} must be {least} or more, not {value}")
        for name in ("lr", "head_lr_multiplier"):
            if not 0 < getattr(self, name) <= _LARGEST_RATE:
                raise OneLabelError(
                    f"--{name.replace('_', '-')} must be above 0 and at most {_LARGEST_RATE:g}, "
                    f"not {getattr(self, name)}"
                )
        if not self.ema < 1:
            raise OneLabelError(f"--ema must be below 1, not {self.ema}; 0.9997 is usual")
        if self.stop != "never" and self.select == "last":
            raise OneLabelError(
                f"--stop {self.stop} watches the selection score, and --select last has none: choose "
                "--select full or observed, or leave --stop out"
            )
        if self.head != "linear" and self.boostlu != 1:
            raise OneLabelError(
                "BoostLU raises the scores of a linear head at each position: with --head mlp leave "
                "--boostlu out"
            )
