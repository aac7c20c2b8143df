"""A source whose opinions are all known when training starts, matched by id: base of several."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.sources.opinions import Opinions, require_known

WITHOUT_SCORE = np.array([np.nan, 1.0, 0.0], np.float32)  # of the decisions 0, +1 and, from the end, -1


class OpinionSource:
    """A source that knows its opinions once it knows the training images; base of several.

    What it says holds for the mirror image too and in every epoch. A class of the labels that it does not
    have is one it abstains from. All opinions are kept in memory: N·C bytes for decisions, 4·N·C for scores.

    Args:
        origin: how messages call it, such as the path of a file.
    """

    decides = True
    whole = True
    """Whether every training image must be there."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.provenance: dict[str, str] = {}
        self.notes: tuple[str, ...] = ()
        self._opinions: Opinions | None = None
        self._rows = self._columns = np.empty(0, np.int64)

    def _read(self, table: LabelTable) -> Opinions:
        """Return the opinions; those on further images may be among them."""
        raise NotImplementedError

    def start(self, table: LabelTable) -> None:
        """Find the rows of the images and the columns of the classes.

        Raises:
            OneLabelError: images are missing, some of which are named, or a class is none of the labels'.
        """
        found = self._opinions = self._read(table)
        require_known(found.class_ids, table.class_ids, self.origin)
        columns = {name: column for column, name in enumerate(found.class_ids)}
        self._columns = np.array([columns.get(name, -1) for name in table.class_ids], np.int64)
        self._rows = found.ids.rows_of(table.ids)
        missing = np.flatnonzero(self._rows < 0)
        if len(missing) and (self.whole or len(missing) == len(table)):
            some = ", ".join(repr(table.ids.text(int(row))) for row in missing[:3])
            raise OneLabelError(
                f"{self.origin} has nothing for {len(missing)} of {len(table)} images of the training "
                f"labels, such as {some}: add them, without a score where there is no opinion"
            )
        self.notes = (*self.notes, *self._what_is_left(table, len(missing)))

    def _what_is_left(self, table: LabelTable, missing: int) -> tuple[str, ...]:
        assert self._opinions is not None
        notes = []
        more = len(self._opinions.ids) - (len(table) - missing)
        absent = [name for name, column in zip(table.class_ids, self._columns, strict=True) if column < 0]
        if more:
            notes.append(f"{self.origin} holds {more} images more than the training labels")
        if missing:
            notes.append(f"{self.origin} has an opinion on {len(table) - missing} of {len(table)} images")
        if absent:
            notes.append(f"{self.origin} abstains from {len(absent)} classes: {', '.join(absent)}")
        return tuple(notes)

    def pseudo(
        self,
        index: Tensor,
        labels: Tensor,
        mirrored: Tensor,  # noqa: ARG002 (part of the interface; what is on a photo is on its mirror image)
        epoch: int,  # noqa: ARG002 (likewise; opinions are the same in every epoch)
    ) -> tuple[Tensor, Tensor]:
        """Return pseudo-labels (B, C) int8, 0 where ``labels`` is not 0, and scores (B, C) float32."""
        assert self._opinions is not None, "start comes first"
        rows, found = self._rows[index.cpu().numpy()], self._opinions
        decision: NDArray[np.int8] = self._cells(found.decision, rows, 0, np.int8)
        if found.score is None:
            score: NDArray[np.float32] = WITHOUT_SCORE[decision]
        else:
            score = self._cells(found.score, rows, np.nan, np.float32)
        pseudo = torch.from_numpy(decision).to(labels.device)
        return torch.where(labels == 0, pseudo, torch.zeros_like(pseudo)), torch.from_numpy(score).to(
            labels.device
        )

    def _cells(
        self, values: NDArray[Any] | None, rows: NDArray[np.int64], missing: float, kind: type[Any]
    ) -> NDArray[Any]:
        """Return the values of some rows in the classes of the labels, ``missing`` where there are none."""
        cells = np.full((len(rows), len(self._columns)), missing, kind)
        here, there = np.flatnonzero(rows >= 0), np.flatnonzero(self._columns >= 0)
        if values is not None and len(here) and len(there):
            cells[np.ix_(here, there)] = values[np.ix_(rows[here], self._columns[there])]
        return cells
