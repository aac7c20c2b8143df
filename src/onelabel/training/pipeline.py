"""A run from labels to model: everything is opened and checked before the run folder is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from onelabel.io.progress import Advance, progress
from onelabel.labels.table import LabelTable
from onelabel.models.bundle import Bundle
from onelabel.training.common import Log
from onelabel.training.encoders import backbone_under
from onelabel.training.features import FeatureRows
from onelabel.training.finish import finish_run
from onelabel.training.first_weights import first_head
from onelabel.training.heads import train_head
from onelabel.training.identity import identity
from onelabel.training.method_state import write_state
from onelabel.training.recipe import Recipe
from onelabel.training.resume import KEEP, Keep, claimed, open_run
from onelabel.training.run_folder import RunFolder
from onelabel.training.space import bytes_needed
from onelabel.vlm.features import FeatureStore, open_features
from onelabel.vlm.store import EmbeddingStore


def train_on_features(
    recipe: Recipe, features: str, out: str, config: Mapping[str, Any], keep: Keep = KEEP
) -> str:
    """Train a head on a store of features, or on an ``.npz`` file; return what to print.

    Args:
        recipe: what to train.
        features: the store.
        out: run folder, which must be free or the folder of a run to replace.
        config: resolved settings, for ``config.yaml``.
        keep: how the run is kept against interruptions.

    Raises:
        OneLabelError: images without features, other features than those of ``--init``, an encoder that
            cannot be loaded, or a run that fails.
    """
    parts, store = recipe.parts, open_features(features)
    train = _rows(store, parts.train, mirrored=recipe.settings.mirror)
    val = None if parts.val is None else _rows(store, parts.val, mirrored=False)
    if recipe.earlier is not None:
        _require_same_features(store, recipe.earlier)
    backbone, head = backbone_under(store), first_head(recipe, store.dim)
    data = identity(recipe, head, store.fingerprint)
    whole = head if backbone is None else torch.nn.ModuleList([head, backbone])
    run, checkpoints = open_run(out, config, data, bytes_needed(recipe, head, whole), keep)
    with claimed(run, checkpoints):
        with progress("train", recipe.settings.epochs, "epochs") as advance:
            advance(checkpoints.epoch)
            trained = train_head(train, val, recipe, _logger(run, advance), checkpoints)
        write_state(run.path, recipe.method, parts.train)
        said = finish_run(run, recipe, trained, backbone, {"features": store.fingerprint})
        checkpoints.remove()
    return f"{trained.ended}\n{said}"


def _rows(store: FeatureStore, table: LabelTable, *, mirrored: bool) -> FeatureRows:
    rows = FeatureRows(store, table)
    rows.require_finite(mirrored)
    return rows


def _require_same_features(store: FeatureStore, earlier: Bundle) -> None:
    if isinstance(store, EmbeddingStore) and "features" in earlier.fingerprints:
        store.require(earlier.fingerprints["features"])


def _logger(run: RunFolder, advance: Advance) -> Log:
    def log(entry: dict[str, Any]) -> None:
        run.log(entry)
        advance()

    return log
