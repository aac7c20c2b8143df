"""Small data sets for comparisons, and methods that misbehave."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onelabel.compare.plan import Plan
from onelabel.labels.table import LabelTable
from onelabel.losses.an import AN
from onelabel.methods.base import Batch, Context, LossMethod

CLASSES = ("cat", "dog", "fish", "bird")


class Stumbling(LossMethod):
    """AN that cannot start with an even seed."""

    def __init__(self) -> None:
        super().__init__(AN())

    def start(self, context: Context) -> None:
        super().start(context)
        if context.seed % 2 == 0:
            raise ZeroDivisionError("stumbled | over\nan even seed")


class Leaving(LossMethod):
    """AN that asks Python to end."""

    def __init__(self) -> None:
        super().__init__(AN())

    def start(self, context: Context) -> None:
        super().start(context)
        raise SystemExit(3)


class Dying(LossMethod):
    """AN that ends its process with the second seed, as the system does where memory lacks."""

    def __init__(self) -> None:
        super().__init__(AN())

    def start(self, context: Context) -> None:
        super().start(context)
        if context.seed == 1:
            os._exit(9)


class Diverging(LossMethod):
    """AN whose loss is no number at learning rates above 0.05."""

    def __init__(self) -> None:
        super().__init__(AN())
        self.rate = 0.0

    def start(self, context: Context) -> None:
        super().start(context)
        self.rate = context.learning_rate

    def loss(self, batch: Batch):  # type: ignore[no-untyped-def]
        value = super().loss(batch)
        return value * float("nan") if self.rate > 0.05 else value


def labels(images: int = 90, classes: int = 4, seed: int = 0) -> NDArray[np.int8]:
    """Complete labels, +1 or -1; each image shows at least one class."""
    rng = np.random.default_rng(seed)
    matrix = np.where(rng.random((images, classes)) < 0.35, 1, -1)
    matrix[np.arange(images), rng.integers(classes, size=images)] = 1
    return matrix.astype(np.int8)


def ids(images: int) -> list[str]:
    return [f"album/{n:03}.jpg" for n in range(images)]


def full_table(images: int = 90, names: Sequence[str] = CLASSES) -> LabelTable:
    """Complete labels as a table."""
    return LabelTable.from_dense(ids(images), list(names), labels(images, len(names)))


def write_features(path: Path, images: int = 90, classes: int = 4) -> str:
    """Write features from which the labels can be told, but for noise; return the path."""
    rng = np.random.default_rng(1)
    mixed = labels(images, classes) @ rng.normal(size=(classes, 6)) + rng.normal(size=(images, 6))
    np.savez(path, X=mixed.astype(np.float32), ids=ids(images))
    return str(path)


def write_csv(path: Path, table: LabelTable, parts: Sequence[str] = ()) -> str:
    """Write a wide CSV of 1, -1 and blank; ``parts`` is the column of splits."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", *table.class_ids, *(["split"] if parts else [])])
        for row, (name, marks) in enumerate(zip(table.ids, table.dense().tolist(), strict=True)):
            writer.writerow([name, *(mark or "" for mark in marks), *parts[row : row + 1]])
    return str(path)


def write_tags(path: Path, images: int = 90, names: Sequence[str] = CLASSES) -> str:
    """Write pseudo-labels that are right in seven of eight cells, with scores."""
    rng, truth = np.random.default_rng(2), labels(images, len(names))
    told = np.where(rng.random(truth.shape) < 0.125, -truth, truth)
    np.savez(
        path, ids=ids(images), classes=list(names), pseudo=(told > 0).astype(np.int8), score=(told + 1) / 2
    )
    return str(path)


def small_plan(features: str, **settings: object) -> Plan:
    """A plan of a few seconds."""
    usual: dict[str, object] = {
        "methods": ("an", "em"), "seeds": 2, "simulate": True, "epochs": 3, "lrs": (0.03,),
        "features": features,
    }  # fmt: skip
    return Plan(**usual | settings)  # type: ignore[arg-type]
