"""Another OneLabel model as a source: self-training, or a model of other images on these."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from onelabel.images.decode import MAX_PIXELS
from onelabel.images.folder import resolve
from onelabel.io.errors import OneLabelError
from onelabel.io.manifest import digest_file
from onelabel.io.progress import progress
from onelabel.labels.table import LabelTable
from onelabel.models.bundle_layout import WEIGHTS
from onelabel.models.bundle_read import find_bundle, load_bundle
from onelabel.models.photos import read_photos
from onelabel.sources.opinion_source import OpinionSource
from onelabel.sources.opinions import Opinions
from onelabel.vlm.features import align, open_features
from onelabel.vlm.store import EmbeddingStore

_ROWS_AT_ONCE = 4096
Part = tuple[NDArray[np.int64], torch.Tensor]
"""Rows of the table, and their logits (B, classes of the model)."""


class BundleSource(OpinionSource):
    """The probabilities of a trained model, once per image, for the plain image.

    Present is what reaches the model's own thresholds; it calls nothing absent, as those thresholds do not
    tell absent from unsure. A rule (``--rule``) can decide otherwise. Classes are matched by name: the model
    may have more, and from classes that it does not have it abstains.

    Args:
        path: run folder of a training, or its bundle folder; on the command line ``--source RUN`` is enough.
        features: store made by the model's own encoder, or the .npz it was trained on.
        images: instead, folder of the photos.
        batch_size: photos per pass through the network.
        workers: extra processes that read photos.

    Raises:
        OneLabelError: there is no model, not one of features and images is given, or the model cannot read
            them.
    """

    def __init__(
        self,
        path: str | Path = "",
        features: str | None = None,
        images: str | None = None,
        batch_size: int = 32,
        workers: int = 0,
    ) -> None:
        super().__init__(f"the model {path}")
        if not str(path):
            raise OneLabelError("the source 'bundle' needs its model: give --source RUN")
        if (features is None) == (images is None):
            raise OneLabelError(
                f"the model {path} must see the images: give either --source.features STORE or "
                "--source.images DIR"
            )
        self.bundle = load_bundle(path)
        self.features, self.images = features, images
        self.batch_size, self.workers = batch_size, workers
        self.provenance = {
            "model": Path(path).name,
            "sha256": digest_file(find_bundle(path) / WEIGHTS),
            "method": str(self.bundle.method.get("name", "unknown")),
            "thresholds": self.bundle.thresholds.source,
        }

    def _read(self, table: LabelTable) -> Opinions:
        ours = {name: column for column, name in enumerate(self.bundle.class_ids)}
        shared = [name for name in table.class_ids if name in ours]
        if not shared:
            raise OneLabelError(f"{self.origin} has none of the classes of the labels")
        columns = [ours[name] for name in shared]
        score = np.empty((len(table), len(shared)), np.float32)
        decision = np.zeros(score.shape, np.int8)
        parts = _from_features if self.features is not None else _from_photos
        for rows, logits in parts(self, table):
            probs = self.bundle.probabilities(logits)
            score[rows] = probs[:, columns]
            decision[rows] = self.bundle.decide(probs)[:, columns] == 1
        self.notes = (f"decisions of {self.origin}: threshold {self.bundle.thresholds.source}",)
        return Opinions(table.ids, tuple(shared), decision, score)


def _from_features(source: BundleSource, table: LabelTable) -> Iterator[Part]:
    bundle, path = source.bundle, str(source.features)
    store = open_features(path)
    if store.dim != bundle.head.in_features:
        raise OneLabelError(
            f"{source.origin} reads {bundle.head.in_features} numbers, {path} has {store.dim}"
        )
    if isinstance(store, EmbeddingStore):
        store.require(bundle.fingerprints.get("features", {}))
    rows = align(store, table.ids, path)
    for start in range(0, len(table), _ROWS_AT_ONCE):
        index = np.arange(start, min(start + _ROWS_AT_ONCE, len(table)))
        yield index, bundle.score_features(torch.from_numpy(store.rows(rows[index])[:, 0]))


def _from_photos(source: BundleSource, table: LabelTable) -> Iterator[Part]:
    bundle, root = source.bundle, Path(str(source.images))
    if bundle.backbone is None:
        raise OneLabelError(
            f"{source.origin} was trained on features from a file and reads no photos: give --source.features"
        )
    found = resolve(table.ids, root)
    if len(found.missing):
        some = ", ".join(table.ids.text(int(row)) for row in found.missing[:3])
        raise OneLabelError(
            f"{len(found.missing)} of {len(table)} photos are missing in {root} (such as {some}): run "
            "onelabel check for the list"
        )
    paths = [root / path for path in found.paths]
    batches = read_photos(
        paths, bundle.backbone.preprocess, batch_size=source.batch_size, workers=source.workers,
        max_pixels=MAX_PIXELS,
    )  # fmt: skip
    with progress("score", len(paths)) as advance:
        for rows, pixels, errors in batches:
            for error in errors:
                raise error
            yield np.array(rows, np.int64), bundle.score(pixels)
            advance(len(rows))
