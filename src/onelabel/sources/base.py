"""What a source of pseudo-labels is. Loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

    from onelabel.labels.table import LabelTable

STATIC = 0
"""Epoch of pseudo-labels that are made once and kept."""


@runtime_checkable
class Source(Protocol):
    """Proposes labels where nothing is known.

    A training loop calls ``start`` once and ``pseudo`` for each batch. Any class with these two methods is
    a source. It may also have

    * ``notes``: what a user should know, a sentence each; read after ``start``;
    * ``provenance``: where its scores come from, as texts by name, for the records;
    * ``decides``: False where it gives scores alone, and a rule must say which of them are pseudo-labels.
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
            epoch: from 1; :data:`STATIC` for a set that is made once: then nothing is mirrored.

        Returns:
            Pseudo-labels (B, C) int8 in {+1, 0, -1}, 0 wherever ``labels`` is not 0; scores (B, C) float32,
            how probable "present" is, in [0, 1], or NaN where the source abstains.
        """


def decides(source: Source) -> bool:
    """Say whether a source makes decisions of its own."""
    return bool(getattr(source, "decides", True))


def notes_of(source: Source | None) -> tuple[str, ...]:
    """Return what a started source has to say."""
    return tuple(getattr(source, "notes", ()))


def provenance_of(source: Source) -> dict[str, str]:
    """Return where the scores of a source come from, as far as it says so."""
    return dict(getattr(source, "provenance", {}))
