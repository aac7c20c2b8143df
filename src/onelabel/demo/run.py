"""The second half of the embedded example: choose, train, score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelabel.demo.plan import CONTENDERS, Contender, Plan, Setting, options, settings_of
from onelabel.demo.prepare import TEMPLATE, Scenes
from onelabel.evaluation.metrics import mean_average_precision
from onelabel.io.progress import Advance, progress
from onelabel.models.bundle_read import load_bundle
from onelabel.training.features import FeatureRows
from onelabel.training.heads import train_head
from onelabel.training.judge import score_features
from onelabel.training.parts import Parts
from onelabel.training.pipeline import train_on_features
from onelabel.training.pseudo import ask
from onelabel.training.recipe import Recipe, make_recipe
from onelabel.training.settings import Settings
from onelabel.vlm.store import EmbeddingStore

RUNS = "runs"
_SETTINGS = {entry.name for entry in fields(Settings)}


@dataclass(frozen=True)
class Result:
    """What one method reached.

    Args:
        setting: what it chose on the validation scenes.
        maps: test mAP of each run, (seeds,).
    """

    setting: Setting
    maps: NDArray[np.float64]


def choose(scenes: Scenes, plan: Plan) -> dict[str, Setting]:
    """Choose the setting of each method by the mAP of the validation scenes, on the first draw of labels."""
    total = sum(len(settings_of(contender)) for contender in CONTENDERS)
    with progress("choose settings", total, "runs") as advance:
        return {contender.key: _best(scenes, plan, contender, advance) for contender in CONTENDERS}


def _best(scenes: Scenes, plan: Plan, contender: Contender, advance: Advance) -> Setting:
    store, rows, scores = EmbeddingStore.open(scenes.store), None, []
    val = FeatureRows(store, scenes.full.part("val"))
    for setting in settings_of(contender):
        recipe = _recipe(scenes, contender.labels, options(contender, setting, plan, seed=0))
        rows = rows or FeatureRows(store, recipe.parts.train)  # the same scenes and labels in every setting
        scores.append(train_head(rows, val, recipe).score)
        advance()
    return settings_of(contender)[int(np.argmax(scores))]


def train(scenes: Scenes, plan: Plan, chosen: Mapping[str, Setting]) -> dict[str, Result]:
    """Train every method with every seed; the runs of one seed differ in method and setting only.

    Every run is a run folder, and what is scored is the model that lies in it.
    """
    maps: dict[str, list[float]] = {contender.key: [] for contender in CONTENDERS}
    with progress("train", plan.seeds * len(CONTENDERS), "runs") as advance:
        for seed in range(plan.seeds):
            for contender in CONTENDERS:
                config = options(contender, chosen[contender.key], plan, seed)
                maps[contender.key].append(_run(scenes, contender, config))
                advance()
    return {key: Result(chosen[key], np.array(values)) for key, values in maps.items()}


@dataclass(frozen=True)
class Given:
    """Pseudo-labels of the unknown pairs of training scenes, against the labels that were hidden.

    Args:
        precision: share of those called present that are.
        recall: share of those present that are called so.
    """

    precision: float
    recall: float


def given(scenes: Scenes, plan: Plan, chosen: Mapping[str, Setting]) -> dict[str, Given]:
    """Return how good the pseudo-labels of each method are that uses some, on the first draw of labels."""
    return {
        contender.key: _given(scenes, _recipe(scenes, contender.labels, options(contender, setting, plan, 0)))
        for contender in CONTENDERS
        if (setting := chosen[contender.key]).source
    }


def _given(scenes: Scenes, recipe: Recipe) -> Given:
    assert recipe.source is not None
    decision = ask(recipe.source, recipe.parts.train).decision
    assert decision is not None
    unknown = recipe.parts.train.dense() == 0
    called, there = (decision == 1) & unknown, (scenes.full.part("train").dense() == 1) & unknown
    both = int((called & there).sum())
    return Given(both / max(1, int(called.sum())), both / max(1, int(there.sum())))


def _run(scenes: Scenes, contender: Contender, config: Mapping[str, Any]) -> float:
    """Train into a run folder, and return the mAP of the model in it on the test scenes."""
    run = str(scenes.folder / RUNS / f"{contender.key}-{config['seed']}")
    inputs = {
        "labels": scenes.labels_file(contender.labels, config["seed"]),
        "features": scenes.store,
        "vlm_store": _vlm_store(scenes, config),
    }
    train_on_features(_recipe(scenes, contender.labels, config), scenes.store, run, {**inputs, **config})
    test = scenes.full.part("test")
    return mean_average_precision(score_features(load_bundle(run), test, scenes.store), test.dense()).value


def _recipe(scenes: Scenes, labels: str, config: Mapping[str, Any]) -> Recipe:
    table = scenes.table(labels, config["seed"])
    return make_recipe(
        Parts(table.part("train"), table.part("val"), ()),
        config["method"],
        Settings(**{name: value for name, value in config.items() if name in _SETTINGS}),
        source=config.get("source"),
        vlm_store=_vlm_store(scenes, config),
        template=TEMPLATE,
    )


def _vlm_store(scenes: Scenes, config: Mapping[str, Any]) -> str | None:
    return scenes.vlm_store(config["source"]["name"]) if "source" in config else None
