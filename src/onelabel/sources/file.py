"""Pseudo-labels from a file: another tagger's, a reviewer's, or those of any program."""

from __future__ import annotations

import unicodedata
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels.table import LabelTable

Arrays = Mapping[str, NDArray[Any]]
NEEDED = ("ids", "classes", "pseudo")
WITHOUT_SCORE = torch.tensor([0.5, 1.0, 0.0])  # of the pseudo-labels 0, +1 and, from the end, -1


class FileSource:
    """Pseudo-labels from an ``.npz`` file with these arrays, none of them pickled:

    * ``ids`` (N,) text: image ids, as in the labels;
    * ``classes`` (C,) text: class ids, as in the labels;
    * ``pseudo`` (N, C) integers: +1 present, 0 no opinion, -1 absent;
    * ``score`` (N, C) numbers in [0, 1], how probable "present" is; without it 1, ½ and 0 for +1, 0 and -1.

    Images and classes are matched by id, whatever their order; the file may hold more of both than the
    labels. A pseudo-label holds for the mirror image too and in every epoch. The whole file is kept in
    memory: N·C bytes, and 4·N·C more with scores.

    Args:
        path: the file; on the command line ``--source FILE.npz`` is enough.

    Raises:
        OneLabelError: there is no such file, or it does not hold these arrays.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "tags.npz"
        >>> np.savez(path, ids=["b.jpg", "a.jpg"], classes=["dog", "cat"], pseudo=[[1, 0], [1, -1]])
        >>> source = FileSource(path)
        >>> source.start(LabelTable.from_dense(["a.jpg"], ["cat", "dog"], [[0, 0]]))
        >>> nothing = torch.zeros(1, 2, dtype=torch.int8)
        >>> source.pseudo(torch.tensor([0]), nothing, torch.tensor([False]), epoch=1)
        (tensor([[-1,  1]], dtype=torch.int8), tensor([[0., 1.]]))
    """

    def __init__(self, path: str | Path = "") -> None:
        if not str(path):
            raise OneLabelError("the source 'file' needs its file: give --source FILE.npz")
        self.path = Path(path)
        arrays = _read(self.path)
        self._pseudo = _labels(arrays["pseudo"], self.path)
        self._score = _scores(arrays.get("score"), self._pseudo.shape, self.path)
        self._ids = _names(arrays["ids"], len(self._pseudo), "ids", self.path)
        self._classes = _names(arrays["classes"], self._pseudo.shape[1], "classes", self.path)
        self._rows = self._columns = np.empty(0, np.int64)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know, a sentence each; after :meth:`start`."""
        unused = {
            "images": len(self._ids) - len(self._rows), "classes": len(self._classes) - len(self._columns)
        }  # fmt: skip
        left = [f"{count} {what}" for what, count in unused.items() if count]
        return (f"{self.path} holds {' and '.join(left)} more than the training labels",) if left else ()

    def start(self, table: LabelTable) -> None:
        """Find the rows of the images and the columns of the classes.

        Raises:
            OneLabelError: images or classes of the table are not in the file; some are named.
        """
        self._rows = _find(self._ids, table.ids, "images", self.path)
        self._columns = _find(self._classes, IdTable.from_strings(table.class_ids), "classes", self.path)

    def pseudo(
        self,
        index: Tensor,
        labels: Tensor,
        mirrored: Tensor,  # noqa: ARG002 (part of the interface; what is on a photo is on its mirror image)
        epoch: int,  # noqa: ARG002 (likewise; the file is the same in every epoch)
    ) -> tuple[Tensor, Tensor]:
        """Return pseudo-labels (B, C) int8, 0 where ``labels`` is not 0, and scores (B, C) float32."""
        cells = np.ix_(self._rows[index.cpu().numpy()], self._columns)
        pseudo = torch.from_numpy(self._pseudo[cells])
        score = WITHOUT_SCORE[pseudo.long()] if self._score is None else torch.from_numpy(self._score[cells])
        pseudo = pseudo.to(labels.device)
        return torch.where(labels == 0, pseudo, torch.zeros_like(pseudo)), score.to(labels.device)


def _read(path: Path) -> Arrays:
    if not path.is_file():
        raise OneLabelError(f"there is no file {path} of pseudo-labels")
    if not zipfile.is_zipfile(path):
        raise OneLabelError(f"{path} is not an .npz archive; write it with numpy.savez")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in (*NEEDED, "score") if key in archive}
    except Exception as error:  # damaged archives raise nearly every type there is
        raise OneLabelError(f"{path} cannot be read as plain arrays: {error}") from None
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):  # NumPy hands out bytes then
        raise OneLabelError(f"{path} cannot be read as plain arrays: what it holds are none")
    missing = [key for key in NEEDED if key not in arrays]
    if missing:
        raise OneLabelError(f"{path} has no {' and no '.join(missing)}; it must have {', '.join(NEEDED)}")
    return arrays


def _labels(values: NDArray[Any], path: Path) -> NDArray[np.int8]:
    if values.ndim != 2 or values.dtype.kind not in "iu":
        raise OneLabelError(
            f"{path}: pseudo must be integers (images, classes), not {values.shape} {values.dtype}"
        )
    bad = np.argwhere(~np.isin(values, (-1, 0, 1)))
    if len(bad):
        row, column = bad[0].tolist()
        raise OneLabelError(
            f"{path}: pseudo[{row}, {column}] is {values[row, column]}; it must be 1 (present), 0 (no "
            "opinion) or -1 (absent)"
        )
    return values.astype(np.int8)


def _scores(values: NDArray[Any] | None, shape: tuple[int, ...], path: Path) -> NDArray[np.float32] | None:
    if values is None:
        return None
    if values.shape != shape or values.dtype.kind not in "fiu":
        raise OneLabelError(
            f"{path}: score must be numbers {shape} as pseudo, not {values.shape} {values.dtype}"
        )
    if not bool(((values >= 0) & (values <= 1)).all()):
        raise OneLabelError(f"{path}: every score must be a number from 0 to 1")
    return values.astype(np.float32)


def _names(values: NDArray[Any], count: int, key: str, path: Path) -> IdTable:
    if values.shape != (count,) or values.dtype.kind != "U":
        raise OneLabelError(
            f"{path}: {key} must be {count} texts to fit pseudo, not {values.shape} {values.dtype}"
        )
    names = IdTable.from_strings(unicodedata.normalize("NFC", name) for name in values.tolist())
    try:
        names.require_distinct(key)
    except OneLabelError as error:
        raise OneLabelError(f"{path}: {error}") from None
    return names


def _find(ours: IdTable, wanted: IdTable, what: str, path: Path) -> NDArray[np.int64]:
    rows = ours.rows_of(wanted)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        some = ", ".join(repr(wanted.text(int(row))) for row in missing[:3])
        raise OneLabelError(
            f"{path} has nothing for {len(missing)} of {len(wanted)} {what} of the training labels, such as "
            f"{some}: add them, with 0 where there is no opinion"
        )
    return rows
