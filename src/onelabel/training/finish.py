"""What a finished run leaves behind: model, predictions, metrics, and a few lines for the user."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from onelabel.evaluation.evaluate import Evaluation, evaluate
from onelabel.evaluation.selection import selection_sentence
from onelabel.labels.table import LabelTable
from onelabel.models.backbones import Backbone
from onelabel.models.bundle import UNCALIBRATED, Bundle, Thresholds
from onelabel.models.bundle_write import write_bundle
from onelabel.models.seen import Seen, hash_ids
from onelabel.training.common import Trained
from onelabel.training.decide import usual_rule, with_thresholds
from onelabel.training.parts import Parts
from onelabel.training.recipe import Recipe
from onelabel.training.run_folder import RunFolder


def finish_run(
    run: RunFolder,
    recipe: Recipe,
    trained: Trained,
    backbone: Backbone | None,
    fingerprints: Mapping[str, Any],
) -> str:
    """Write bundle, predictions and metrics of a run; return what to print.

    Args:
        run: its folder.
        recipe: what was trained.
        trained: what the loop handed over.
        backbone: the network under the head, or None for features of unknown origin.
        fingerprints: of the features and embeddings, for the bundle.
    """
    parts, select = recipe.parts, recipe.settings.select
    summary = {
        "select": select,
        "selection_means": selection_sentence(select),
        "epoch": trained.epoch,
        "selection": None if select == "last" else trained.score,
    }
    bundle = Bundle(
        parts.train.classes,
        trained.head,
        backbone,
        Thresholds.not_calibrated(parts.train.num_classes),
        method=recipe.described,
        fingerprints=fingerprints,
        facts={"train": _facts(parts.train), "val": parts.val and _facts(parts.val), **summary},
    )
    lines = [f"kept epoch {trained.epoch}. {summary['selection_means']}"]
    metrics: dict[str, Any] = dict(summary)
    if parts.val is not None and trained.val_logits is not None:
        run.save_predictions(parts.val.ids, parts.val.class_ids, trained.val_logits)
        found = _evaluated(bundle, parts.val, trained.val_logits)
        metrics["val"] = found.to_dict()
        lines += ["", "validation images:", found.table(classes=5)]
        bundle = _decided(bundle, parts.val, trained.val_logits, _data(run))
    write_bundle(run.bundle, bundle, overwrite=True, seen=_seen(parts, bool(bundle.thresholds.fit)))
    run.finish(metrics)
    lines += ["", f"decisions: threshold {bundle.thresholds.source}"]
    lines += ["", f"run: {run.path}   model: {run.bundle}"]
    if backbone is not None:
        lines.append(f"next: onelabel predict {run.path} PHOTOS --out tags.csv")
    return "\n".join(lines)


def _evaluated(bundle: Bundle, val: LabelTable, logits: NDArray[np.float32]) -> Evaluation:
    """Return the figures on the validation images, but for decisions: thresholds are fitted to the same."""
    probs = {UNCALIBRATED: bundle.probabilities(torch.from_numpy(logits))}
    return evaluate(logits, val.dense(), val.class_ids, probs=probs)


def _decided(bundle: Bundle, val: LabelTable, logits: NDArray[np.float32], data: str) -> Bundle:
    """Return the model with thresholds that suit the validation images, where their labels can tell.

    What is unknown in training keeps probabilities that mean little: with EM they stay near 0.5.
    """
    rule = usual_rule(val)
    return bundle if rule is None else with_thresholds(bundle, val, logits, data, rule)[0]


def _data(run: RunFolder) -> str:
    """Return what the validation images are called: ``--val``, or a part of the labels."""
    config = run.config
    if config.get("val"):
        return Path(config["val"]).name
    return f"the validation part of {Path(config['labels']).name}" if config.get("labels") else "validation"


def _seen(parts: Parts, fitted: bool) -> Seen:
    train = hash_ids(parts.train.ids)
    if parts.val is None:
        return Seen(train)
    val = hash_ids(parts.val.ids)
    return Seen(train, val, val) if fitted else Seen(train, val)


def _facts(table: LabelTable) -> dict[str, int]:
    counts = table.counts()
    return {
        "images": len(table),
        "classes": table.num_classes,
        "positive": int(counts.positive.sum()),
        "negative": int(counts.negative.sum()),
        "unknown": int(counts.unknown.sum()),
    }
