"""Settings that both training loops share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from onelabel.io.errors import OneLabelError

Initialisation = Literal["zero", "prior"]


@dataclass(frozen=True)
class Settings:
    """How long, how fast and how chosen.

    Args:
        epochs: passes over the training images, 1 or more.
        batch_size: images per step, 1 or more.
        lr: learning rate of Adam, above 0.
        weight_decay: of Adam; 0 as published.
        head_init: bias of the head: "zero", or "prior" (the log-odds of the share of observed positives).
        select: "observed", "full" or "last": how the epoch to keep is chosen.
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
    lr: float = 1e-3
    weight_decay: float = 0.0
    head_init: Initialisation = "zero"
    select: Literal["observed", "full", "last"] = "observed"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("weight_decay", 0), ("seed", 0)):
            value = getattr(self, name)
            if value < least:
                raise OneLabelError(f"--{name.replace('_', '-')} must be {least} or more, not {value}")
        if not 0 < self.lr < float("inf"):
            raise OneLabelError(f"--lr must be above 0, not {self.lr}")
