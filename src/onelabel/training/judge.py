"""Scoring a trained model on labelled images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from onelabel.evaluation.evaluate import Evaluation, evaluate
from onelabel.io.errors import OneLabelError
from onelabel.io.progress import progress
from onelabel.labels.table import LabelTable
from onelabel.models.bundle import UNCALIBRATED, Bundle
from onelabel.models.bundle_read import find_bundle
from onelabel.models.photos import read_photos
from onelabel.models.seen import read_seen
from onelabel.training.features import FeatureRows
from onelabel.training.find_photos import find_photos
from onelabel.training.parts import split_names
from onelabel.vlm.features import open_features
from onelabel.vlm.store import EmbeddingStore

Logits = NDArray[np.float32]


def choose_split(table: LabelTable, split: str | None, usual: str = "test") -> LabelTable:
    """Return the images to score on, and print which they are: the named split, else the usual one.

    Args:
        table: labels.
        split: name of the split, or None.
        usual: "test" or "val": which split is taken where there are splits and none is named.

    Raises:
        OneLabelError: there is no such split, or there are splits and none is the usual one.
    """
    if split is None and table.splits is not None:
        names = split_names(table)
        if usual not in names:
            raise OneLabelError(
                f"no split begins with {usual}; give --split, one of {', '.join(table.split_names)}"
            )
        split = names[usual]
    chosen = table if split is None else table.part(split)
    print(f"scoring on {len(chosen)} images" + ("" if split is None else f" of split {split!r}"))
    return chosen


def score_features(bundle: Bundle, table: LabelTable, features: str) -> Logits:
    """Return the logits (N, C) of the images of a table from cached features.

    Raises:
        OneLabelError: the features were made by another encoder, are no finite numbers, or images are not in
            the store.
    """
    store = open_features(features)
    if store.dim != bundle.head.in_features:
        raise OneLabelError(f"the model reads {bundle.head.in_features} numbers, {features} has {store.dim}")
    if isinstance(store, EmbeddingStore):
        store.require(bundle.fingerprints["features"])
    rows = FeatureRows(store, table)
    logits = np.empty((len(table), len(bundle.classes)), np.float32)
    for index in rows.chunks():
        logits[index] = bundle.score_features(rows.checked(index)).numpy()
    return logits


def score_photos(
    bundle: Bundle, table: LabelTable, root: str, batch_size: int, workers: int, max_pixels: int
) -> Logits:
    """Return the logits (N, C) of the images of a table from the photos.

    Raises:
        OneLabelError: photos are missing, or the model has no network that reads photos.
        ImageError: a photo cannot be read.
    """
    found = find_photos(table, root)
    paths = [Path(root) / found.text(row) for row in range(len(table))]
    if bundle.backbone is None:
        raise OneLabelError(
            "this model was trained on features from a file: give --features, it reads no photos"
        )
    logits = np.empty((len(table), len(bundle.classes)), np.float32)
    batches = read_photos(
        paths, bundle.backbone.preprocess, batch_size=batch_size, workers=workers, max_pixels=max_pixels
    )
    with progress("score", len(paths)) as advance, torch.inference_mode():
        for rows, pixels, errors in batches:
            for error in errors:
                raise error
            logits[rows] = bundle.score(pixels).numpy()
            advance(len(rows))
    return logits


def judge(bundle: Bundle, table: LabelTable, logits: Logits, warnings: Sequence[str] = ()) -> Evaluation:
    """Compute every metric that the labels allow, with the decisions of the model's thresholds.

    Calibration errors are those of the sigmoid of the logits and, where the model is calibrated, of its
    probabilities.

    Args:
        bundle: the model.
        table: labels, with the model's classes in its order.
        logits: (N, C) of the model on these images.
        warnings: sentences to show among the notes.
    """
    raw = torch.from_numpy(logits)
    probs = {UNCALIBRATED: replace(bundle, calibration=None).probabilities(raw)}
    if bundle.calibration is not None:
        probs[bundle.calibration.source] = bundle.probabilities(raw)
    return evaluate(
        logits, table.dense(), table.class_ids, bundle.thresholds.values, probs=probs,
        thresholds_source=bundle.thresholds.source, warnings=warnings,
    )  # fmt: skip


def warnings_on(run: str, table: LabelTable) -> tuple[str, ...]:
    """Return a sentence for each way in which a model has seen the images of a table before.

    Args:
        run: run folder of a training, or its bundle folder.
        table: the images.
    """
    what = {
        "train": "the model was trained on {}: figures on them are too good",
        "val": "{} chose the epoch: figures on them are a little too good",
        "fitted": "thresholds or calibration were fitted to {}: F1 and calibration on them are too good",
    }
    return _warnings(run, table, what)


def trained_on(run: str, table: LabelTable) -> tuple[str, ...]:
    """Return a sentence if a model was trained on images that thresholds are fitted to, else none."""
    what = "the model was trained on {}: it is too sure of them, and new images need other thresholds"
    return _warnings(run, table, {"train": what})


def _warnings(run: str, table: LabelTable, what: dict[str, str]) -> tuple[str, ...]:
    seen = read_seen(find_bundle(run))
    counts = {} if seen is None else seen.counts(table.ids)
    return tuple(
        sentence.format(f"{counts[part]} of these {len(table)} images (by name)")
        for part, sentence in what.items()
        if counts.get(part)
    )
