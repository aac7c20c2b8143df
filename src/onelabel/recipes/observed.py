"""The published protocol on a data set: what is trained on, what chooses the epoch, what is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onelabel.io.errors import OneLabelError
from onelabel.io.manifest import digest_json
from onelabel.labels.simulate import simulate_single_positives
from onelabel.labels.table import LabelTable

VAL_FRACTION = 0.2


@dataclass(frozen=True)
class Parts:
    """A data set under the published protocol.

    Args:
        training: training images with their observed labels and validation images with all, as two splits.
        test: test images with all labels.
    """

    training: LabelTable
    test: LabelTable


def observe_parts(table: LabelTable, simulate: Mapping[str, Any]) -> Parts:
    """Hide labels of the official training images and split off a fifth for validation, seeds 1200.

    Args:
        table: complete labels, with the splits train and test.
        simulate: ``positives`` and ``negatives`` kept per image; by default one and none.

    Raises:
        OneLabelError: a part is missing or has no complete labels.

    Example:
        >>> from dataclasses import replace
        >>> ids = [f"{n}.jpg" for n in range(12)]
        >>> full = LabelTable.from_dense(ids, ["cat", "dog"], [[1, 1]] * 12)
        >>> codes = np.repeat([0, 1], [10, 2]).astype(np.int8)
        >>> parts = observe_parts(replace(full, splits=codes, split_names=("train", "test")), {})
        >>> [len(parts.training.part(name)) for name in ("train", "val")], len(parts.test)
        ([8, 2], 2)
        >>> int(parts.training.part("train").counts().positive.sum())
        8
    """
    absent = [name for name in ("train", "test") if name not in table.split_names]
    if absent:
        raise OneLabelError(f"a benchmark needs the parts train and test, and there is no {absent[0]} part")
    if table.counts().unknown.any():
        raise OneLabelError(
            "a benchmark hides labels itself and needs complete ones, and here labels are unknown: give the "
            "complete training list"
        )
    observed = simulate_single_positives(table, val_fraction=VAL_FRACTION, **simulate)
    assert observed.splits is not None
    rows = np.flatnonzero(observed.splits != observed.split_names.index("test"))
    return Parts(observed.take(rows), table.part("test"))


def prepared_name(what: str, data: str | Path, settings: Mapping[str, Any]) -> str:
    """Name what runs on the same data set can share, so that other data or settings get another name.

    Args:
        what: beginning of the name.
        data: folder of the data set.
        settings: what decides the content.

    Example:
        >>> prepared_name("labels", "voc", {}) == prepared_name("labels", "voc", {"negatives": -1})
        False
    """
    return f"{what}-{digest_json([str(Path(data).resolve()), dict(settings)])[:8]}"
