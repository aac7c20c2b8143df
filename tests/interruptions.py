"""Short runs of both loops that can be made to fail at any moment, and go on from their checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from onelabel.io.ids import IdTable
from onelabel.labels.table import LabelTable
from onelabel.methods.registry import create
from onelabel.models.backbones import Backbone, load_backbone
from onelabel.sources.file import FileSource
from onelabel.training.checkpoint import Checkpoints
from onelabel.training.common import Log
from onelabel.training.features import FeatureRows
from onelabel.training.finetune import fine_tune
from onelabel.training.first_weights import at_photo_size
from onelabel.training.heads import train_head
from onelabel.training.keeper import Keeper
from onelabel.training.parts import Parts
from onelabel.training.photo_rows import photo_rows
from onelabel.training.recipe import Recipe
from onelabel.training.settings import Settings
from onelabel.vlm.features import ArrayStore

N, VAL, C, D = 10, 6, 3, 5
IDS, CLASSES = [f"{n}.png" for n in range(N + VAL)], ["cat", "dog", "owl"]
Loop = Literal["head", "photos"]


class Killed(Exception):
    """A fault that was asked for."""


@dataclass
class Faults:
    """Raises at the given one of all moments it is told of; counts them."""

    at: int = 0
    seen: int = 0

    def tick(self) -> None:
        self.seen += 1
        if self.seen == self.at:
            raise Killed

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def ticking(*args: Any, **kwargs: Any) -> Any:
            self.tick()
            return function(*args, **kwargs)

        return ticking


@dataclass
class Outcome:
    """All that a run leaves: weights, scores, state of the method and the record of each epoch."""

    tensors: dict[str, Tensor]
    log: list[dict[str, Any]]
    kept: tuple[int, float]

    def require_equal(self, other: Outcome) -> None:
        """To the last bit, but for the seconds."""
        assert self.tensors.keys() == other.tensors.keys()
        for name, tensor in self.tensors.items():
            assert torch.equal(tensor, other.tensors[name]), name
        assert [{**entry, "seconds": 0} for entry in self.log] == [
            {**entry, "seconds": 0} for entry in other.log
        ]
        assert str(self.kept) == str(other.kept)  # the score may be NaN


@dataclass(frozen=True)
class Bench:
    """The data of all runs.

    Args:
        folder: photos and ``tags.npz``, made by :func:`make_bench`.
    """

    folder: Path

    def recipe(self, method: str, **settings: Any) -> Recipe:
        labels = np.zeros((N + VAL, C), np.int8)
        labels[np.arange(N + VAL), np.arange(N + VAL) % C] = 1
        table = LabelTable.from_dense(IDS, CLASSES, labels)
        full = LabelTable.from_dense(IDS[N:], CLASSES, np.where(labels[N:] == 1, 1, -1))
        built = create(method)
        source = FileSource(self.folder / "tags.npz") if built.needs_source else None
        usual: dict[str, Any] = {"epochs": 3, "batch_size": 4, "lr": 0.05, "select": "full", "seed": 3}
        return Recipe(
            Parts(table.take(np.arange(N)), full, ()), built, Settings(**usual | settings), source, 1.5
        )

    def features(self, table: LabelTable) -> FeatureRows:
        values = np.random.default_rng(1).normal(size=(N + VAL, D))
        return FeatureRows(ArrayStore(IdTable.from_strings(IDS), values), table)

    def backbone(self) -> Backbone:
        torch.manual_seed(0)
        return at_photo_size(load_backbone("test_resnet", pretrained=False), 32)

    def train(
        self, loop: Loop, recipe: Recipe, checkpoints: Checkpoints | None = None, log: Log | None = None
    ) -> Outcome:
        """Train from the start, or from what ``checkpoints`` has read."""
        entries: list[dict[str, Any]] = []
        if checkpoints is not None and checkpoints.saved is not None:
            entries += checkpoints.saved.notes["history"]

        def write(entry: dict[str, Any]) -> None:
            if log is not None:
                log(entry)
            entries.append(entry)

        train, val = recipe.parts.train, recipe.parts.val
        assert val is not None
        weights: dict[str, Tensor] = {}
        if loop == "head":
            trained = train_head(self.features(train), self.features(val), recipe, write, checkpoints)
        else:
            backbone = self.backbone()
            photos = [
                photo_rows(table, str(self.folder), backbone.preprocess, 10**6) for table in (train, val)
            ]
            trained = fine_tune(recipe, backbone, photos[0], photos[1], log=write, checkpoints=checkpoints)
            weights = dict(backbone.state_dict())
        assert trained.val_logits is not None
        weights |= {f"head.{name}": value for name, value in trained.head.state_dict().items()}
        weights |= {f"method.{name}": value for name, value in recipe.method.state().items()}
        weights["val"] = torch.from_numpy(trained.val_logits)
        return Outcome(weights, entries, (trained.epoch, trained.score))

    def interrupted(self, loop: Loop, create: Callable[[], Recipe], folder: Path, at: int) -> Outcome:
        """Train until the moment ``at``, and go on in what a fresh process would have: the folder."""
        faults = Faults(at)
        with pytest.raises(Killed), faulty(recipe := create(), faults) as log:
            self.train(loop, recipe, Checkpoints(folder, every=0), log)
        checkpoints = Checkpoints(folder, every=0)
        checkpoints.read()
        return self.train(loop, create(), checkpoints)


def moments(bench: Bench, loop: Loop, create: Callable[[], Recipe], folder: Path) -> tuple[int, Outcome]:
    """Train without interruption; return how many moments there are to fail at, and the outcome."""
    faults = Faults()
    with faulty(recipe := create(), faults) as log:
        outcome = bench.train(loop, recipe, Checkpoints(folder, every=0), log)
    return faults.seen, outcome


@contextmanager
def faulty(recipe: Recipe, faults: Faults) -> Iterator[Log]:
    """Let the method, the keeper, the log and each stage of writing a checkpoint tick."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("start_epoch", "loss", "end_epoch"):
            patch.setattr(recipe.method, name, faults.before(getattr(recipe.method, name)))
        patch.setattr(Keeper, "offer", faults.before(Keeper.offer))
        patch.setattr("onelabel.training.checkpoint.save_file", faults.before(save_file))
        patch.setattr(Path, "replace", faults.before(Path.replace))
        yield lambda _: faults.tick()


def make_bench(folder: Path) -> Bench:
    """Draw photos and write pseudo-labels."""
    rng = np.random.default_rng(2)
    for name in IDS:
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / name)
    np.savez(folder / "tags.npz", ids=IDS, classes=CLASSES, pseudo=rng.integers(-1, 2, (N + VAL, C)))
    return Bench(folder)
