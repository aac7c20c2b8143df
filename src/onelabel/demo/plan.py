"""What the embedded example trains, how often, and what it may choose from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any


@dataclass(frozen=True)
class Contender:
    """One method of the comparison.

    Args:
        key: name of its run folders.
        title: what the table calls it.
        method: name in the catalogue.
        labels: "full" (every label known) or "single" (one positive per training image).
        sources: names and settings of the pseudo-labels to choose from; one empty setting where it uses none.
    """

    key: str
    title: str
    method: str
    labels: str = "single"
    sources: tuple[Mapping[str, Any], ...] = ({},)


UPPER, LOWER = "full", "an"
WHOLE, TILES = "vlpl", "damp"
"""Sources of pseudo-labels that look at whole scenes, and at their tiles too."""
VIEWS = "grid:2"
CONTENDERS = (
    Contender(UPPER, "all labels known (upper bound)", "bce", "full"),
    Contender(LOWER, "AN: unknown is absent", "an"),
    Contender("em", "EM: unknown stays open", "em"),
    Contender(
        "vlpl", "VLPL: the tiny model fills in", "vlpl",
        sources=(
            {"name": WHOLE, "temperature": 0.01, "threshold": 0.3},
            {"name": WHOLE, "temperature": 0.05, "threshold": 0.1},
        ),
    ),
    Contender(
        "aevlp", "AEVLP: it looks at tiles, too", "aevlp",
        sources=(
            {"name": TILES, "temperature": 0.05, "threshold": 0.5, "top_k": 3},
            {"name": TILES, "temperature": 0.02, "threshold": 0.6},
        ),
    ),
)  # fmt: skip
RATES = (0.01, 0.03, 0.1)
"""Learning rates to choose from. Vectors of length 1 need larger ones than the features of a classifier."""


@dataclass(frozen=True)
class Plan:
    """Size of the example.

    Args:
        counts: number of scenes of each part.
        seeds: number of runs of each method; each draws its single positives, start and order anew.
        epochs: passes over the training scenes.
    """

    counts: Mapping[str, int]
    seeds: int
    epochs: int


FULL = Plan({"train": 2000, "val": 500, "test": 1000}, seeds=5, epochs=25)
QUICK = Plan({"train": 500, "val": 150, "test": 300}, seeds=2, epochs=10)


@dataclass(frozen=True)
class Setting:
    """What is chosen on the validation scenes.

    Args:
        lr: learning rate.
        source: name and parameters of the pseudo-labels.
    """

    lr: float
    source: Mapping[str, Any]

    def __str__(self) -> str:
        source = [f"{key} {value:g}" for key, value in self.source.items() if key != "name"]
        return ", ".join([f"lr {self.lr:g}", *source])


def settings_of(contender: Contender) -> list[Setting]:
    """Return every setting that a method may choose from.

    Example:
        >>> [str(setting) for setting in settings_of(CONTENDERS[1])]
        ['lr 0.01', 'lr 0.03', 'lr 0.1']
    """
    return [Setting(lr, source) for lr, source in product(RATES, contender.sources)]


def options(contender: Contender, setting: Setting, plan: Plan, seed: int) -> dict[str, Any]:
    """Return the training options that differ from the defaults of ``onelabel train``."""
    chosen: dict[str, Any] = {
        "epochs": plan.epochs,
        "lr": setting.lr,
        "seed": seed,
        "select": "full",
        "head_init": "prior",
        "method": {"name": contender.method},
    }
    if setting.source:
        chosen["source"] = dict(setting.source)
    return chosen
