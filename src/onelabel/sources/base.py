"""What a source of pseudo-labels is. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

    from onelabel.labels.table import LabelTable


@runtime_checkable
class Source(Protocol):
    """Proposes labels where nothing is known.

    A training loop calls ``start`` once and ``pseudo`` for each batch. Any class with these two methods is
    a source.
    """

    def start(self, table: LabelTable) -> None:
        """Get ready for the training rows.

        Args:
            table: their labels; ``index`` counts rows of this table.

        Raises:
            OneLabelError: the source has nothing for some of the images, or does not fit the classes.
        """

    def pseudo(self, index: Tensor, labels: Tensor, mirrored: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        """Return pseudo-labels and their scores for some images.

        Args:
            index: (B,) int64, rows of the table.
            labels: (B, C) int8, what is known of them: +1 present, 0 unknown, -1 absent.
            mirrored: (B,) bool, whether the classifier sees the mirror image.
            epoch: from 1.

        Returns:
            Pseudo-labels (B, C) int8 in {+1, 0, -1}, 0 wherever ``labels`` is not 0; scores (B, C) float32.
        """
