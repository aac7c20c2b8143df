"""Cached features in the order of a label table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onelabel.labels.table import LabelTable
from onelabel.vlm.features import FeatureStore, align

Rows = NDArray[np.int64]
Bits = NDArray[np.bool_]
CHUNK = 4096


class FeatureRows:
    """Rows of a feature store in the order of a label table.

    Args:
        features: the store.
        table: labels; every image of it must be in the store.

    Raises:
        OneLabelError: images of the table are not in the store; names some.
    """

    def __init__(self, features: FeatureStore, table: LabelTable) -> None:
        self.features = features
        self.table = table
        self._rows = align(features, table.ids, "the features")

    def batch(self, index: Rows, mirrored: Bits | None = None) -> Tensor:
        """Return the whole-image features (B, D) of rows of the table."""
        return torch.from_numpy(self.features.rows(self._rows[index], mirrored)[:, 0])

    def chunks(self) -> Iterator[Rows]:
        """Yield the rows of the table from first to last, some thousand at a time."""
        for start in range(0, len(self.table), CHUNK):
            yield np.arange(start, min(start + CHUNK, len(self.table)))
