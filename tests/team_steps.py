"""Short runs of fine-tuning whose every step is written down, in one process or in several."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from onelabel.labels.table import LabelTable
from onelabel.methods.base import Batch
from onelabel.methods.registry import create
from onelabel.models.backbones import Backbone, load_backbone
from onelabel.training.finetune import fine_tune
from onelabel.training.first_weights import at_photo_size
from onelabel.training.parts import Parts
from onelabel.training.photo_rows import photo_rows
from onelabel.training.place import find_place
from onelabel.training.recipe import Recipe
from onelabel.training.settings import Settings
from onelabel.training.sharding import own, whole
from onelabel.training.team import ALONE, Strategy, Team, join, leave

TRAIN, VAL = 13, 7  # in batches of 4: the last has one image, which two processes share
CLASSES = ["cat", "dog", "owl", "ape"]
IDS = [f"{row}.png" for row in range(TRAIN + VAL)]
PARAMETERS: dict[str, dict[str, Any]] = {
    "role-li": {"lr_multiplier": 1e6, "linear_epochs": 1},
    "ll-cp": {"delta": 20},
}  # fmt: skip


def epochs_of(method: str) -> int:
    """Return how long a method must train until its state has been written and read."""
    return 3 if method == "ll-cp" else 2


class Bits:
    """Pseudo-labels that depend on everything a source is told; writes down what that was."""

    notes: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.told: list[Tensor] = []

    def start(self, table: LabelTable) -> None:
        """Nothing to start."""

    def pseudo(self, index: Tensor, labels: Tensor, mirrored: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        """Return something of each argument."""
        self.told.append(torch.stack([index, mirrored.long(), torch.full_like(index, epoch)]))
        chosen = (index[:, None] + mirrored[:, None] + epoch + torch.arange(labels.shape[1])) % 3 - 1
        return torch.where(labels == 0, chosen, 0).to(torch.int8), torch.full(labels.shape, 0.3)


@dataclass(frozen=True)
class StepsBench:
    """The data of all runs.

    Args:
        folder: photos.
        lr: learning rate; by default so small that all steps see the first weights.
    """

    folder: Path
    lr: float = 1e-8

    def draw(self) -> StepsBench:
        """Draw the photos."""
        rng = np.random.default_rng(2)
        for name in IDS:
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(self.folder / name)
        return self

    def recipe(self, method: str) -> Recipe:
        """Return what is trained."""
        rng = np.random.default_rng(3)
        labels = np.zeros((TRAIN, len(CLASSES)), np.int8)
        labels[np.arange(TRAIN), rng.integers(0, len(CLASSES), TRAIN)] = 1
        train = LabelTable.from_dense(IDS[:TRAIN], CLASSES, labels)
        full = np.where(rng.random((VAL, len(CLASSES))) < 0.5, 1, -1)
        settings = Settings(epochs=epochs_of(method), batch_size=4, lr=self.lr, select="full", seed=5)
        built = create(method, **PARAMETERS.get(method, {}))
        source = Bits() if built.needs_source else None
        val = LabelTable.from_dense(IDS[TRAIN:], CLASSES, full)
        return Recipe(Parts(train, val, ()), built, settings, source, 1.5)

    def backbone(self) -> Backbone:
        """Return a network without BatchNorm."""
        torch.manual_seed(0)
        return at_photo_size(load_backbone("test_convnext", pretrained=False), 32)


def _steps(bench: StepsBench, method: str, team: Team, strategy: Strategy) -> dict[str, Tensor]:
    """Train; return losses and gradients of all steps, scores, all that was kept, and how much was held."""
    recipe, backbone = bench.recipe(method), bench.backbone()
    losses: list[Tensor] = []
    gradients: list[Tensor] = []
    held: list[list[int]] = []
    loss = recipe.method.loss

    def told(batch: Batch) -> Tensor:
        losses.append(loss(batch))
        return losses[-1]

    def stepped(optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        flat = [whole(torch.zeros_like(w) if w.grad is None else w.grad).flatten() for w in weights]
        moments = [optimizer.state[w]["exp_avg_sq"] for w in weights if w in optimizer.state]
        parts = (weights, [w.grad for w in weights if w.grad is not None], moments)
        held.append([sum(own(value).numel() for value in part) for part in parts])
        gradients.append(torch.cat(flat).clone())

    recipe.method.loss = told  # type: ignore[method-assign]
    photos = [
        photo_rows(table, str(bench.folder), backbone.preprocess, 10**6)
        for table in (recipe.parts.train, recipe.parts.val)
        if table is not None
    ]
    hook = register_optimizer_step_post_hook(stepped)
    trained = fine_tune(recipe, backbone, photos[0], photos[1], team=team, strategy=strategy)
    hook.remove()
    assert trained.val_logits is not None
    found = {
        "losses": torch.stack(losses).detach(),
        "gradients": torch.stack(gradients),
        "val": torch.from_numpy(trained.val_logits),
        "score": torch.tensor(trained.score),
        "held": torch.tensor(held),
        "weights": nn.utils.parameters_to_vector(
            [*backbone.parameters(), *trained.head.parameters()]
        ).detach(),
        **{f"state.{name}": value for name, value in recipe.method.state().items()},
    }
    if isinstance(recipe.source, Bits):
        found["told"] = torch.cat(recipe.source.told, 1)
    return found


def write_steps(bench: StepsBench, out: Path, methods: list[str], strategy: Strategy = "ddp") -> None:
    """Train with each method, as one of several processes where the environment says so."""
    place = find_place()
    team = ALONE if place is None else join(place)
    for method in methods:
        steps = {name: value.contiguous() for name, value in _steps(bench, method, team, strategy).items()}
        save_file(steps, out / f"{method}.{team.rank}.safetensors")
    leave(team)


def read_steps(out: Path, method: str, rank: int = 0) -> dict[str, Tensor]:
    """Return what was written."""
    return dict(load_file(out / f"{method}.{rank}.safetensors"))
