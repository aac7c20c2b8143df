"""Every recipe by the real entry point, on small data sets in the layout of the original archives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import Bench
from onelabel.cli import main
from onelabel.recipes.catalogue import load_recipe, methods_of
from onelabel.recipes.published import published
from onelabel.recipes.results import read_result
from onelabel.training.run_folder import RunFolder

RECIPES = [f"{d}/{m}" for d in ("voc2012", "coco2014", "nus-official", "cub") for m in methods_of(d)]
OTHER_LISTS = ["nus-cole/an", "nus-splc/an"]


def holds(found: Any, wanted: Any) -> bool:
    """Whether settings that were used hold what a recipe says."""
    if isinstance(wanted, dict):
        return all(key in found and holds(found[key], value) for key, value in wanted.items())
    return bool((list(found) if isinstance(wanted, list) else found) == wanted)


@pytest.mark.parametrize("name", [*RECIPES, *OTHER_LISTS])
def test_a_recipe_runs_with_its_settings(
    name: str, bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, run = load_recipe(name), tmp_path / "run"
    warm_up = int(recipe.train["method"].get("warmup_epoch", 0))
    options = ["--epochs", str(warm_up + 1)] if warm_up else []
    options += ["--vlm", bench.clip] if recipe.embed else []
    assert main(bench.command(name, run, *options)) == 0
    said = capsys.readouterr().out
    assert all(text in said for text in (*recipe.unconfirmed, *recipe.differs))
    used = RunFolder.open(run).config
    changed = {"backbone", "photo_size", "epochs"}
    assert holds(used, {key: value for key, value in recipe.train.items() if key not in changed})
    result = read_result(run)
    assert (result.data_set, result.method, result.setting) == (recipe.data_set, recipe.method, "")
    assert 0 <= result.map <= 100
    assert changed <= result.changed.keys() and result.remarks
    numbers = [found.text for found in published() if not found.setting and found.method == recipe.method]
    assert not numbers or recipe.data_set.startswith("nus") or any(number in said for number in numbers)
