"""Vectors of images by row, from a store or from a plain ``.npz`` file, behind one interface."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onelabel.images.views import GLOBAL
from onelabel.io.arrays import load_npz, texts_of
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.io.manifest import digest_file
from onelabel.vlm.store import EmbeddingStore


class FeatureStore(Protocol):
    """Features of N images, addressed by row.

    Attributes:
        ids: ids of the rows.
        dim: length D of a vector.
        views: names of the V views.
        mirrored: whether every image has a second row for its mirror image.
        fingerprint: what decides a vector, part by part.
    """

    @property
    def ids(self) -> IdTable: ...
    @property
    def dim(self) -> int: ...
    @property
    def views(self) -> tuple[str, ...]: ...
    @property
    def mirrored(self) -> bool: ...
    @property
    def fingerprint(self) -> dict[str, str]: ...

    def rows(self, index: ArrayLike, mirrored: ArrayLike | None = None) -> NDArray[np.float32]:
        """Return the vectors of some rows, (B, V, D) float32.

        ``mirrored`` is (B,) bool, or None, or (B, v): then the first v views alone are read.
        """


class ArrayStore:
    """Features in memory, without mirror images.

    Args:
        ids: ids of the rows.
        features: (N, D) finite numbers.
        fingerprint: what decides a vector.

    Raises:
        OneLabelError: the shapes do not fit, an id appears twice, or a value is not finite in float32.

    Example:
        >>> store = ArrayStore(IdTable.from_strings(["a", "b"]), np.eye(2))
        >>> store.rows([1, 1]).tolist()
        [[[0.0, 1.0]], [[0.0, 1.0]]]
    """

    views = (GLOBAL,)
    mirrored = False

    def __init__(
        self, ids: IdTable, features: NDArray[np.generic], fingerprint: dict[str, str] | None = None
    ) -> None:
        if features.ndim != 2 or features.dtype.kind not in "fiu" or not features.size:
            raise OneLabelError(
                f"features must be an (images, dimensions) array of numbers, not {features.shape} "
                f"{features.dtype}"
            )
        if len(ids) != len(features):
            raise OneLabelError(f"{len(features)} rows of features but {len(ids)} ids")
        ids.require_distinct("id")
        with np.errstate(over="ignore"):
            self._features = features.astype(np.float32)
        bad = np.flatnonzero(~np.isfinite(self._features).all(axis=1))
        if len(bad):
            raise OneLabelError(
                f"the features of {ids.text(int(bad[0]))!r} (row {bad[0]}) hold NaN or infinity"
            )
        self.ids = ids
        self.dim = features.shape[1]
        self.fingerprint = fingerprint or {}

    def rows(self, index: ArrayLike, mirrored: ArrayLike | None = None) -> NDArray[np.float32]:
        """Return the vectors of some rows, (B, 1, D) float32.

        Raises:
            OneLabelError: a mirror image is asked for.
        """
        if mirrored is not None and np.any(mirrored):
            raise OneLabelError("these features have no rows for mirror images")
        return self._features[np.asarray(index, np.int64).reshape(-1)][:, None]


def open_features(path: str | Path) -> FeatureStore:
    """Open a store folder, or an ``.npz`` file with ``X`` (N, D) and ``ids`` (N,) of text.

    Nothing is unpickled.

    Raises:
        OneLabelError: it is neither, or what it holds cannot be used; see the two classes.
    """
    path = Path(path)
    if path.suffix == ".npz" and path.is_file():
        return _read_npz(path)
    return EmbeddingStore.open(path)


def _read_npz(path: Path) -> ArrayStore:
    arrays = load_npz(path, ("X", "ids"))
    missing = [key for key in ("X", "ids") if key not in arrays]
    if missing:
        raise OneLabelError(f"{path} has no {' and no '.join(missing)}; it must have X and ids")
    ids = arrays["ids"]
    if ids.ndim != 1 or ids.dtype.kind != "U":
        raise OneLabelError(f"{path}: ids must be a list of text, not {ids.shape} {ids.dtype}")
    try:
        return ArrayStore(IdTable.from_strings(texts_of(ids)), arrays["X"], {"file": digest_file(path)})
    except (OneLabelError, ValueError) as error:
        raise OneLabelError(f"{path}: {error}") from None


def align(store: FeatureStore, ids: IdTable, what: str) -> NDArray[np.int64]:
    """Return the row of the store for each id.

    Args:
        store: the features.
        ids: the images that are needed.
        what: how messages call the store, such as its path.

    Raises:
        OneLabelError: an image has no row; some are named.

    Example:
        >>> store = ArrayStore(IdTable.from_strings(["a", "b"]), np.eye(2))
        >>> align(store, IdTable.from_strings(["b", "a"]), "features.npz").tolist()
        [1, 0]
    """
    if store.ids == ids:
        return np.arange(len(ids))
    rows = store.ids.rows_of(ids)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        some = ", ".join(repr(ids.text(int(row))) for row in missing[:3])
        raise OneLabelError(
            f"{len(missing)} of {len(ids)} images are not in {what}, such as {some}: "
            "embed the images of these labels again"
        )
    return rows
