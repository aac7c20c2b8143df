"""The record of a benchmark run: which recipe, what was done otherwise, what came out on the test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onelabel.io.errors import OneLabelError
from onelabel.io.manifest import read_manifest, write_manifest
from onelabel.recipes.catalogue import DATA_SETS, Recipe, cautions

KIND, VERSION, NAME = "onelabel-benchmark", 1, "benchmark.json"
"""The file in the run folder, written last: with it, a benchmark is complete."""

_BEGUN = "environment.json"
"""The file that every run folder has from its start."""
_INCOMPLETE = "the published list has"


@dataclass(frozen=True)
class Result:
    """One finished benchmark run.

    Args:
        run: its folder, as given.
        data_set: name of the reader.
        method: name of the recipe.
        setting: "" for the standard network, else its name.
        map: mean average precision on the test images in per cent, by the published definition.
        seed: of the run.
        changed: settings that are not those of the recipe, by option.
        notes: what was noted when the data set was read.
        unconfirmed: settings of the recipe that are not known from a paper or its code.
        differs: what the recipe is known to do otherwise.
    """

    run: str
    data_set: str
    method: str
    setting: str
    map: float
    seed: int
    changed: Mapping[str, Any]
    notes: tuple[str, ...]
    unconfirmed: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What stands between the number and a published one, in words."""
        changed = ", ".join(f"{key.replace('_', '-')} {value}" for key, value in self.changed.items())
        incomplete = (note for note in self.notes if _INCOMPLETE in note)
        done = (f"changed: {changed}",) if changed else ()
        return (*done, *incomplete, *cautions(self.unconfirmed, self.differs))

    @property
    def mark(self) -> str:
        """``*`` for a number with remarks."""
        return "*" if self.remarks else ""

    @property
    def text(self) -> str:
        """The number as it is shown, with its mark."""
        return f"{self.map:.2f}{self.mark}"


def write_result(
    run: str | Path,
    recipe: Recipe,
    *,
    seed: int,
    changed: Mapping[str, Any],
    notes: Sequence[str],
    test: Mapping[str, Any],
) -> None:
    """Write the record of a run.

    Args:
        run: run folder.
        recipe: what was run.
        seed: of the run.
        changed: settings that are not those of the recipe.
        notes: on the data set.
        test: :meth:`onelabel.evaluation.evaluate.Evaluation.to_dict` of the test images.
    """
    content = {
        "recipe": recipe.name,
        "data_set": recipe.data_set,
        "method": recipe.method,
        "setting": recipe.setting,
        "paper": recipe.paper,
        "unconfirmed": list(recipe.unconfirmed),
        "differs": list(recipe.differs),
        "seed": seed,
        "changed": dict(changed),
        "data_notes": list(notes),
        "test": dict(test),
    }
    write_manifest(Path(run) / NAME, KIND, VERSION, content)


def read_results(folders: Sequence[str | Path]) -> tuple[tuple[Result, ...], tuple[Path, ...]]:
    """Read the records of runs, each once.

    Args:
        folders: run folders, and folders that hold run folders directly.

    Returns:
        The finished runs in the order given, those of one folder by name; and the run folders in it that
        hold no finished benchmark.

    Raises:
        OneLabelError: a folder is no finished benchmark and holds none.
    """
    found = [_runs_at(Path(folder)) for folder in folders]
    runs: dict[Path, Path] = {}
    for run in (run for finished, _ in found for run in finished):
        runs.setdefault(run.resolve(), run)
    unfinished = dict.fromkeys(run for _, others in found for run in others)
    return tuple(map(read_result, runs.values())), tuple(unfinished)


def _runs_at(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the finished benchmarks that a folder is or holds, and its other run folders."""
    if (folder / NAME).is_file():
        return [folder], []
    inner = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    finished = [path for path in inner if (path / NAME).is_file()]
    if not finished:
        raise OneLabelError(
            f"{folder} is not the folder of a finished benchmark and holds none (no {NAME} in it or in a "
            "folder directly in it); give the --out of a onelabel benchmark, or the folder that holds them"
        )
    return finished, [path for path in inner if path not in finished and (path / _BEGUN).is_file()]


def read_result(run: str | Path) -> Result:
    """Read the record of a run.

    Raises:
        OneLabelError: it is not the folder of a finished benchmark.
    """
    if not (Path(run) / NAME).is_file():
        raise OneLabelError(
            f"{run} is not the folder of a finished benchmark (no {NAME} in it); give the --out of a "
            "onelabel benchmark"
        )
    content = read_manifest(Path(run) / NAME, KIND, VERSION)
    try:
        if content["data_set"] not in DATA_SETS:
            raise ValueError("no data set of this name")
        return Result(
            run=str(run),
            data_set=str(content["data_set"]),
            method=str(content["method"]),
            setting=str(content["setting"]),
            map=100 * float(content["test"]["map_published"]),
            seed=int(content["seed"]),
            changed=dict(content["changed"]),
            notes=tuple(map(str, content["data_notes"])),
            unconfirmed=tuple(map(str, content["unconfirmed"])),
            differs=tuple(map(str, content["differs"])),
        )
    except (KeyError, TypeError, ValueError):
        raise OneLabelError(f"{Path(run) / NAME} is not whole: run the benchmark again") from None
