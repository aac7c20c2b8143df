"""The second half of the embedded example: choose, train, score."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from onelabel.demo.plan import CONTENDERS, Contender, Plan, Setting, options, settings_of
from onelabel.demo.prepare import TEMPLATE, Scenes
from onelabel.evaluation.metrics import mean_average_precision
from onelabel.io.progress import progress
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
    jobs = [(contender, setting) for contender in CONTENDERS for setting in settings_of(contender)]
    tried = [(scenes, contender.labels, options(contender, setting, plan, 0)) for contender, setting in jobs]
    scores = np.array(_on_all_cores(_score, tried, "choose settings"))
    best = {}
    for contender in CONTENDERS:
        own = [number for number, (other, _) in enumerate(jobs) if other is contender]
        best[contender.key] = jobs[own[int(np.argmax(scores[own]))]][1]
    return best


def _score(scenes: Scenes, labels: str, config: Mapping[str, Any]) -> float:
    """Train, and return the mAP of the validation scenes in the best epoch."""
    store, recipe = EmbeddingStore.open(scenes.store), _recipe(scenes, labels, config)
    val = FeatureRows(store, scenes.full.part("val"))
    return train_head(FeatureRows(store, recipe.parts.train), val, recipe).score


def _on_all_cores(work: Callable[..., float], jobs: Sequence[tuple[Any, ...]], what: str) -> list[float]:
    """Do jobs in processes of their own, one thread each; return their results in order."""
    fork = multiprocessing.get_context("fork")  # importing torch anew would take longer than the jobs
    with (
        progress(what, len(jobs), "runs") as advance,
        ProcessPoolExecutor(os.cpu_count(), fork, torch.set_num_threads, (1,)) as pool,
    ):
        started = [pool.submit(work, *job) for job in jobs]
        for future in started:
            future.result()
            advance()
    return [future.result() for future in started]


def train(scenes: Scenes, plan: Plan, chosen: Mapping[str, Setting]) -> dict[str, Result]:
    """Train every method with every seed; the runs of one seed differ in method and setting only.

    Every run is a run folder, and what is scored is the model that lies in it.
    """
    jobs = [
        (scenes, contender, options(contender, chosen[contender.key], plan, seed))
        for seed in range(plan.seeds)
        for contender in CONTENDERS
    ]
    maps = np.array(_on_all_cores(_run, jobs, "train")).reshape(plan.seeds, len(CONTENDERS))
    return {
        contender.key: Result(chosen[contender.key], maps[:, number])
        for number, contender in enumerate(CONTENDERS)
    }


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
