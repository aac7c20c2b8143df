"""The record of a benchmark run: which recipe, what was done otherwise, what came out on the test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onelabel.io.errors import OneLabelError
from onelabel.io.manifest import read_manifest, write_manifest
from onelabel.recipes.catalogue import Recipe

KIND, VERSION, NAME = "onelabel-benchmark", 1, "benchmark.json"
"""The file in the run folder, written last: with it, a benchmark is complete."""

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
    """

    run: str
    data_set: str
    method: str
    setting: str
    map: float
    seed: int
    changed: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def remarks(self) -> tuple[str, ...]:
        """Why the number is not to be compared with a published one, in words."""
        changed = [f"{key.replace('_', '-')} {value}" for key, value in self.changed.items()]
        return (*changed, *(note for note in self.notes if _INCOMPLETE in note))


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
        return Result(
            run=str(run),
            data_set=str(content["data_set"]),
            method=str(content["method"]),
            setting=str(content["setting"]),
            map=100 * float(content["test"]["map_published"]),
            seed=int(content["seed"]),
            changed=dict(content["changed"]),
            notes=tuple(map(str, content["data_notes"])),
        )
    except (KeyError, TypeError, ValueError):
        raise OneLabelError(f"{Path(run) / NAME} is not whole: run the benchmark again") from None
