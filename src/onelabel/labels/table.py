"""What is known about which image: one sparse table for every source of labels.

+1 known to be present, 0 unknown, -1 known to be absent (int8), here as everywhere in the package.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onelabel.io.errors import OneLabelError, unknown_name
from onelabel.io.ids import IdTable
from onelabel.labels.counts import Counts, count_cells
from onelabel.labels.entries import (
    cheapest_default,
    check_class_ids,
    check_values,
    distinct_ids,
    gather,
    merge_named,
    offsets,
    row_numbers,
    same_names,
    take_ids,
)

_CELLS_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class ClassInfo:
    """One class.

    Args:
        id: key of the class in every file and table.
        name: what people read.
        synonyms: further names for text prompts.

    Example:
        >>> ClassInfo("tvmonitor", "TV monitor", ("television",)).id
        'tvmonitor'
    """

    id: str
    name: str
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class LabelTable:
    """Labels of N images and C classes; memory grows with what differs from each image's default.

    Args:
        ids: image ids, POSIX paths relative to the image folder, Unicode NFC.
        classes: the classes in their fixed order.
        default: (N,) int8 in {0, -1}: value of every cell of the image that is not stored.
        indptr: (N + 1,) int64: where the stored cells of each image begin.
        indices: (stored,) int32: class of each stored cell, ascending within an image.
        values: (stored,) int8 in {+1, 0, -1}.
        weights: (stored,) float32 in (0, 1], or None where every weight is 1.
        groups: (N,) int32 rows of ``group_names``, -1 for an image without group; None without groups.
        group_names: names of the groups (patients, scenes, ...); a group is never in two splits.
        splits: (N,) int8 rows of ``split_names``, -1 for an image in no split; None without splits.
        split_names: names of the splits, such as ``("train", "val")``.

    Raises:
        OneLabelError: an array has the wrong length, or a class id is blank or appears twice.

    Example:
        >>> table = LabelTable.from_dense(["a.jpg", "b.jpg"], ["cat", "dog"], [[1, 0], [-1, 1]])
        >>> table.rows([1, 0]).tolist()
        [[-1, 1], [1, 0]]
        >>> table.counts().unknown.tolist()
        [0, 1]
    """

    ids: IdTable
    classes: tuple[ClassInfo, ...]
    default: NDArray[np.int8]
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.int8]
    weights: NDArray[np.float32] | None = None
    groups: NDArray[np.int32] | None = None
    group_names: IdTable = field(default_factory=lambda: IdTable.from_strings([]))
    splits: NDArray[np.int8] | None = None
    split_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n, stored = len(self.ids), len(self.indices)
        lengths = {
            "default": n,
            "groups": n,
            "splits": n,
            "indptr": n + 1,
            "values": stored,
            "weights": stored,
        }
        for name, length in lengths.items():
            array = getattr(self, name)
            if array is not None and array.shape != (length,):
                raise OneLabelError(f"label table: {name} has shape {array.shape}, expected ({length},)")
        check_class_ids(self.class_ids)

    @classmethod
    def from_dense(
        cls, ids: IdTable | Iterable[str], class_ids: Sequence[str], labels: ArrayLike
    ) -> LabelTable:
        """Build a table from a full matrix.

        Args:
            ids: N distinct image ids; only text is checked, an ``IdTable`` is trusted.
            class_ids: C class ids.
            labels: (N, C) whole numbers in {+1, 0, -1}.

        Raises:
            OneLabelError: an id appears twice, or the matrix has another shape or other values.
        """
        matrix = np.asarray(labels)
        ids = distinct_ids(ids)
        if matrix.shape != (len(ids), len(class_ids)):
            raise OneLabelError(f"labels have shape {matrix.shape}, expected ({len(ids)}, {len(class_ids)})")
        check_values(matrix)
        matrix = matrix.astype(np.int8, copy=False)
        default = cheapest_default((matrix == -1).sum(axis=1), (matrix == 0).sum(axis=1))
        image, column = np.nonzero(matrix != default[:, None])
        return cls.from_entries(ids, class_ids, image, column, matrix[image, column], default=default)

    @classmethod
    def from_entries(
        cls,
        ids: IdTable | Iterable[str],
        class_ids: Sequence[str],
        image_index: ArrayLike,
        class_index: ArrayLike,
        values: ArrayLike,
        weights: ArrayLike | None = None,
        default: int | NDArray[np.int8] = 0,
    ) -> LabelTable:
        """Build a table from single cells, in any order; cells that agree are merged.

        A known value beats 0 on the same cell, and the larger weight is kept.

        Args:
            ids: N distinct image ids; only text is checked, an ``IdTable`` is trusted.
            class_ids: C class ids.
            image_index: (M,) rows.
            class_index: (M,) columns.
            values: (M,) in {+1, 0, -1}.
            weights: (M,) in (0, 1], or None for 1.
            default: 0 or -1 for every cell not given: one number, or (N,) int8.

        Raises:
            LabelConflict: a cell is given both as +1 and as -1.
            OneLabelError: a value, weight or default is out of range, or an id appears twice.
            IndexError: a row or column does not exist.
        """
        ids = distinct_ids(ids)
        defaults = np.broadcast_to(np.asarray(default, np.int8), (len(ids),)).copy()
        if not np.isin(defaults, (0, -1)).all():
            raise OneLabelError("the default of an image must be 0 (unknown) or -1 (absent)")
        merged = merge_named(ids, class_ids, image_index, class_index, values, weights)
        keep = merged.values != defaults[merged.images]
        if merged.weights is not None:
            keep |= merged.weights != 1
        return cls(
            ids=ids,
            classes=tuple(ClassInfo(name, name) for name in class_ids),
            default=defaults,
            indptr=offsets(np.bincount(merged.images[keep], minlength=len(ids))),
            indices=merged.columns[keep].astype(np.int32),
            values=merged.values[keep],
            weights=None if merged.weights is None else merged.weights[keep],
        )

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def class_ids(self) -> tuple[str, ...]:
        """Ids of the classes in column order."""
        return tuple(info.id for info in self.classes)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def rows(self, index: ArrayLike) -> NDArray[np.int8]:
        """Return the labels of some images as (B, C) int8.

        Args:
            index: (B,) row numbers, in any order and repeated if wanted; negative ones count from the end.

        Raises:
            IndexError: a row does not exist.
        """
        rows = row_numbers(index, len(self))
        labels = np.repeat(self.default[rows][:, None], self.num_classes, axis=1)
        line, position = gather(self.indptr, rows)
        labels[line, self.indices[position]] = self.values[position]
        return labels

    def weight_rows(self, index: ArrayLike) -> NDArray[np.float32]:
        """Return the weights of some images as (B, C) float32; 1 where none is stored."""
        rows = row_numbers(index, len(self))
        weights = np.ones((len(rows), self.num_classes), np.float32)
        if self.weights is not None:
            line, position = gather(self.indptr, rows)
            weights[line, self.indices[position]] = self.weights[position]
        return weights

    def dense(self) -> NDArray[np.int8]:
        """Return all labels as (N, C) int8."""
        return self.rows(np.arange(len(self)))

    def counts(self) -> Counts:
        """Count +1, -1 and 0 per class."""
        implied = np.full(self.num_classes, (self.default == -1).sum())
        return self._counts(self.indices, implied, len(self))

    def counts_per_image(self) -> Counts:
        """Count +1, -1 and 0 per image."""
        implied = np.where(self.default == -1, self.num_classes, 0)
        return self._counts(self.stored_images(), implied, self.num_classes)

    def _counts(self, where: NDArray[Any], implied: NDArray[Any], total: int) -> Counts:
        default = np.repeat(self.default, np.diff(self.indptr))
        return count_cells(where, self.values, default, implied, total)

    def stored_images(self) -> NDArray[np.int64]:
        """Return the image row of each stored cell, (stored,) int64."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def take(self, index: ArrayLike) -> LabelTable:
        """Return the table of some images, in the given order."""
        rows = row_numbers(index, len(self))
        _, position = gather(self.indptr, rows)
        lengths = np.diff(self.indptr)[rows]
        return replace(
            self,
            ids=take_ids(self.ids, rows),
            default=self.default[rows],
            indptr=offsets(lengths),
            indices=self.indices[position],
            values=self.values[position],
            weights=None if self.weights is None else self.weights[position],
            groups=None if self.groups is None else self.groups[rows],
            splits=None if self.splits is None else self.splits[rows],
        )

    def part(self, name: str) -> LabelTable:
        """Return the images of one split.

        Raises:
            OneLabelError: there are no splits, or none of this name.
        """
        if self.splits is None:
            raise OneLabelError(
                f"no split {name!r}: the labels have no splits; name a column with --split-column"
            )
        if name not in self.split_names:
            raise unknown_name("split", name, self.split_names)
        return self.take(np.flatnonzero(self.splits == self.split_names.index(name)))

    def reorder(self, class_ids: Sequence[str]) -> LabelTable:
        """Return the table with the named classes in the named order; classes not named are left out.

        Raises:
            OneLabelError: a class is not in the table, or is named twice.
        """
        old = {name: column for column, name in enumerate(self.class_ids)}
        for name in class_ids:
            if name not in old:
                raise unknown_name("class", name, old)
        check_class_ids(class_ids)
        new = np.full(self.num_classes, -1, np.int64)
        new[[old[name] for name in class_ids]] = np.arange(len(class_ids))
        column = new[self.indices]
        keep = np.flatnonzero(column >= 0)
        keep = keep[np.lexsort((column[keep], self.stored_images()[keep]))]
        classes = tuple(self.classes[old[name]] for name in class_ids)
        return replace(self._only(keep), classes=classes, indices=column[keep].astype(np.int32))

    def with_default(self, exhaustive: bool) -> LabelTable:
        """Return the table in which every cell that is not +1 is absent (True) or unknown (False).

        Only the positives stay stored, with their weights.
        """
        default = np.full(len(self), -1 if exhaustive else 0, np.int8)
        return replace(self._only(np.flatnonzero(self.values == 1)), default=default)

    def _only(self, keep: NDArray[np.int64]) -> LabelTable:
        """Keep some stored cells, given in order of image."""
        return replace(
            self,
            indptr=offsets(np.bincount(self.stored_images()[keep], minlength=len(self))),
            indices=self.indices[keep],
            values=self.values[keep],
            weights=None if self.weights is None else self.weights[keep],
        )

    def __eq__(self, other: object) -> bool:
        """Whether both say the same about the same images, however it is stored."""
        if not isinstance(other, LabelTable):
            return NotImplemented
        if self.ids != other.ids or self.classes != other.classes:
            return False
        if not (
            same_names(self.splits, self.split_names, other.splits, other.split_names)
            and same_names(self.groups, self.group_names, other.groups, other.group_names)
        ):
            return False
        step = max(1, _CELLS_AT_ONCE // max(1, self.num_classes))
        parts = (np.arange(a, min(a + step, len(self))) for a in range(0, len(self), step))
        return all(
            np.array_equal(self.rows(part), other.rows(part))
            and np.array_equal(self.weight_rows(part), other.weight_rows(part))
            for part in parts
        )

    __hash__ = None  # type: ignore[assignment]
