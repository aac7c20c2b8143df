"""Time exact average precision of a COCO-sized validation set against scikit-learn, on one thread.

python benchmarks/metrics.py            40,504 images x 80 classes
python benchmarks/metrics.py --require 8    exit code 1 if less than 8 times faster
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score  # type: ignore[import-untyped]

from onelabel.evaluation import average_precision, pu_auc

Array = NDArray[np.float32]
Table = NDArray[np.int8]


def make(images: int, classes: int, seed: int = 0) -> tuple[Array, Table]:
    """Logits that separate the classes moderately, and complete labels with 2.9 positives an image."""
    random = np.random.default_rng(seed)
    labels = np.where(random.random((images, classes)) < 2.9 / classes, 1, -1).astype(np.int8)
    logits = random.standard_normal((images, classes), dtype=np.float32) * 2 + labels
    return logits.astype(np.float32), labels


def probabilities(logits: Array) -> Array:
    return (1 / (1 + np.exp(3 - logits.astype(np.float64)))).astype(np.float32)


def scikit_learn(scores: Array, labels: Table) -> NDArray[np.float64]:
    pairs = zip(labels.T, scores.T, strict=True)
    return np.array([average_precision_score(label > 0, score) for label, score in pairs])


def fastest(run: Callable[[], NDArray[np.float64]], repeats: int) -> tuple[float, NDArray[np.float64]]:
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        result = run()
        best = min(best, time.perf_counter() - begin)
    return best, result


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=40_504)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--require", type=float, default=0.0, help="smallest ratio that counts as passed")
    options = parser.parse_args()
    logits, labels = make(options.images, options.classes)
    cases = {
        "logits": logits,
        "probabilities": probabilities(logits),
        "float16 logits": logits.astype(np.float16).astype(np.float32),
        "logits in steps of 0.1": np.round(logits, 1),
    }
    print(
        f"average precision, {options.images} images x {options.classes} classes, best of {options.repeats}"
    )
    print(f"{'scores':<24}{'scikit-learn s':>15}{'onelabel s':>12}{'ratio':>8}{'largest difference':>20}")
    ratios = []
    for name, scores in cases.items():
        theirs, expected = fastest(partial(scikit_learn, scores, labels), options.repeats)
        ours, found = fastest(partial(average_precision, scores, labels), options.repeats)
        ratios.append(theirs / ours)
        difference = np.abs(found - expected).max()
        print(f"{name:<24}{theirs:>15.3f}{ours:>12.4f}{ratios[-1]:>8.1f}{difference:>20.1e}")
    hidden = np.where(np.random.default_rng(1).random(labels.shape) < 0.02, labels, 0).clip(0).astype(np.int8)
    seconds, _ = fastest(lambda: pu_auc(logits, hidden).per_class, options.repeats)
    print(f"{'pu_auc':<24}{'-':>15}{seconds:>12.4f}")
    return int(ratios[0] < options.require)


if __name__ == "__main__":
    raise SystemExit(main())
