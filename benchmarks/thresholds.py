"""Which thresholds are best on new images: one for all classes, one each, or shrunk; as a Markdown table.

    ONELABEL_DATA=DIR python benchmarks/thresholds.py
    ONELABEL_DATA=DIR python benchmarks/thresholds.py --quick       (1 seed, 2 draws)

A linear head is trained on single positives of three real sets, the last epoch is kept. From a pool of
completely labelled images that nothing else uses, some are drawn, thresholds are fitted to them by rule f1,
and F1 is taken on the test images: macro is the mean over classes, pooled is OF1. Platt curves are fitted to
the same images; the calibration error (classwise ECE) is taken on the test images before and after. Seeds fix
split, observed labels, first weights and order of the images.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from onelabel.evaluation import calibration_error, f1_at, fit_platt, fit_thresholds
from onelabel.evaluation.thresholds import Scope
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.io.progress import progress
from onelabel.labels.simulate import observe
from onelabel.labels.table import LabelTable
from onelabel.methods.registry import create
from onelabel.training.features import FeatureRows
from onelabel.training.heads import score, train_head
from onelabel.training.parts import Parts
from onelabel.training.recipe import Recipe
from onelabel.training.settings import Settings
from onelabel.vlm.features import ArrayStore

Matrix = NDArray[Any]
FILES: dict[str, tuple[str, bool, float]] = {
    "ucm": ("features/ucm_mobilenetv2.npz", False, 1e-3),
    "yeast": ("tabular/yeast.npz", True, 1e-3),
    "emotions": ("tabular/emotions.npz", True, 1e-2),
}
"""File, whether features are brought to mean 0 and deviation 1, learning rate."""

METHODS = ("an", "em")
IMAGES = (20, 50, 100, 200)
CUTS: dict[str, tuple[Scope, float]] = {
    "one for all": ("all", 0.0),
    "one each": ("class", 0.0),
    "shrunk, k = 3": ("shrunk", 3.0),
    "shrunk, k = 10": ("shrunk", 10.0),
    "shrunk, k = 30": ("shrunk", 30.0),
}


@dataclass(frozen=True)
class Scored:
    """Logits and complete labels of the images to fit to, and of the test images."""

    fit: tuple[Matrix, Matrix]
    test: tuple[Matrix, Matrix]


def trained(name: str, method: str, folder: Path, seed: int, epochs: int) -> Scored:
    """Train one head: half of the images train, a quarter are to fit to, a quarter test."""
    file, scaled, lr = FILES[name]
    with np.load(folder / file, allow_pickle=False) as arrays:
        features, labels = arrays["X"], np.where(arrays["Y"] == 1, 1, -1).astype(np.int8)
    order = np.random.default_rng(seed).permutation(len(labels))
    train, fit, test = np.split(order, [len(order) // 2, 3 * len(order) // 4])
    if scaled:
        mean, deviation = features[train].mean(axis=0), features[train].std(axis=0)
        features = (features - mean) / np.where(deviation > 0, deviation, 1.0)
    ids, classes = [f"row{n}" for n in range(len(order))], [f"c{c}" for c in range(labels.shape[1])]
    store = ArrayStore(IdTable.from_strings(ids), features)

    def rows(part: Matrix, known: Matrix) -> FeatureRows:
        return FeatureRows(store, LabelTable.from_dense([ids[n] for n in part], classes, known))

    training = rows(train, observe(labels[train], seed=seed))
    settings = Settings(epochs=epochs, lr=lr, select="last", mirror=False, seed=seed)
    head = train_head(training, None, Recipe(Parts(training.table, None, ()), create(method), settings)).head
    found = [(score(head, rows(part, labels[part])), labels[part]) for part in (fit, test)]
    return Scored(*found)


def sigmoid(logits: Matrix) -> Matrix:
    return torch.sigmoid(torch.from_numpy(logits).double()).float().numpy()


Row = dict[str, float]


def measure(scored: Scored, images: int, rng: np.random.Generator) -> Row | None:
    """Fit to some images; None where they cannot tell."""
    drawn = rng.permutation(len(scored.fit[1]))[:images]
    logits, labels = scored.fit[0][drawn], scored.fit[1][drawn]
    names = [str(c) for c in range(labels.shape[1])]
    test_logits, test_labels = scored.test
    found: Row = {}
    try:
        curves = fit_platt(logits, labels, names)
        for key, (scope, k) in CUTS.items():
            cuts = fit_thresholds(sigmoid(logits), labels, names, "f1", scope, k).values
            found |= f1(key, test_logits, test_labels, cuts)
    except OneLabelError:
        return None
    found |= f1("0.5", test_logits, test_labels, np.full(len(names), 0.5))
    after = sigmoid(test_logits.astype(np.float64) * curves.slope + curves.intercept)
    for key, probs in (("ECE before", sigmoid(test_logits)), ("ECE after", after)):
        found[key] = calibration_error(probs, test_labels).value
    return found


def f1(key: str, logits: Matrix, labels: Matrix, cuts: Matrix) -> Row:
    scores = f1_at(sigmoid(logits), labels, cuts)
    return {f"{key} macro": float(np.nanmean(scores.f1)), f"{key} pooled": scores.overall_f1}


def run(folder: Path, seeds: int, draws: int, epochs: int) -> Iterator[tuple[str, str, int, list[Row]]]:
    """Yield set, method, number of images fitted to, and what came out of each draw."""
    with progress("train", len(FILES) * len(METHODS) * seeds, "heads") as advance:
        for name in FILES:
            for method in METHODS:
                heads = []
                for seed in range(seeds):
                    heads.append(trained(name, method, folder, seed, epochs))
                    advance()
                for images in IMAGES:
                    if images <= len(heads[0].fit[1]):
                        rows = [
                            measure(head, images, np.random.default_rng((seed, draw, images)))
                            for seed, head in enumerate(heads)
                            for draw in range(draws)
                        ]
                        yield name, method, images, [row for row in rows if row is not None]


def lines(results: Sequence[tuple[str, str, int, list[Row]]]) -> Iterator[str]:
    """Lay out means in per cent."""
    keys = ["0.5", *CUTS]
    yield "| set, method, images fitted to | " + " | ".join(keys) + " | ECE before → after |"
    yield "|---" * (len(keys) + 2) + "|"
    for name, method, images, rows in results:
        means = {key: 100 * float(np.mean([row[key] for row in rows])) for key in rows[0]}
        cells = [f"{means[f'{key} macro']:.1f} / {means[f'{key} pooled']:.1f}" for key in keys]
        ece = f"{means['ECE before']:.1f} → {means['ECE after']:.1f}"
        yield f"| {name}, {method}, {images} | " + " | ".join([*cells, ece]) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default=os.environ.get("ONELABEL_DATA"), help="folder; ONELABEL_DATA")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--draws", type=int, default=20, help="of the images fitted to, per seed")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--quick", action="store_true", help="1 seed, 2 draws, 5 epochs")
    given = parser.parse_args()
    if given.data is None:
        parser.error("give --data or set ONELABEL_DATA")
    torch.set_num_threads(1)
    seeds, draws, epochs = (1, 2, 5) if given.quick else (given.seeds, given.draws, given.epochs)
    results = list(run(Path(given.data), seeds, draws, epochs))
    print(f"F1 on test images, macro / pooled, in per cent; mean of {seeds} seeds × {draws} draws.\n")
    print("\n".join(lines(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
