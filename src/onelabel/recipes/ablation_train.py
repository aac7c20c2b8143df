"""One cell of an ablation: a training, and the mAP of the epoch that it kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from onelabel.evaluation.metrics import mean_average_precision
from onelabel.labels.table import LabelTable
from onelabel.models.backbones import load_backbone
from onelabel.recipes.ablation_studies import Axis, Cell
from onelabel.training.features import FeatureRows
from onelabel.training.finetune import fine_tune
from onelabel.training.first_weights import at_photo_size
from onelabel.training.heads import score, train_head
from onelabel.training.parts import Parts
from onelabel.training.photo_network import PhotoNetwork
from onelabel.training.photo_rows import photo_batches, photo_rows
from onelabel.training.recipe import Recipe, make_recipe
from onelabel.training.settings import Settings
from onelabel.vlm.features import FeatureStore

if TYPE_CHECKING:
    from onelabel.training.lightning_loop import Precision

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Scored:
    """What a training gave.

    Args:
        epoch: that was kept.
        val: logits of the validation images, or None.
        test: of the test images, or None.
    """

    epoch: int
    val: Logits | None
    test: Logits | None


Trainer = Callable[[Recipe], Scored]


@dataclass(frozen=True)
class Bench:
    """What all cells of a study share.

    Args:
        parts: training and validation images.
        test: test images, or None.
        method: name and parameters.
        source: name and parameters.
        settings: of the training, but for the seed.
        vlm_store: store of the vision-language model.
        template: prompt with ``{}`` for the name of a class.
    """

    parts: Parts
    test: LabelTable | None
    method: Mapping[str, Any]
    source: Mapping[str, Any]
    settings: Settings
    vlm_store: str
    template: str

    def recipe(self, cell: Cell, axes: Sequence[Axis]) -> Recipe:
        """Return what the cell trains.

        Raises:
            OneLabelError: a value out of range, or a store that does not fit.
        """
        chosen = {"method": dict(self.method), "source": dict(self.source)}
        for axis, value in zip(axes, cell.values, strict=True):
            chosen[axis.part][axis.parameter] = value
        return make_recipe(
            self.parts, chosen["method"], replace(self.settings, seed=cell.seed), source=chosen["source"],
            vlm_store=self.vlm_store, template=self.template,
        )  # fmt: skip

    def run(self, cell: Cell, axes: Sequence[Axis], trainer: Trainer) -> dict[str, Any]:
        """Train one cell; return kept epoch, mAP (shares) and seconds, JSON-like."""
        began = time.perf_counter()
        scored = trainer(self.recipe(cell, axes))
        return {
            **{axis.parameter: value for axis, value in zip(axes, cell.values, strict=True)},
            "seed": cell.seed,
            "epoch": scored.epoch,
            "val_map": _map(scored.val, self.parts.val),
            "test_map": _map(scored.test, self.test),
            "seconds": round(time.perf_counter() - began, 3),
        }


def on_features(store: FeatureStore, parts: Parts, test: LabelTable | None) -> Trainer:
    """Return a trainer of heads on cached features.

    Raises:
        OneLabelError: images are not in the store.
    """
    train = FeatureRows(store, parts.train)
    val = None if parts.val is None else FeatureRows(store, parts.val)
    tested = None if test is None else FeatureRows(store, test)

    def trainer(recipe: Recipe) -> Scored:
        trained = train_head(train, val, recipe)
        logits = None if tested is None else score(trained.head, tested)
        return Scored(trained.epoch, trained.val_logits, logits)

    return trainer


@dataclass(frozen=True)
class Photos:
    """How whole networks are trained.

    Args:
        backbone: timm name or ``local-dir:PATH``.
        images: folder of the photos.
        photo_size: pixels a side, or None for the network's own.
        precision: "32", "bf16" or "16".
        workers: extra processes that read photos.
        max_pixels: larger photos are refused.
    """

    backbone: str
    images: str
    photo_size: int | None
    precision: Precision
    workers: int
    max_pixels: int

    def trainer(self, parts: Parts, test: LabelTable | None) -> Trainer:
        """Return a trainer of whole networks; each cell begins with the network's own weights."""

        def trainer(recipe: Recipe) -> Scored:
            backbone = load_backbone(self.backbone)
            if self.photo_size is not None:
                backbone = at_photo_size(backbone, self.photo_size)
            tables = [parts.train, parts.val, test]
            train, val, tested = (
                None
                if table is None
                else photo_rows(table, self.images, backbone.preprocess, self.max_pixels)
                for table in tables
            )
            assert train is not None
            trained = fine_tune(recipe, backbone, train, val, precision=self.precision, workers=self.workers)
            if tested is None:
                return Scored(trained.epoch, trained.val_logits, None)
            network = PhotoNetwork(backbone, trained.head)
            if torch.accelerator.is_available():
                network.to(torch.accelerator.current_accelerator())
            batches = photo_batches(tested, recipe.settings.batch_size, self.workers)
            return Scored(trained.epoch, trained.val_logits, network.all_scores(batches, len(tested)))

        return trainer


def _map(logits: Logits | None, table: LabelTable | None) -> float | None:
    if logits is None or table is None:
        return None
    value = mean_average_precision(logits, table.dense()).value
    return value if np.isfinite(value) else None
