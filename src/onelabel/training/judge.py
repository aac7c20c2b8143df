"""Scoring a trained model on labelled images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from onelabel.evaluation.evaluate import Evaluation, evaluate
from onelabel.io.errors import OneLabelError
from onelabel.io.progress import progress
from onelabel.labels.table import LabelTable
from onelabel.models.bundle import Bundle
from onelabel.models.photos import read_photos
from onelabel.training.features import FeatureRows
from onelabel.training.find_photos import find_photos
from onelabel.training.parts import split_names
from onelabel.vlm.features import open_features
from onelabel.vlm.store import EmbeddingStore

Logits = NDArray[np.float32]


def choose_split(table: LabelTable, split: str | None) -> LabelTable:
    """Return the images to score on, and print which they are: the named split, else the test images.

    Raises:
        OneLabelError: there is no such split, or there are splits and none is called test.
    """
    if split is None and table.splits is not None:
        names = split_names(table)
        if "test" not in names:
            raise OneLabelError(
                f"no split begins with test; give --split, one of {', '.join(table.split_names)}"
            )
        split = names["test"]
    chosen = table if split is None else table.part(split)
    print(f"scoring on {len(chosen)} images" + ("" if split is None else f" of split {split!r}"))
    return chosen


def score_features(bundle: Bundle, table: LabelTable, features: str) -> Logits:
    """Return the logits (N, C) of the images of a table from cached features.

    Raises:
        OneLabelError: the features were made by another encoder, or images are not in the store.
    """
    store = open_features(features)
    if store.dim != bundle.head.in_features:
        raise OneLabelError(f"the model reads {bundle.head.in_features} numbers, {features} has {store.dim}")
    if isinstance(store, EmbeddingStore):
        store.require(bundle.fingerprints["features"])
    rows = FeatureRows(store, table)
    logits = np.empty((len(table), len(bundle.classes)), np.float32)
    for index in rows.chunks():
        logits[index] = bundle.score_features(rows.batch(index)).numpy()
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


def judge(bundle: Bundle, table: LabelTable, logits: Logits) -> Evaluation:
    """Compute every metric that the labels allow, with the decisions of the model's thresholds."""
    with np.errstate(divide="ignore"):
        cuts = np.log(bundle.thresholds.values) - np.log1p(-bundle.thresholds.values)
    return evaluate(logits, table.dense(), table.class_ids, cuts, thresholds_source=bundle.thresholds.source)
