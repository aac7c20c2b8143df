"""Every method on real features with single positives: test mAP, paired seeds, as a Markdown table.

    ONELABEL_DATA=DIR python benchmarks/methods_on_features.py > table.md
    ONELABEL_DATA=DIR python benchmarks/methods_on_features.py --quick      (1 seed, few epochs)

Each seed fixes the split, the one observed label of each training image, the first weights of the head, the
order of the images and the random numbers of the methods, so the methods of a column are paired. A linear
head is trained with Adam; the epoch with the highest mAP on completely labelled validation images is kept,
which is more than single positives allow and is what the papers do. Every method has its default parameters,
one setting for all sets, not tuned; k, the expected number of positives, is the mean of the training images'
complete labels. Batches of 16, learning rate 1e-3, or 1e-2 on emotions, which has 23 batches per epoch.
Chance is the mean prevalence of the classes; random scores come out a little higher, the more so the fewer
test images a class has.

In head training role-li is role but for a restart of the estimator after 5/7 of the epochs, and em-apl is em
for the first half: where an earlier epoch is kept, the two agree to the digit.

Losses that train on pseudo-labels need a source of them. There is no vision-language model for these
features, so a stand-in takes its place: the ten nearest training images vote with their observed label, and a
class with more than 0.3 of the votes is called present. It knows single positives only, like all else, and
says little about how these losses do with a source of the papers.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from onelabel.evaluation.metrics import mean_average_precision
from onelabel.io.ids import IdTable
from onelabel.io.progress import progress
from onelabel.labels.simulate import observe
from onelabel.labels.table import LabelTable
from onelabel.methods.registry import catalogue, create
from onelabel.sources.file import FileSource
from onelabel.training.features import FeatureRows
from onelabel.training.heads import score, train_head
from onelabel.training.parts import Parts
from onelabel.training.recipe import Recipe
from onelabel.training.settings import Settings
from onelabel.vlm.features import ArrayStore

Matrix = NDArray[Any]
NEIGHBOURS, VOTES = 10, 0.3
FULL = "bce, complete labels"
METHODS = tuple(entry.name for entry in catalogue() if not entry.source)
SOURCED = ", ".join(entry.name for entry in catalogue() if entry.source)


@dataclass(frozen=True)
class DataSet:
    """Features (N, D) and complete labels (N, C), 1 or 0; ``test`` (N,) where a split is given.

    Args:
        scaled: bring every feature to mean 0 and deviation 1 over the training rows, which features of
            arbitrary units need; features of a network stay as they are.
        lr: learning rate.
    """

    name: str
    features: Matrix
    labels: Matrix
    test: Matrix | None
    scaled: bool
    lr: float


FILES: dict[str, tuple[str, bool, float]] = {
    "ucm": ("features/ucm_mobilenetv2.npz", False, 1e-3),
    "yeast": ("tabular/yeast.npz", True, 1e-3),
    "emotions": ("tabular/emotions.npz", True, 1e-2),
}


def load(name: str, folder: Path) -> DataSet:
    """Read one of the sets."""
    file, scaled, lr = FILES[name]
    with np.load(folder / file, allow_pickle=False) as arrays:
        test = arrays["split"] == "test" if "split" in arrays else None
        return DataSet(name, arrays["X"], arrays["Y"], test, scaled, lr)


@dataclass(frozen=True)
class Problem:
    """One data set under one seed: all that the methods share."""

    store: ArrayStore
    parts: Parts
    full: LabelTable
    test: LabelTable
    pseudo: Path
    settings: Settings

    @property
    def expected(self) -> float:
        return float((self.full.dense() == 1).sum(axis=1).mean())

    @property
    def chance(self) -> float:
        """Mean prevalence of the classes among the test images: the mAP of random scores."""
        return float((self.test.dense() == 1).mean())


def make_problem(data: DataSet, seed: int, epochs: int, folder: Path) -> Problem:
    """Draw split and observed labels."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data.labels))
    held_out = np.zeros(len(order), bool) if data.test is None else data.test[order]
    rest, test = order[~held_out], order[held_out]
    if data.test is None:
        test, rest = np.split(rest, [len(rest) // 5])
    val, train = np.split(rest, [len(rest) // 5])
    features = standardised(data.features, train) if data.scaled else data.features
    ids, classes = (
        np.array([f"row{n}" for n in range(len(order))]),
        [f"c{c}" for c in range(data.labels.shape[1])],
    )
    complete = np.where(data.labels == 1, 1, -1).astype(np.int8)

    def table(rows: Matrix, labels: Matrix) -> LabelTable:
        return LabelTable.from_dense(ids[rows].tolist(), classes, labels)

    observed = observe(complete[train], seed=seed)
    pseudo = folder / f"{data.name}-{seed}.npz"
    np.savez(pseudo, ids=ids[train], classes=classes, pseudo=neighbours_vote(features[train], observed))
    settings = Settings(epochs=epochs, lr=data.lr, select="full", mirror=False, seed=seed)
    return Problem(
        ArrayStore(IdTable.from_strings(ids.tolist()), features),
        Parts(table(train, observed), table(val, complete[val]), ()),
        table(train, complete[train]), table(test, complete[test]), pseudo, settings,
    )  # fmt: skip


def standardised(features: Matrix, train: Matrix) -> Matrix:
    """Bring features to mean 0 and deviation 1 over the training rows."""
    mean, deviation = features[train].mean(axis=0), features[train].std(axis=0)
    scaled: Matrix = (features - mean) / np.where(deviation > 0, deviation, 1.0)
    return scaled


def neighbours_vote(features: Matrix, observed: Matrix) -> Matrix:
    """Return pseudo-labels (N, C): +1 for classes that more than 0.3 of the ten nearest images show."""
    x = torch.from_numpy(features.astype(np.float32))
    distance = torch.cdist(x, x).fill_diagonal_(float("inf"))
    nearest = distance.topk(min(NEIGHBOURS, len(x) - 1), largest=False).indices.numpy()
    votes = (observed == 1)[nearest].mean(axis=1)
    pseudo: Matrix = (votes > VOTES).astype(np.int8)
    return pseudo


def test_map(method: str, problem: Problem) -> float:
    """Train one head and return its mAP on the test images."""
    parts, name = problem.parts, method
    if method == FULL:
        parts, name = replace(parts, train=problem.full), "bce"
    built = create(name)
    source = FileSource(problem.pseudo) if built.needs_source else None
    recipe = Recipe(parts, built, problem.settings, source, problem.expected)
    train, val = (FeatureRows(problem.store, table) for table in (parts.train, problem.parts.val) if table)
    trained = train_head(train, val, recipe)
    logits = score(trained.head, FeatureRows(problem.store, problem.test))
    return mean_average_precision(logits, problem.test.dense()).value


Results = dict[str, dict[str, list[float]]]
"""Test mAP by method and data set, a number for each seed; "chance" is one of the methods."""


def run(
    folder: Path, sets: Sequence[str], methods: Sequence[str], seeds: Sequence[int], epochs: int
) -> Results:
    """Train every method on every set with every seed."""
    results: Results = {name: {key: [] for key in sets} for name in ("chance", *methods)}
    with (
        tempfile.TemporaryDirectory() as scratch,
        progress("train", len(methods) * len(sets) * len(seeds), "heads") as advance,
    ):
        for key, seed in ((key, seed) for key in sets for seed in seeds):
            problem = make_problem(load(key, folder), seed, epochs, Path(scratch))
            results["chance"][key].append(problem.chance)
            for name in methods:
                results[name][key].append(test_map(name, problem))
                advance()
    return results


def at_chance(results: Results) -> Iterator[str]:
    """Name the methods that do not beat chance, with their data set."""
    for name, by_set in results.items():
        for key, values in by_set.items():
            if name != "chance" and not np.mean(values) > np.mean(results["chance"][key]):
                yield f"{name} on {key}"


def markdown(results: Results) -> str:
    """Lay out test mAP in per cent, mean ± deviation over the seeds."""
    sets = list(results["chance"])
    lines = ["| method | " + " | ".join(sets) + " |", "|---" * (len(sets) + 1) + "|"]
    for name, by_set in results.items():
        cells = (f"{100 * np.mean(v):.1f} ± {100 * np.std(v, ddof=len(v) > 1):.1f}" for v in by_set.values())
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default=os.environ.get("ONELABEL_DATA"), help="folder; ONELABEL_DATA")
    parser.add_argument("--sets", nargs="+", default=list(FILES), choices=list(FILES))
    parser.add_argument("--methods", nargs="+", default=[FULL, *METHODS])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--quick", action="store_true", help="1 seed, 5 epochs")
    given = parser.parse_args()
    if given.data is None:
        parser.error("give --data or set ONELABEL_DATA")
    torch.set_num_threads(1)
    seeds, epochs = (1, 5) if given.quick else (given.seeds, given.epochs)
    results = run(Path(given.data), given.sets, given.methods, range(seeds), epochs)
    print(
        f"Test mAP in per cent, mean ± standard deviation of {seeds} seeds, {epochs} epochs, linear head.\n"
    )
    print(markdown(results))
    print(f"\nNot run: {SOURCED} (needs a vision-language model; its loss is in the table).")
    losers = list(at_chance(results))
    print(f"\nNot above chance: {', '.join(losers) or 'none'}.")
    return 1 if losers else 0


if __name__ == "__main__":
    sys.exit(main())
