"""Cached features in the order of a label table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onelabel.io.errors import OneLabelError
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

    def checked(self, index: Rows, mirrored: Bits | None = None) -> Tensor:
        """Return the same, refusing what is no finite number.

        Raises:
            OneLabelError: names file, row and image.
        """
        found = self.batch(index, mirrored)
        bad = (~torch.isfinite(found).all(dim=1)).nonzero()
        if len(bad):
            place = int(index[int(bad[0])])
            raise OneLabelError(
                f"{getattr(self.features, 'path', 'the features')}: row {self._rows[place]} "
                f"({self.table.ids.text(place)!r}) holds NaN or infinity: embed again"
            )
        return found

    def require_finite(self, mirrored: bool) -> None:
        """Read all rows of the table once, and with ``mirrored`` those of the mirror images too.

        Raises:
            OneLabelError: one holds NaN or infinity; names file, row and image.
        """
        for index in self.chunks():
            self.checked(index)
            if mirrored and self.features.mirrored:
                self.checked(index, np.ones(len(index), np.bool_))

    def chunks(self) -> Iterator[Rows]:
        """Yield the rows of the table from first to last, some thousand at a time."""
        for start in range(0, len(self.table), CHUNK):
            yield np.arange(start, min(start + CHUNK, len(self.table)))
