"""Ablations: which cells there are, what is kept when work is cut off or fails, and what the figures show."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.recipes.ablation_figures import draw_study, grid_of, study_table
from onelabel.recipes.ablation_folder import StudyFolder, digest_table, means, read_results
from onelabel.recipes.ablation_photos import likeliest
from onelabel.recipes.ablation_studies import STUDIES, Axis, Cell, axes_of, cells_of, seeds_of

GRID = STUDIES["grid"].axes


def result(cell: Cell, axes: tuple[Axis, ...], score: float | None) -> dict[str, Any]:
    values = {axis.parameter: value for axis, value in zip(axes, cell.values, strict=True)}
    return {**values, "seed": cell.seed, "epoch": 1, "val_map": 0.1, "test_map": score, "seconds": 0.0}


def test_the_published_values() -> None:
    values = {name: [axis.values for axis in study.axes] for name, study in STUDIES.items()}
    assert values == {
        "negatives": [(0, 0.1, 0.2, 0.3, 0.4)],
        "smoothing": [(1, 0.9)],
        "grid": [(0.01, 0.03, 0.05, 0.07, 0.09), (0.1, 0.2, 0.3)],
    }
    assert len(cells_of(GRID, [0])) == 15
    names = [cell.name(GRID) for cell in cells_of(GRID, [0, 1])]
    assert len(set(names)) == 30 and names[0] == "temperature=0.01_threshold=0.1_seed=0"


def test_values_of_the_user() -> None:
    (axis,) = axes_of("negatives", {"negatives": "0.5,0", "rho": None})
    assert list(axis.values) == [0.5, 0]
    assert axes_of("smoothing", {}) == STUDIES["smoothing"].axes
    for text in ("", "a", "0.1,", "0.1;0.2"):
        with pytest.raises(OneLabelError, match="numbers separated by commas"):
            axes_of("negatives", {"negatives": text})
    with pytest.raises(OneLabelError, match="stands twice"):
        axes_of("negatives", {"negatives": "0.1,0.10000001"})
    with pytest.raises(OneLabelError, match="does not vary --rho"):
        axes_of("grid", {"rho": "1"})
    assert seeds_of("3, 1") == [3, 1]
    for text in ("", "a", "-1", "1.5", "1,1", str(2**32)):
        with pytest.raises(OneLabelError, match="--seeds"):
            seeds_of(text)


def test_finished_cells_stay_and_failed_ones_are_tried_again(tmp_path: Path) -> None:
    axes = axes_of("negatives", {"negatives": "0,0.1,0.2"})
    cells = cells_of(axes, [0])
    trained: list[float] = []
    told: list[str] = []

    def train(cell: Cell) -> dict[str, Any]:
        trained.append(cell.values[0])
        if cell.values[0] == 0.1 and len(trained) < 4:
            raise OneLabelError("the loss became nan")
        if cell.values[0] == 0.2 and len(trained) < 4:
            raise KeyboardInterrupt
        return result(cell, axes, cell.values[0])

    folder = StudyFolder(tmp_path / "out", {"method": "vlpl"})
    with pytest.raises(KeyboardInterrupt):
        folder.run(cells, axes, train, told.append)
    assert {file.name for file in (tmp_path / "out" / "cells").iterdir()} == {"negatives=0_seed=0.json"}
    assert "failed: the loss became nan" in told[1]
    found = StudyFolder(tmp_path / "out", {"method": "vlpl"}).run(cells, axes, train, told.append)
    assert trained == [0, 0.1, 0.2, 0.1, 0.2]
    assert [row["test_map"] for row in found] == [0, 0.1, 0.2]
    more = axes_of("negatives", {"negatives": "0,0.1,0.2,0.9"})
    folder.run(cells_of(more, [0]), more, train, told.append)
    assert trained[5:] == [0.9]


def test_other_settings_do_not_mix(tmp_path: Path) -> None:
    StudyFolder(tmp_path / "out", {"method": "vlpl", "lr": 1})
    with pytest.raises(OneLabelError, match="holds a study with another lr"):
        StudyFolder(tmp_path / "out", {"method": "vlpl", "lr": 2})
    (tmp_path / "photos").mkdir()
    with pytest.raises(OneLabelError, match="exists already and is no study"):
        StudyFolder(tmp_path / "photos", {})
    assert not list((tmp_path / "photos").iterdir())


def test_results_are_read_back_and_means_are_those_of_the_seeds(tmp_path: Path) -> None:
    axes = STUDIES["smoothing"].axes
    scores = {(1.0, 0): 0.5, (1.0, 1): 0.7, (0.9, 0): None, (0.9, 1): 0.8}
    rows = [result(Cell((rho,), seed), axes, score) for (rho, seed), score in scores.items()]
    rows.append({"rho": 0.5, "seed": 0, "failed": "why"})
    folder = StudyFolder(tmp_path / "out", {})
    folder.finish(rows, axes, "data", "smoothing")
    assert read_results(tmp_path / "out", "smoothing") == ("data", rows)
    with pytest.raises(OneLabelError, match="not of 'grid'"):
        read_results(tmp_path / "out", "grid")
    assert (tmp_path / "out" / "results.csv").read_text().splitlines()[-1] == "0.5,0,,,,,why"
    found = means(rows, ["rho"])
    assert found.keys() == {(1.0,), (0.9,)}
    assert found[1.0,] == pytest.approx((0.6, float(np.std([0.5, 0.7], ddof=1))))
    # One test score is missing: the validation images count.
    assert found[0.9,] == pytest.approx((0.45, float(np.std([0.1, 0.8], ddof=1))))
    assert study_table(axes, rows).splitlines()[0] == "best mAP 60.00 ± 14.14 at ρ = 1"
    assert math.isnan(means(rows[:1], ["rho"])[1.0,][1])


def grid_cells(offset: float) -> list[dict[str, Any]]:
    """A grid whose best cell is τ = 0.05, θ = 0.2, without its last cell."""
    cells = cells_of(GRID, [0])[:-1]
    far = [abs(tau - 0.05) + abs(theta - 0.2) for tau, theta in (cell.values for cell in cells)]
    return [result(cell, GRID, offset - d / 10) for cell, d in zip(cells, far, strict=True)]


def test_there_is_a_heat_map_for_each_threshold_with_a_row_per_data_set(tmp_path: Path) -> None:
    results = {"voc $1$": grid_cells(0.9), "cub": grid_cells(0.25)}
    columns, panels = [list(axis.values) for axis in GRID]
    grid = grid_of(GRID, results, columns, panels)
    assert grid.shape == (3, 2, 5)
    for (panel, row, column), value in np.ndenumerate(grid):
        expected = [
            cell["test_map"] for cell in list(results.values())[row]
            if (cell["temperature"], cell["threshold"]) == (columns[column], panels[panel])
        ]  # fmt: skip
        assert [value] == expected or (math.isnan(value) and not expected)
    svg, png = draw_study(tmp_path, GRID, results)
    text = svg.read_text(encoding="utf-8")
    order = [text.index(f"θ = {threshold:g}") for threshold in panels]
    assert order == sorted(order) and text.count("voc $1$") == 3
    for value, name in itertools.product(grid[np.isfinite(grid)], [text]):
        assert f"{100 * value:.1f}" in name
    assert "–" in text and png.stat().st_size > 1000
    assert "best mAP 90.00 at τ = 0.05, θ = 0.2" in study_table(GRID, results["voc $1$"])


def test_a_study_where_nothing_was_finished_can_be_drawn(tmp_path: Path) -> None:
    failed = [{"temperature": 0.1, "threshold": 0.1, "seed": 0, "failed": "why"}]
    draw_study(tmp_path, GRID, {"x": failed})
    assert study_table(GRID, failed) == "no cell was finished"
    draw_study(tmp_path, STUDIES["smoothing"].axes, {"x": [{"rho": 1.0, "seed": 0, "failed": "why"}]})


def test_labels_are_told_apart() -> None:
    table = LabelTable.from_dense(["a", "b"], ["x", "y"], [[1, 0], [0, 1]])
    others = [
        table.take(np.array([1, 0])), table.reorder(("y", "x")), table.take(np.array([0])),
        LabelTable.from_dense(["a", "b"], ["x", "y"], [[1, -1], [0, 1]]),
        LabelTable.from_dense(["a", "c"], ["x", "y"], [[1, 0], [0, 1]]), None,
    ]  # fmt: skip
    digests = [digest_table(other) for other in others]
    assert digest_table(table) not in digests and len(set(digests)) == len(others)
    assert digest_table(table) == digest_table(
        LabelTable.from_dense(["a", "b"], ["x", "y"], [[1, 0], [0, 1]])
    )


def test_the_likeliest_classes_are_those_of_either_model() -> None:
    generator = np.random.default_rng(0)
    probs = generator.random((2, 9), np.float32)
    found = likeliest(Path("a"), [f"c{number}" for number in range(9)], probs, 4)
    order = sorted(range(9), key=lambda c: -max(probs[0, c], probs[1, c]))[:4]
    assert found.classes == tuple(f"c{c}" for c in order)
    np.testing.assert_array_equal(found.probs, probs[:, order])
    assert len(likeliest(Path("a"), ["x"], probs[:, :1], 4).classes) == 1


def test_results_hold_no_nan(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "out", {})
    folder.finish(
        [result(Cell((1.0,), 0), STUDIES["smoothing"].axes, None)], STUDIES["smoothing"].axes, "n", "s"
    )
    assert "NaN" not in json.dumps(json.loads((tmp_path / "out" / "results.json").read_text()))
