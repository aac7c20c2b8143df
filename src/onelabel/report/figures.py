"""Plain drawings of numbers, each as one ``<svg>`` element for :class:`onelabel.report.page.Figure`.

Numbers are drawn as they are given: multiply shares by 100 yourself where the axis says percent. NaN is left
out. Names may be any text; long ones lose their middle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from onelabel.report.draw import BLUE, COLOURS, DASHES, INK, ORANGE, draw
from onelabel.report.text import clean, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NAME = 28
_HATCHES = ("", "////", "....", "xxxx")


def dots(
    names: Sequence[str],
    values: ArrayLike,
    axis: str,
    *,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    reference: tuple[str, float] | None = None,
) -> str:
    """Draw a dot per name, first on top, with an interval where there is one.

    Args:
        names: of the n rows.
        values: (n,) where the dots are.
        axis: what the values are, with their unit.
        low: (n,) lower ends of the intervals.
        high: (n,) upper ends.
        reference: name and position of a vertical line to compare with.

    Example:
        >>> svg = dots(["an", "em"], [85, 88], "test mAP", low=[84, 87], high=[86, 90], reference=("full", 9))
        >>> "test mAP" in svg, "full" in svg
        (True, True)
    """
    at = np.asarray(values, float)
    down, up = (at if end is None else np.asarray(end, float) for end in (low, high))

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        rows = _name_rows(axes, names, axis)
        axes.hlines(rows, down, up, color=BLUE, linewidth=1.6)
        axes.plot(at, rows, "o", color=BLUE, markersize=5)
        if reference is not None:
            axes.axvline(reference[1], color=ORANGE, linestyle="--", label=clean(reference[0]))
            _legend(axes)

    return draw(paint, _height(names, reference is not None))


def bars(names: Sequence[str], parts: Mapping[str, ArrayLike], axis: str) -> str:
    """Draw a bar per name, first on top, of one part or of several one after the other.

    Args:
        names: of the n rows.
        parts: (n,) lengths by the name of the part, in the order from the left.
        axis: what the lengths are.

    Example:
        >>> svg = bars(["cat", "dog"], {"present": [3, 1], "unknown": [7, 9]}, "training images")
        >>> "present" in svg and "dog" in svg
        True
    """

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        rows, left = _name_rows(axes, names, axis), np.zeros(len(names))
        for number, (part, lengths) in enumerate(parts.items()):
            style = {"color": COLOURS[number % len(COLOURS)], "hatch": _HATCHES[number % len(_HATCHES)]}
            axes.barh(rows, lengths, left=left, height=0.65, label=clean(part), edgecolor="white", **style)  # type: ignore[arg-type]
            left = left + np.asarray(lengths, float)
        if len(parts) > 1:
            _legend(axes)

    return draw(paint, _height(names, len(parts) > 1))


def curves(
    x: ArrayLike,
    lines: Mapping[str, ArrayLike],
    x_axis: str,
    y_axis: str,
    *,
    marks: Mapping[str, float] | None = None,
    y_range: tuple[float, float] | None = None,
) -> str:
    """Draw lines over one axis, different in colour and dash.

    Args:
        x: (n,) positions; an axis of whole numbers where they are whole.
        lines: (n,) heights by name.
        x_axis: what x is.
        y_axis: what the heights are.
        marks: positions of vertical lines by name.
        y_range: ends of the vertical axis; by default what fits.

    Example:
        >>> svg = curves([1, 2, 3], {"loss": [0.7, 0.5, 0.4]}, "epoch", "training loss", marks={"kept": 3})
        >>> "epoch" in svg and "kept" in svg
        True
    """
    from matplotlib.ticker import MaxNLocator

    positions = np.asarray(x, float)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for number, (name, heights) in enumerate(lines.items()):
            dash, colour = DASHES[number % len(DASHES)], COLOURS[number % len(COLOURS)]
            marker = "o" if len(positions) < 2 else ""
            axes.plot(positions, heights, dash, color=colour, label=clean(name), marker=marker)
        for number, (name, where) in enumerate((marks or {}).items()):
            axes.axvline(
                where, color=INK, linestyle=DASHES[(number + 2) % len(DASHES)], linewidth=1, label=clean(name)
            )
        _label(axes, x_axis, y_axis)
        if np.all(positions == np.round(positions)):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if y_range is not None:
            axes.set_ylim(*y_range)
        if len(lines) + len(marks or {}) > 1:
            _legend(axes)

    return draw(paint, 2.9)


def steps(
    edges: ArrayLike,
    counts: Mapping[str, ArrayLike],
    x_axis: str,
    y_axis: str,
    *,
    marks: Mapping[str, float] | None = None,
) -> str:
    """Draw histograms over the same bins.

    Args:
        edges: (n + 1,) edges of the bins.
        counts: (n,) heights by name.
        x_axis: what the bins are.
        y_axis: what the heights are.
        marks: positions of vertical lines by name.

    Example:
        >>> svg = steps([0, 0.5, 1], {"present": [1, 8], "absent": [9, 2]}, "probability", "images")
        >>> "absent" in svg
        True
    """

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for number, (name, heights) in enumerate(counts.items()):
            style = {"color": COLOURS[number % len(COLOURS)], "linestyle": DASHES[number % len(DASHES)]}
            axes.stairs(np.asarray(heights, float), np.asarray(edges, float), label=clean(name), **style)  # type: ignore[arg-type]
        for name, where in (marks or {}).items():
            axes.axvline(where, color=INK, linestyle=":", linewidth=1, label=clean(name))
        _label(axes, x_axis, y_axis)
        _legend(axes)

    return draw(paint, 2.9)


def reliability(predicted: ArrayLike, observed: ArrayLike, counts: ArrayLike) -> str:
    """Draw how often what is predicted with some probability is true; on the diagonal, as often as predicted.

    Args:
        predicted: (n,) mean probability of each bin.
        observed: (n,) share that is present.
        counts: (n,) entries in the bin; the area of the dot. Bins of none are left out.

    Example:
        >>> svg = reliability([0.1, 0.9], [0.2, 0.7], [500, 20])
        >>> "share present" in svg
        True
    """
    at, true, many = (np.asarray(values, float) for values in (predicted, observed, counts))
    used = many > 0

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=INK, linestyle=":", linewidth=1, label="as often as predicted")
        axes.plot(at[used], true[used], color=BLUE, linewidth=1)
        areas = 12 + 50 * many[used] / max(many.max(initial=0), 1)
        axes.scatter(at[used], true[used], s=areas, color=BLUE, label="this model (area: entries)")
        _label(axes, "predicted probability", "share present")
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        _legend(axes)

    return draw(paint, 4.2)


def heat_map(
    values: ArrayLike, rows: Sequence[str], columns: Sequence[str], row_axis: str, column_axis: str, axis: str
) -> str:
    """Draw a grid of numbers, each written in its field; from light to dark also without colour.

    Args:
        values: (r, c) numbers.
        rows: names of the r rows, first on top.
        columns: names of the c columns.
        row_axis: what the rows are.
        column_axis: what the columns are.
        axis: what the numbers are.

    Example:
        >>> svg = heat_map([[80.1, 81.0]], ["0.03"], ["0.3", "0.6"], "temperature", "threshold", "mAP")
        >>> "81.0" in svg
        True
    """
    grid = np.asarray(values, float)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.pcolormesh(np.ma.masked_invalid(grid), cmap="viridis_r", edgecolors="white", linewidth=1)
        middle = (np.nanmin(grid) + np.nanmax(grid)) / 2 if np.isfinite(grid).any() else 0.0
        for (r, c), value in np.ndenumerate(grid):
            colour = INK if not np.isfinite(value) else "white" if value > middle else "black"
            text = f"{value:.1f}" if np.isfinite(value) else "–"
            axes.text(c + 0.5, r + 0.5, text, ha="center", va="center", color=colour)
        axes.set_xticks(np.arange(len(columns)) + 0.5, [shorten(name, _NAME) for name in columns])
        axes.set_yticks(np.arange(len(rows)) + 0.5, [shorten(name, _NAME) for name in rows])
        axes.invert_yaxis()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set(xlabel=clean(column_axis), ylabel=clean(row_axis))
        axes.set_title(clean(axis), fontsize=9, loc="left")

    return draw(paint, 1.0 + 0.38 * len(rows))


def _height(names: Sequence[str], legend: bool) -> float:
    return 0.75 + 0.2 * max(len(names), 1) + (0.3 if legend else 0)


def _name_rows(axes: Axes, names: Sequence[str], axis: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Write the names down the left side, first on top; return their rows."""
    rows = np.arange(len(names))
    axes.set_yticks(rows, [shorten(name, _NAME) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_xlabel(clean(axis))
    return rows


def _label(axes: Axes, x_axis: str, y_axis: str) -> None:
    axes.set(xlabel=clean(x_axis), ylabel=clean(y_axis))
    axes.grid()


def _legend(axes: Axes) -> None:
    """Names of the lines above the drawing, where they hide nothing."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8, borderaxespad=0.2, handlelength=2.2
    )
