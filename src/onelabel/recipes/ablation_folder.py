"""The folder of an ablation: one file for each finished cell, so that what was interrupted goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from onelabel.io.errors import OneLabelError
from onelabel.io.manifest import read_manifest, write_manifest
from onelabel.labels.table import LabelTable
from onelabel.recipes.ablation_studies import Axis, Cell
from onelabel.recipes.diagnostics_files import write_csv
from onelabel.report.text import percent

STUDY, CELL, RESULTS = "onelabel-ablation", "onelabel-ablation-cell", "onelabel-ablation-results"
VERSION = 1
_STUDY_FILE, RESULTS_FILE = "study.json", "results.json"


class StudyFolder:
    """A folder with ``study.json``, ``cells/`` and, at the end, the results.

    Args:
        path: the folder.
        asked: what all cells share; JSON-like.

    Raises:
        OneLabelError: the folder holds something else, or a study of other settings.

    Example:
        >>> import tempfile
        >>> folder = StudyFolder(Path(tempfile.mkdtemp()) / "study", {"labels": "a.csv"})
        >>> StudyFolder(folder.path, {"labels": "b.csv"})
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: .../study holds a study with another labels: give another --out
    """

    def __init__(self, path: Path, asked: Mapping[str, Any]) -> None:
        self.path = path
        check_study(path, asked)
        if not (path / _STUDY_FILE).is_file():
            write_manifest(path / _STUDY_FILE, STUDY, VERSION, {"asked": asked})

    def run(
        self,
        cells: Sequence[Cell],
        axes: Sequence[Axis],
        train: Callable[[Cell], dict[str, Any]],
        tell: Callable[[str], None],
    ) -> list[dict[str, Any]]:
        """Train what is not finished yet; return all cells, failed ones with ``failed`` and why.

        Args:
            cells: what to train.
            axes: of the study.
            train: trains one and returns its results.
            tell: called with a line about each cell.
        """
        found = []
        for number, cell in enumerate(cells, start=1):
            name = cell.name(axes)
            file = self.path / "cells" / f"{name}.json"
            where = f"{number}/{len(cells)} {name}"
            if file.is_file():
                result = read_manifest(file, CELL, VERSION)["result"]
                tell(f"{where}: finished before, {_scores(result)}")
            else:
                try:
                    result = train(cell)
                    write_manifest(file, CELL, VERSION, {"result": result})
                    tell(f"{where}: {_scores(result)}, {result['seconds']:.1f} s")
                except OneLabelError as error:
                    values = zip(axes, cell.values, strict=True)
                    result = {axis.parameter: value for axis, value in values}
                    result |= {"seed": cell.seed, "failed": str(error)}
                    tell(f"{where}: failed: {error}")
            found.append(result)
        return found

    def finish(
        self, results: Sequence[Mapping[str, Any]], axes: Sequence[Axis], name: str, study: str
    ) -> None:
        """Write ``results.csv`` and ``results.json``."""
        columns = [
            *(axis.parameter for axis in axes),
            "seed",
            "epoch",
            "val_map",
            "test_map",
            "seconds",
            "failed",
        ]
        write_csv(self.path / "results.csv", columns, [[row.get(key) for key in columns] for row in results])
        content = {
            "name": name,
            "study": study,
            "axes": [axis.parameter for axis in axes],
            "cells": list(results),
        }
        write_manifest(self.path / RESULTS_FILE, RESULTS, VERSION, content)


def check_study(path: Path, asked: Mapping[str, Any]) -> None:
    """Check that a folder may become, or go on as, the folder of a study.

    Raises:
        OneLabelError: it holds something else, or a study of other settings.
    """
    if not path.exists():
        return
    if not (path / _STUDY_FILE).is_file():
        raise OneLabelError(f"{path} exists already and is no study: give another --out")
    before = read_manifest(path / _STUDY_FILE, STUDY, VERSION).get("asked", {})
    changed = sorted(key for key in before.keys() | asked.keys() if before.get(key) != asked.get(key))
    if changed:
        raise OneLabelError(f"{path} holds a study with another {' and '.join(changed)}: give another --out")


def read_results(folder: str | Path, study: str) -> tuple[str, list[dict[str, Any]]]:
    """Return name and cells of a finished study.

    Raises:
        OneLabelError: it is not finished, or another study.
    """
    content = read_manifest(Path(folder) / RESULTS_FILE, RESULTS, VERSION)
    if content.get("study") != study:
        raise OneLabelError(f"{folder} holds a study of {content.get('study')!r}, not of {study!r}")
    return str(content["name"]), list(content["cells"])


def means(
    results: Sequence[Mapping[str, Any]], axes: Sequence[str]
) -> dict[tuple[float, ...], tuple[float, float]]:
    """Return mean and standard deviation over the seeds of each cell that did not fail, in shares.

    The test images count, else the validation images; the deviation of one seed is NaN.

    Example:
        >>> rows = [{"rho": 1.0, "seed": s, "val_map": 0.5 + s / 10, "test_map": None} for s in (0, 1)]
        >>> means(rows, ["rho"])
        {(1.0,): (0.55, 0.0707)}
    """
    groups: dict[tuple[float, ...], list[float]] = {}
    for row in results:
        if (value := shown_score(row)) is not None:
            groups.setdefault(tuple(row[axis] for axis in axes), []).append(value)
    return {key: (fmean(of), stdev(of) if len(of) > 1 else float("nan")) for key, of in groups.items()}


def shown_score(row: Mapping[str, Any]) -> float | None:
    """Return the mAP that counts: of the test images, else of the validation images."""
    value = row.get("test_map")
    return row.get("val_map") if value is None else value


def digest_table(table: LabelTable | None) -> str | None:
    """Return the SHA-256 of ids, classes and labels of a table."""
    if table is None:
        return None
    digest = hashlib.sha256("\n".join(table.class_ids).encode())
    for array in (
        table.ids.buffer,
        table.ids.offsets,
        table.default,
        table.indptr,
        table.indices,
        table.values,
    ):
        digest.update(array.tobytes())
    return digest.hexdigest()


def _scores(result: Mapping[str, Any]) -> str:
    parts = (("test", result["test_map"]), ("val", result["val_map"]))
    return ", ".join(f"{name} mAP {percent(value, 2)}" for name, value in parts if value is not None)
