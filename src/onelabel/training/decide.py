"""Thresholds and calibration of a model, from labelled images."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from onelabel.evaluation.calibration import fit_platt
from onelabel.evaluation.metrics import support
from onelabel.evaluation.rules import Rule, parse_rule
from onelabel.evaluation.thresholds import FittedThresholds, Scope, can_tell, fit_thresholds
from onelabel.labels.table import LabelTable
from onelabel.models.bundle import Bundle, Calibration, Thresholds
from onelabel.models.bundle_read import find_bundle
from onelabel.models.bundle_write import write_decisions
from onelabel.models.seen import Seen, read_seen, write_seen

USUAL, USUAL_FROM_POSITIVES = "f1", "recall:0.9"
"""Rules of a training: with known absences, and without."""

_ROWS_AT_ONCE = 4096


def usual_rule(table: LabelTable) -> str | None:
    """Return the rule that a training follows on validation labels; None where nothing is known present."""
    known = support(table.dense())
    rules = (USUAL, USUAL_FROM_POSITIVES)
    return next((rule for rule in rules if can_tell(parse_rule(rule), known).any()), None)


def with_thresholds(
    bundle: Bundle,
    table: LabelTable,
    logits: NDArray[np.float32],
    data: str,
    rule: str | Rule,
    scope: Scope | None = None,
) -> tuple[Bundle, FittedThresholds]:
    """Return a model with thresholds fitted to labelled images, and the fit.

    They are fitted to the model's probabilities as ``onelabel predict`` writes them, so calibrate first.

    Args:
        bundle: the model.
        table: labels, with the model's classes in its order.
        logits: (N, C) of the model on these images.
        data: what the images are called, such as the name of the label file.
        rule: see :func:`onelabel.evaluation.rules.parse_rule`.
        scope: see :func:`onelabel.evaluation.fit_thresholds`.

    Raises:
        OneLabelError: the labels cannot tell what the rule asks.
    """
    probs = bundle.probabilities(torch.from_numpy(logits))
    found = fit_thresholds(probs, table.dense(), table.class_ids, rule, scope)
    fit = {**_data(table, data), **found.to_dict()}
    return replace(bundle, thresholds=Thresholds(found.values, found.source(data), fit)), found


def with_calibration(bundle: Bundle, table: LabelTable, logits: NDArray[np.float32], data: str) -> Bundle:
    """Return a model with Platt curves fitted to labelled images; its thresholds no longer hold.

    Args:
        bundle: the model.
        table: labels, with the model's classes in its order.
        logits: (N, C) of the model on these images.
        data: what the images are called.

    Raises:
        OneLabelError: no class has known positives and known absences.
    """
    found = fit_platt(logits, table.dense(), table.class_ids)
    own = int(found.own.sum())
    source = f"Platt curves fitted to {len(table)} images of {data}"
    if own < len(found.own):
        source += f", one for all classes but {own} that have enough known images for their own"
    known = found.known
    columns = {
        "positive": known.positive, "negative": known.negative, "unknown": known.unknown, "own": found.own,
    }  # fmt: skip
    lists = {name: column.tolist() for name, column in columns.items()}
    classes = {
        class_id: {name: lists[name][c] for name in lists} for c, class_id in enumerate(table.class_ids)
    }
    fit = {**_data(table, data), "method": "platt", "classes": classes}
    return replace(bundle, calibration=Calibration(found.slope, found.intercept, source, fit))


def store_decisions(run: str, bundle: Bundle, table: LabelTable) -> None:
    """Write the thresholds and the calibration of a model into its folder, and what they were fitted to.

    Args:
        run: run folder of a training, or its bundle folder.
        bundle: what was loaded from it, with new thresholds and calibration.
        table: the images that they were fitted to.

    Raises:
        OneLabelError: the folder cannot be written.
    """
    folder = find_bundle(run)
    # The images first: a note too many does no harm, one too few does.
    write_seen(folder, (read_seen(folder) or Seen()).fitted_to(table.ids))
    write_decisions(folder, bundle)


def _data(table: LabelTable, data: str) -> dict[str, Any]:
    return {"data": data, "images": len(table), "labels_sha256": digest_labels(table)}


def digest_labels(table: LabelTable) -> str:
    """Return the SHA-256 of image ids, class ids and labels, the same however the table is stored.

    Example:
        >>> one = LabelTable.from_dense(["a.jpg"], ["cat", "dog"], [[1, 0]])
        >>> digest_labels(one) == digest_labels(one.with_default(exhaustive=True))
        False
    """
    digest = hashlib.sha256("\0".join(table.class_ids).encode())
    for part in (table.ids.offsets, table.ids.buffer):
        digest.update(np.ascontiguousarray(part).tobytes())
    for start in range(0, len(table), _ROWS_AT_ONCE):
        digest.update(table.rows(np.arange(start, min(start + _ROWS_AT_ONCE, len(table)))).tobytes())
    return digest.hexdigest()
