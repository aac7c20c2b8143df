"""What a run left behind and what can be found again, as the parts of a report read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from onelabel.evaluation.bootstrap import MapInterval
from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.models.bundle import Bundle
from onelabel.training.run_folder import RunFolder

Logits = NDArray[np.float32]
_LARGEST = 30.0


@dataclass(frozen=True, eq=False)
class Judged:
    """Images with labels and scores, and what was measured on them.

    Args:
        what: which images these are, in words.
        chose: they also chose the epoch and the thresholds, so that the figures flatter.
        found: every metric that the labels allow, as :meth:`onelabel.evaluation.evaluate.Evaluation.to_dict`.
        table: their labels, with the classes of the model; None where only ``found`` is left.
        logits: (N, C), or None.
        interval: of the mAP; None where none was asked for, or there is no mAP.
    """

    what: str
    chose: bool
    found: Mapping[str, Any]
    table: LabelTable | None = None
    logits: Logits | None = None
    interval: MapInterval | None = None


@dataclass(frozen=True, eq=False)
class Material:
    """All that a report is made of.

    Args:
        run: the run folder.
        bundle: its model.
        train: labels of the training images, read again; None where that is not possible.
        train_logits: scores of the training images, or None.
        judged: images to judge the model by, or None.
        grade: how good the pseudo-labels are (:meth:`onelabel.sources.grade.Grade.to_dict`), or None.
        photos: image folder, or None.
        gaps: what the report lacks, and what to do about it; a sentence each.
    """

    run: RunFolder
    bundle: Bundle
    train: LabelTable | None = None
    train_logits: Logits | None = None
    judged: Judged | None = None
    grade: Mapping[str, Any] | None = None
    photos: Path | None = None
    gaps: tuple[str, ...] = field(default=())

    @cached_property
    def config(self) -> dict[str, Any]:
        """Settings of the run."""
        return self.run.config

    @cached_property
    def epochs(self) -> list[dict[str, Any]]:
        """A line for each epoch, as the run logged it."""
        return read_epochs(self.run)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the classes; their ids where two have the same name."""
        names = tuple(info.name for info in self.bundle.classes)
        return names if len(set(names)) == len(names) else self.bundle.class_ids

    def surplus(self, logits: Logits) -> NDArray[np.float64]:
        """Return by how much logits (N, C) exceed the threshold of their class; from 0 on it is called."""
        values, calibration = logits.astype(np.float64), self.bundle.calibration
        if calibration is not None:
            values = values * calibration.slope + calibration.intercept
        cuts = self.bundle.thresholds.values
        with np.errstate(divide="ignore", invalid="ignore"):
            at = np.where(cuts < 1, np.log(cuts) - np.log1p(-cuts), np.inf)
        above: NDArray[np.float64] = values - np.clip(at, -_LARGEST, _LARGEST)
        return above

    def probs(self, logits: Logits) -> NDArray[np.float32]:
        """Return the probabilities (N, C) that the model gives."""
        return self.bundle.probabilities(torch.from_numpy(logits))


def read_epochs(run: RunFolder) -> list[dict[str, Any]]:
    """Read ``metrics.jsonl``; empty where there is none.

    Raises:
        OneLabelError: a line of it is not a JSON object.
    """
    file = run.path / "metrics.jsonl"
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    try:
        entries = [json.loads(line) for line in lines]
    except (ValueError, RecursionError):
        entries = [None]
    if not all(isinstance(entry, dict) for entry in entries):
        raise OneLabelError(f"{file} holds a line that is no JSON object: the file was changed")
    return entries
