"""Which images of a run are worth looking at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelabel.images.decode import decode
from onelabel.images.folder import resolve
from onelabel.io.errors import ImageError, OneLabelError
from onelabel.io.ids import IdTable
from onelabel.report.page import Photo
from onelabel.report.text import shorten

Surplus = NDArray[np.float64]
Labels = NDArray[np.signedinteger[Any]]
_SIDE, _QUALITY = 240, 72
_NAMED, _NAME = 5, 30


@dataclass(frozen=True)
class Example:
    """An image and what was decided on it.

    Args:
        image: its id.
        found: classes called present that are.
        missed: classes not called present that are.
        false: classes called present that are absent.
        open: classes called present of which nothing is known.
    """

    image: str
    found: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    open: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return what to write under the photo."""
        parts = {
            "found": self.found,
            "missed": self.missed,
            "false": self.false,
            "called, not known": self.open,
        }
        return [f"{what}: {_some(names)}" for what, names in parts.items() if names]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(shorten(name, _NAME) for name in names[:_NAMED])
    return shown + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def margins(surplus: Surplus, labels: Labels) -> NDArray[np.float64]:
    """Return by how much the weakest present class of an image exceeds its strongest absent one, (N,).

    NaN where no class is known present, or none absent.

    Args:
        surplus: (N, C) logits less the threshold of their class.
        labels: (N, C), +1 present, 0 unknown, -1 absent.

    Example:
        >>> margins(np.array([[2.0, -1.0, 0.5], [1.0, 0.0, 0.0]]), np.array([[1, -1, -1], [1, 0, 0]]))
        array([1.5, nan])
    """
    weakest = weakest_present(surplus, labels)
    strongest = np.where(labels < 0, surplus, -np.inf).max(axis=1, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        margin = weakest - strongest
    return np.where(np.isfinite(margin), margin, np.nan)


def weakest_present(surplus: Surplus, labels: Labels) -> NDArray[np.float64]:
    """Return the surplus of the weakest class known present, (N,); infinite for an image without any.

    Example:
        >>> weakest_present(np.array([[2.0, -1.0], [1.0, 0.0]]), np.array([[1, 1], [0, 0]]))
        array([-1., inf])
    """
    weakest: NDArray[np.float64] = np.where(labels > 0, surplus, np.inf).min(axis=1, initial=np.inf)
    return weakest


def image_f1(surplus: Surplus, labels: Labels) -> NDArray[np.float64]:
    """Return 2·found / (2·found + false + missed) of the known classes of each image, (N,).

    NaN where no class is known present, or none absent.

    Example:
        >>> image_f1(np.array([[2.0, 1.0, 0.5], [1.0, 0.0, 0.0]]), np.array([[1, -1, 0], [1, 0, 0]]))
        array([0.6667, nan])
    """
    called, present, absent = surplus >= 0, labels > 0, labels < 0
    found = (called & present).sum(axis=1)
    wrong = (called & absent).sum(axis=1) + (~called & present).sum(axis=1)
    judged = present.any(axis=1) & absent.any(axis=1)
    return np.where(judged, 2 * found / np.maximum(2 * found + wrong, 1), np.nan)


def doubts(surplus: Surplus) -> NDArray[np.float64]:
    """Return how undecided the decisions on each image are, (N,): the mean entropy in bits, from 0 to 1.

    Example:
        >>> doubts(np.array([[0.0, 0.0], [9.0, -9.0]])).round(2).tolist()
        [1.0, 0.0]
    """
    entropy = np.logaddexp(0, -surplus) + surplus * np.exp(-np.logaddexp(0, surplus))
    return np.asarray(entropy.mean(axis=1) / np.log(2))


def surest(surplus: Surplus, allowed: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the allowed class of each image with the highest surplus, and that; NaN where none is called.

    Example:
        >>> surest(np.array([[2.0, 3.0], [1.0, -1.0], [-1.0, -2.0]]), np.ones((3, 2), bool))
        (array([1, 0, 0]), array([ 3.,  1., nan]))
    """
    values = np.where(allowed, surplus, -np.inf)
    columns = values.argmax(axis=1)
    best = values[np.arange(len(values)), columns]
    return columns, np.where(best >= 0, best, np.nan)


def lowest(values: NDArray[np.float64], count: int, ties: NDArray[np.float64] | None = None) -> list[int]:
    """Return the rows with the lowest finite values, lowest first; among equals those with the lowest ties.

    Example:
        >>> lowest(np.array([1.0, np.nan, 0.5, 1.0]), 2, ties=np.array([2.0, 0.0, 0.0, 1.0]))
        [2, 3]
    """
    order = np.lexsort((values if ties is None else ties, values))
    return [int(row) for row in order if np.isfinite(values[row])][:count]


def example(image: str, surplus: Surplus, labels: Labels, names: Sequence[str]) -> Example:
    """Return what was decided on one image, from its rows (C,); surest decisions first."""
    order = np.argsort(-surplus, kind="stable").tolist()

    def where(mask: Any) -> tuple[str, ...]:
        return tuple(names[c] for c in order if mask[c])

    called = surplus >= 0
    return Example(
        image,
        found=where(called & (labels > 0)),
        missed=where(~called & (labels > 0)),
        false=where(called & (labels < 0)),
        open=where(called & (labels == 0)),
    )


def thumbnails(images: Sequence[str], root: Path, max_pixels: int) -> dict[str, Photo]:
    """Return a small picture of each image; what cannot be shown says why.

    Args:
        images: ids.
        root: image folder.
        max_pixels: larger photos are not decoded.
    """
    ids = IdTable.from_strings(dict.fromkeys(images))
    try:
        found = resolve(ids, root)
    except OneLabelError as error:
        return {name: Photo(name, problem=str(error)) for name in ids}
    paths = [found.paths.text(row) for row in range(len(ids))]
    return {name: _thumbnail(name, root, path, max_pixels) for name, path in zip(ids, paths, strict=True)}


def _thumbnail(name: str, root: Path, path: str, max_pixels: int) -> Photo:
    if not path:
        return Photo(name, problem="there is no such file in the image folder")
    try:
        picture = decode(root / path, max_pixels)
        picture.thumbnail((_SIDE, _SIDE))
    except ImageError as error:
        return Photo(name, problem=error.problem)
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return Photo(name, jpeg=stream.getvalue())
