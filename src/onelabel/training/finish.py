"""What a finished run leaves behind: model, predictions, metrics, and a few lines for the user."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from onelabel.evaluation.evaluate import evaluate
from onelabel.evaluation.selection import selection_sentence
from onelabel.evaluation.thresholds import best_f1_threshold, recall_threshold
from onelabel.labels.table import LabelTable
from onelabel.models.backbones import Backbone
from onelabel.models.bundle import Bundle, Thresholds
from onelabel.models.bundle_write import write_bundle
from onelabel.training.common import Trained
from onelabel.training.parts import Parts
from onelabel.training.recipe import Recipe
from onelabel.training.run_folder import RunFolder

_RECALL = 0.9
"""Share of the known positives that decisions find where nothing known can be wrong."""


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
        _thresholds(parts, trained),
        method=recipe.described,
        fingerprints=fingerprints,
        facts={"train": _facts(parts.train), "val": parts.val and _facts(parts.val), **summary},
    )
    write_bundle(run.bundle, bundle, overwrite=True)
    lines = [f"kept epoch {trained.epoch}. {summary['selection_means']}"]
    metrics: dict[str, Any] = dict(summary)
    if parts.val is not None and trained.val_logits is not None:
        run.save_predictions(parts.val.ids, parts.val.class_ids, trained.val_logits)
        found = evaluate(trained.val_logits, parts.val.dense(), parts.val.class_ids)
        metrics["val"] = found.to_dict()
        lines += ["", "validation images:", found.table(classes=5)]
    run.finish(metrics)
    lines += ["", f"run: {run.path}   model: {run.bundle}"]
    if backbone is not None:
        lines.append(f"next: onelabel predict {run.path} PHOTOS --out tags.csv")
    return "\n".join(lines)


def _thresholds(parts: Parts, trained: Trained) -> Thresholds:
    """Return the threshold that suits the validation images, where their labels can tell.

    What is unknown in training keeps probabilities that mean little: with EM they stay near 0.5.
    """
    classes = parts.train.num_classes
    if parts.val is None or trained.val_logits is None:
        return Thresholds.not_calibrated(classes)
    probs, labels = torch.sigmoid(torch.from_numpy(trained.val_logits)), parts.val.dense()
    cut = best_f1_threshold(probs, labels)
    source = f"best pooled F1 on {len(labels)} validation images, one for all classes"
    if math.isnan(cut):
        cut = recall_threshold(probs, labels, _RECALL)
        source = (
            f"{_RECALL:.0%} of the known positives of {len(labels)} validation images reach it, one for all "
            "classes; without known absences, how many decisions are false is not known"
        )
    return (
        Thresholds.not_calibrated(classes) if math.isnan(cut) else Thresholds(np.full(classes, cut), source)
    )


def _facts(table: LabelTable) -> dict[str, int]:
    counts = table.counts()
    return {
        "images": len(table),
        "classes": table.num_classes,
        "positive": int(counts.positive.sum()),
        "negative": int(counts.negative.sum()),
        "unknown": int(counts.unknown.sum()),
    }
