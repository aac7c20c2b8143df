"""Cached features in the order of a label table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels.table import LabelTable

Rows = NDArray[np.int64]
Bits = NDArray[np.bool_]
CHUNK = 4096


class Features(Protocol):
    """Cached features: a store of ours, or an ``.npz`` file."""

    @property
    def ids(self) -> IdTable:
        """Image ids, in the order of the rows."""

    @property
    def dim(self) -> int:
        """Length D of a feature vector."""

    @property
    def mirrored(self) -> bool:
        """Whether there is a second row for the mirrored image."""

    def rows(self, index: Rows, mirrored: Bits | None = None) -> NDArray[np.float32]:
        """Return features (B, views, D)."""


class FeatureRows:
    """Rows of a feature store in the order of a label table.

    Args:
        features: the store.
        table: labels; every image of it must be in the store.

    Raises:
        OneLabelError: images of the table are not in the store; names some.
    """

    def __init__(self, features: Features, table: LabelTable) -> None:
        self.features = features
        self.table = table
        self._rows = features.ids.rows_of(table.ids)
        missing = np.flatnonzero(self._rows < 0)
        if len(missing):
            names = ", ".join(table.ids.text(int(row)) for row in missing[:3])
            raise OneLabelError(
                f"{len(missing)} of {len(table)} labelled images are not in the features (such as {names}): "
                "embed them first, with the same labels and --images folder"
            )

    def batch(self, index: Rows, mirrored: Bits | None = None) -> Tensor:
        """Return the whole-image features (B, D) of rows of the table."""
        return torch.from_numpy(self.features.rows(self._rows[index], mirrored)[:, 0])

    def chunks(self) -> Iterator[Rows]:
        """Yield the rows of the table from first to last, some thousand at a time."""
        for start in range(0, len(self.table), CHUNK):
            yield np.arange(start, min(start + CHUNK, len(self.table)))
