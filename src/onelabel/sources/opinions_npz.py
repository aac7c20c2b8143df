"""Opinions from and to ``.npz`` archives of plain arrays."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from onelabel.io.arrays import load_npz, texts_of
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.sources.opinions import Opinions

Arrays = Mapping[str, NDArray[Any]]
NEEDED, OPTIONAL = ("ids", "classes"), ("pseudo", "score", "known")


def read_npz(path: Path) -> Opinions:
    """Read opinions; nothing is unpickled.

    Raises:
        OneLabelError: there is no such file, or it does not hold the arrays that
            :class:`onelabel.sources.file.FileSource` describes; names the first cell that is wrong.
    """
    arrays = _plain_arrays(path)
    shape = next(arrays[key].shape for key in ("pseudo", "score") if key in arrays)
    decision = _labels(arrays["pseudo"], path) if "pseudo" in arrays else None
    if len(shape) != 2:
        raise OneLabelError(f"{path}: score must be numbers (images, classes), not {shape}")
    ids = _names(arrays["ids"], shape[0], "ids", path)
    classes = _names(arrays["classes"], shape[1], "classes", path)
    score = _scores(arrays["score"], shape, ids, classes, path) if "score" in arrays else None
    if "known" in arrays:
        known = _known(arrays["known"], shape, path)
        decision = None if decision is None else np.where(known, decision, np.int8(0))
        score = None if score is None else np.where(known, score, np.float32(np.nan))
    return Opinions(ids, tuple(classes), decision, score)


def write_npz(stream: IO[bytes], opinions: Opinions) -> None:
    """Write opinions so that :func:`read_npz` gives them back."""
    arrays: dict[str, NDArray[Any]] = {
        "ids": np.array(list(opinions.ids), np.str_), "classes": np.array(opinions.class_ids, np.str_)
    }  # fmt: skip
    if opinions.decision is not None:
        arrays["pseudo"] = opinions.decision
    if opinions.score is not None:
        known = ~np.isnan(opinions.score)
        arrays |= {"score": np.where(known, opinions.score, np.float32(0)), "known": known}
    np.savez(stream, **arrays)  # type: ignore[arg-type]


def _plain_arrays(path: Path) -> Arrays:
    if not path.is_file():
        raise OneLabelError(f"there is no file {path} of pseudo-labels")
    arrays = load_npz(path, (*NEEDED, *OPTIONAL))
    missing = [key for key in NEEDED if key not in arrays]
    if not {"pseudo", "score"} & arrays.keys():
        missing.append("pseudo or score")
    if missing:
        raise OneLabelError(
            f"{path} has no {' and no '.join(missing)}; it must have ids, classes, and pseudo or score"
        )
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


def _scores(
    values: NDArray[Any], shape: tuple[int, ...], ids: IdTable, classes: IdTable, path: Path
) -> NDArray[np.float32]:
    if values.shape != shape or values.dtype.kind not in "fiu":
        raise OneLabelError(f"{path}: score must be numbers {shape}, not {values.shape} {values.dtype}")
    bad = np.argwhere(~((values >= 0) & (values <= 1)))
    if len(bad):
        row, column = bad[0].tolist()
        raise OneLabelError(
            f"{path}: score[{row}, {column}], of {ids.text(row)!r} and {classes.text(column)!r}, is "
            f"{values[row, column]}; every score must be a number from 0 to 1 (where there is no opinion, "
            "let an array 'known' be False)"
        )
    return values.astype(np.float32)


def _known(values: NDArray[Any], shape: tuple[int, ...], path: Path) -> NDArray[np.bool_]:
    if values.shape != shape or values.dtype.kind != "b":
        raise OneLabelError(f"{path}: known must be booleans {shape}, not {values.shape} {values.dtype}")
    return values


def _names(values: NDArray[Any], count: int, key: str, path: Path) -> IdTable:
    if values.shape != (count,) or values.dtype.kind != "U":
        raise OneLabelError(
            f"{path}: {key} must be {count} texts to fit the rest, not {values.shape} {values.dtype}"
        )
    try:
        names = IdTable.from_strings(unicodedata.normalize("NFC", name) for name in texts_of(values))
        names.require_distinct(key)
    except (OneLabelError, ValueError) as error:
        raise OneLabelError(f"{path}: {error}") from None
    return names
