"""What a comparison compares, under which budget, and how it judges."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from onelabel.io.errors import OneLabelError

HEAD_INITS = ("zero", "prior")
"""Starts of the head's bias that every method tries: they move a method by more than methods differ."""

_AT_LEAST = {"seeds": 1, "epochs": 1, "batch_size": 1, "workers": 0, "max_pixels": 1}


@dataclass(frozen=True)
class Plan:
    """Everything that decides the results of a comparison, but for the data.

    Args:
        methods: names of the catalogue, or ``module:Class``.
        sources: where pseudo-labels come from; methods that need some run with each.
        seeds: number of runs of each method, with seeds 0, 1, …; methods share draws and splits of a seed.
        simulate: labels are complete: one positive of each training image is drawn, with the seed.
        epochs: of every run.
        batch_size: images per step.
        lrs: learning rates to try; with ``tune``, the ends of the range.
        tune: trials of Optuna for each run; 0 tries every learning rate with both starts of the head.
        select: what chooses epoch and settings: "observed" (pu_auc on labels the method may see), or "full"
            (mAP on completely labelled validation images).
        test_fraction: share of the images that is drawn for testing where no split names test images.
        val_fraction: share of the others that chooses epoch and settings, where no split names them.
        expected_positives: expected number of labels per image, or None.
        features: store or ``.npz`` file of features; None to fine-tune.
        backbone: network to fine-tune, or None.
        images: folder of the photos, to fine-tune.
        vlm_store: store of a vision-language model, for sources that read one.
        template: prompt with ``{}`` for the name of a class.
        rule: what decides on the scores of sources, where they are not to do so.
        mirror: train on mirrored images too.
        workers: extra processes that read photos.
        max_pixels: largest photo.

    Raises:
        OneLabelError: a value out of its range.

    Example:
        >>> Plan(("an",), seeds=0)
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: --seeds must be 1 or more, not 0
    """

    methods: tuple[str, ...]
    sources: tuple[str, ...] = ()
    seeds: int = 5
    simulate: bool = False
    epochs: int = 25
    batch_size: int = 16
    lrs: tuple[float, ...] = (1e-3,)
    tune: int = 0
    select: Literal["observed", "full"] = "observed"
    test_fraction: float = 0.2
    val_fraction: float = 0.2
    expected_positives: float | None = None
    features: str | None = None
    backbone: str | None = None
    images: str | None = None
    vlm_store: str | None = None
    template: str = "a photo of a {}."
    rule: Mapping[str, Any] | None = None
    mirror: bool = True
    workers: int = 0
    max_pixels: int = 100_000_000

    def __post_init__(self) -> None:
        for name, least in _AT_LEAST.items():
            value = getattr(self, name)
            if value < least:
                raise OneLabelError(f"--{name.replace('_', '-')} must be {least} or more, not {value}")
        for name in ("test_fraction", "val_fraction"):
            if not 0 < getattr(self, name) < 1:
                option = f"--{name.replace('_', '-')}"
                raise OneLabelError(f"{option} must be above 0 and below 1, not {getattr(self, name)}")
        if not self.lrs or not all(0 < lr < math.inf for lr in self.lrs):
            raise OneLabelError("--lrs must be numbers above 0, separated by commas, such as 1e-3,1e-2")
        if self.tune and self.tune < len(HEAD_INITS):
            raise OneLabelError(
                f"--tune must be {len(HEAD_INITS)} or more, as both starts of the head are tried"
            )
        if self.tune and (len(self.lrs) != 2 or self.lrs[0] >= self.lrs[1]):
            raise OneLabelError("with --tune, --lrs is the range to look in: two numbers, such as 1e-4,1e-1")

    @property
    def trials(self) -> int:
        """How often each method is trained with each seed."""
        return self.tune or len(self.lrs) * len(HEAD_INITS)

    def to_dict(self) -> dict[str, Any]:
        """Return all settings, JSON-like."""
        found = asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}
