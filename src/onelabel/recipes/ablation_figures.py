"""Figures of the ablations, after those of the VLPL paper, and the same as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onelabel.recipes.ablation_folder import means
from onelabel.recipes.ablation_studies import Axis
from onelabel.recipes.diagnostics_draw import save_figure
from onelabel.report.draw import BLUE, INK
from onelabel.report.text import percent, shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Results = Sequence[Mapping[str, Any]]
_NAME = 24


def draw_study(folder: Path, axes: Sequence[Axis], results: Mapping[str, Results]) -> tuple[Path, Path]:
    """Write the figure of a study; return the SVG and the PNG file.

    Args:
        folder: where to.
        axes: of the study.
        results: cells by the name of the data set; several only for a grid.

    Raises:
        OneLabelError: the extra ``report`` is not installed.
    """
    if len(axes) == 2:
        panels = len(_values(results, axes[1].parameter))
        size = (1.6 + 0.55 * len(_values(results, axes[0].parameter)), panels * (0.75 + 0.35 * len(results)))
        return save_figure(folder / "figure", lambda figure: heat_maps(figure, axes, results), size)
    (cells,) = results.values()
    return save_figure(folder / "figure", lambda figure: line(figure, axes[0], cells), (4.2, 2.8))


def line(figure: Figure, axis: Axis, results: Results) -> None:
    """Draw the mAP over the values of one axis: a dot per seed, a line through the means."""
    axes = figure.subplots()
    found = means(results, [axis.parameter])
    values = sorted({float(row[axis.parameter]) for row in results})
    for row in results:
        score = means([row], [axis.parameter]).get((row[axis.parameter],), (math.nan, 0))[0]
        axes.plot(values.index(row[axis.parameter]), 100 * score, "o", color=BLUE, alpha=0.4, markersize=4)
    middle = [100 * found.get((value,), (math.nan, 0))[0] for value in values]
    axes.plot(range(len(values)), middle, "-_", color=BLUE, markersize=14, linewidth=1)
    axes.set_xticks(range(len(values)), [f"{value:g}" for value in values])
    axes.set_xlim(-0.5, len(values) - 0.5)
    axes.set(xlabel=f"{axis.symbol} ({axis.parameter})", ylabel="mAP, %")
    axes.grid(axis="y")


def heat_maps(figure: Figure, axes: Sequence[Axis], results: Mapping[str, Results]) -> None:
    """Draw a heat map for each value of the second axis: a row per data set, a column per value of the first.

    Colours compare the cells of one data set, over all panels; its best cell has a frame.
    """
    columns, panels = (_values(results, axis.parameter) for axis in axes)
    drawn = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    grid = grid_of(axes, results, columns, panels)
    low, high = (reduce(grid, (0, 2)) for reduce in (_least, _most))
    for number, panel in enumerate(drawn):
        span = np.where(high > low, high - low, 1)[:, None]
        shade = (grid[number] - low[:, None]) / span
        panel.pcolormesh(np.ma.masked_invalid(shade), cmap="viridis_r", vmin=0, vmax=1, edgecolors="white")
        for (row, column), value in np.ndenumerate(grid[number]):
            best, known = value == high[row], np.isfinite(value)
            colour = INK if not known else "white" if shade[row, column] > 0.5 else "black"
            weight = "bold" if best else "normal"
            text = f"{100 * value:.1f}" if known else "–"
            panel.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour, weight=weight)
            if best:
                panel.plot(column + np.array([0, 1, 1, 0, 0]), row + np.array([0, 0, 1, 1, 0]), color=INK)
        panel.set_title(f"{axes[1].symbol} = {panels[number]:g}", fontsize=9, loc="left")
        panel.set_yticks(np.arange(len(results)) + 0.5, [shorten(name, _NAME) for name in results])
        panel.set_xticks(np.arange(len(columns)) + 0.5, [f"{value:g}" for value in columns])
        panel.invert_yaxis()
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
    drawn[-1].set_xlabel(f"{axes[0].symbol} ({axes[0].parameter}); fields: mAP, %")


def grid_of(
    axes: Sequence[Axis], results: Mapping[str, Results], columns: Sequence[float], panels: Sequence[float]
) -> NDArray[np.float64]:
    """Return the mean mAP (panels, data sets, columns) as shares; NaN where there is no finished cell."""
    grid = np.full((len(panels), len(results), len(columns)), np.nan)
    for row, cells in enumerate(results.values()):
        for (column, panel), (mean, _) in means(cells, [axis.parameter for axis in axes]).items():
            grid[panels.index(panel), row, columns.index(column)] = mean
    return grid


def study_table(axes: Sequence[Axis], results: Results) -> str:
    """Return the means as text, best first named; for a grid, a row per value of the first axis."""
    found = means(results, [axis.parameter for axis in axes])
    if not found:
        return "no cell was finished"
    best = max(found, key=lambda key: found[key][0])
    where = ", ".join(f"{axis.symbol} = {value:g}" for axis, value in zip(axes, best, strict=True))
    lines = [f"best mAP {_shown(found[best])} at {where}", ""]
    if len(axes) == 1:
        lines += [f"{axes[0].symbol} = {key[0]:<6g} {_shown(found[key])}" for key in sorted(found)]
        return "\n".join(lines)
    rows, columns = (sorted({key[number] for key in found}) for number in range(2))
    width = max(len(_shown(value)) for value in found.values())
    width = max(width, 8)
    head = " ".join(f"{f'{axes[1].symbol} = {column:g}':>{width}}" for column in columns)
    lines.append(f"{axes[0].symbol:<8} {head}")
    for row in rows:
        shown = (_shown(found[row, column]) if (row, column) in found else "–" for column in columns)
        lines.append(f"{row:<8g} {' '.join(f'{text:>{width}}' for text in shown)}")
    return "\n".join(lines)


def _shown(value: tuple[float, float]) -> str:
    mean, deviation = value
    return percent(mean, 2) + (f" ± {percent(deviation, 2)}" if math.isfinite(deviation) else "")


def _values(results: Mapping[str, Results], parameter: str) -> list[float]:
    return sorted({float(row[parameter]) for cells in results.values() for row in cells})


def _least(grid: NDArray[np.float64], over: tuple[int, int]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.where(np.isfinite(grid), grid, np.inf).min(axis=over)
    return found


def _most(grid: NDArray[np.float64], over: tuple[int, int]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.where(np.isfinite(grid), grid, -np.inf).max(axis=over)
    return found
