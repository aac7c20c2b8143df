"""One training, on features or on photos, and its scores of other images."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from onelabel.compare.contenders import Contender
from onelabel.compare.plan import Plan
from onelabel.compare.problem import Problem
from onelabel.compare.search import Setting
from onelabel.labels.table import ClassInfo, LabelTable
from onelabel.methods.registry import create
from onelabel.models.backbones import Backbone, load_backbone
from onelabel.models.bundle import Bundle, Thresholds
from onelabel.models.photos import read_photos
from onelabel.sources.base import STATIC, Source
from onelabel.sources.registry import STORE, load, reads_store, spelled_out
from onelabel.training.common import Trained
from onelabel.training.features import FeatureRows
from onelabel.training.find_photos import find_photos
from onelabel.training.finetune import fine_tune
from onelabel.training.heads import score, train_head
from onelabel.training.opening import Wanted, open_wanted
from onelabel.training.photo_rows import photo_rows
from onelabel.training.recipe import Recipe
from onelabel.training.settings import Settings
from onelabel.vlm.features import open_features

Scores = NDArray[np.float32]
Score = Callable[[LabelTable], Scores]
_ROWS_AT_ONCE = 4096


class Trainer(Protocol):
    """Trains what a recipe says."""

    def train(self, recipe: Recipe) -> tuple[Trained, Score]:
        """Return what came out, and a function that scores the images of a table."""


class HeadTrainer:
    """Trains a linear head on features.

    Args:
        features: store or ``.npz`` file.
    """

    def __init__(self, features: str) -> None:
        self.store = open_features(features)

    def train(self, recipe: Recipe) -> tuple[Trained, Score]:
        """Train; the epoch is chosen on the validation images."""
        assert recipe.parts.val is not None
        train, val = (FeatureRows(self.store, table) for table in (recipe.parts.train, recipe.parts.val))
        trained = train_head(train, val, recipe)
        return trained, lambda table: score(trained.head, FeatureRows(self.store, table))


class NetworkTrainer:
    """Fine-tunes a network on photos.

    Args:
        plan: network, photos, and how they are read.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def train(self, recipe: Recipe) -> tuple[Trained, Score]:
        """Train; the epoch is chosen on the validation images."""
        assert recipe.parts.val is not None and self.plan.backbone is not None
        backbone = load_backbone(self.plan.backbone)
        root, tables = str(self.plan.images), (recipe.parts.train, recipe.parts.val)
        with redirect_stdout(io.StringIO()):  # the same notes in each of many runs
            train, val = (photo_rows(t, root, backbone.preprocess, self.plan.max_pixels) for t in tables)
        trained = fine_tune(recipe, backbone, train, val, workers=self.plan.workers)
        return trained, lambda table: self._score(trained, backbone, table)

    def _score(self, trained: Trained, backbone: Backbone, table: LabelTable) -> Scores:
        bundle = Bundle(table.classes, trained.head, backbone, Thresholds.not_calibrated(table.num_classes))
        root = Path(str(self.plan.images))
        with redirect_stdout(io.StringIO()):
            paths = [root / name for name in find_photos(table, str(root))]
        scores = np.empty((len(table), table.num_classes), np.float32)
        batches = read_photos(
            paths, backbone.preprocess, batch_size=self.plan.batch_size, workers=self.plan.workers,
            max_pixels=self.plan.max_pixels,
        )  # fmt: skip
        for rows, pixels, errors in batches:
            for error in errors:
                raise error
            scores[rows] = bundle.score(pixels).numpy()
        return scores


def make_trainer(plan: Plan) -> Trainer:
    """Return the trainer that a plan asks for.

    Raises:
        OneLabelError: the features cannot be read.
    """
    return NetworkTrainer(plan) if plan.features is None else HeadTrainer(plan.features)


def open_for(plan: Plan, source: str, classes: tuple[ClassInfo, ...], seed: int) -> Source:
    """Open a source of pseudo-labels; the store of a vision-language model goes to those that look at one.

    Raises:
        OneLabelError: it cannot be opened, or does not fit the classes.
    """
    spelled = spelled_out({"name": source})
    looks = spelled["name"] != STORE and reads_store(load(str(spelled["name"])))
    store = plan.vlm_store if looks else None
    return open_wanted(Wanted(spelled, plan.rule, None, store, (plan.template,), seed), classes)


def make_run(
    contender: Contender, setting: Setting, problem: Problem, plan: Plan, seed: int, source: Source | None
) -> Recipe:
    """Return the recipe of one training.

    Raises:
        OneLabelError: method, source and images do not go together.
    """
    parts = problem.parts
    select = plan.select
    if contender.complete:
        assert problem.complete is not None
        parts, select = problem.complete, "full"
    settings = Settings(
        epochs=plan.epochs, batch_size=plan.batch_size, lr=setting.lr, head_init=setting.head_init,
        select=select, mirror=plan.mirror, seed=seed,
    )  # fmt: skip
    return Recipe(parts, create(contender.method), settings, source, problem.expected)


def alone(source: Source, table: LabelTable) -> Scores:
    """Return the scores (N, C) of a source without any training, on images of which it is told nothing.

    Where a source gives decisions and no scores, present is 1, absent 0 and nothing ½. Where it abstains, the
    mean of its scores of the class stands, or ½ where that is less.

    Raises:
        OneLabelError: the source has nothing for some of the images.
    """
    nothing = LabelTable.from_entries(table.ids, table.class_ids, [], [], [])
    source.start(replace(nothing, classes=table.classes))
    parts = []
    for start in range(0, len(table), _ROWS_AT_ONCE):
        index = torch.arange(start, min(len(table), start + _ROWS_AT_ONCE))
        empty = torch.zeros(len(index), table.num_classes, dtype=torch.int8)
        parts.append(source.pseudo(index, empty, torch.zeros(len(index), dtype=torch.bool), STATIC)[1])
    scores = torch.cat(parts).float().cpu().numpy()
    told = ~np.isnan(scores)
    mean = np.where(told, scores, 0).sum(axis=0) / np.maximum(told.sum(axis=0), 1)
    usual = np.where(told.any(axis=0), np.minimum(mean, 0.5), 0.5)
    filled: Scores = np.where(told, scores, usual[None]).astype(np.float32)
    return filled
