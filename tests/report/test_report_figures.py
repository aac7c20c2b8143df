"""Figures: marks stand where the numbers say, text is text, what is not a number is left out."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from browser import HOSTILE
from onelabel.report.figures import bars, curves, dots, heat_map, reliability
from onelabel.report.text import clean, shorten

BLUE = "var(--blue, #0072b2)"
SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def marks(svg: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Positions (x, y) of the markers inside the axes: those that are clipped."""
    groups = [g for g in ElementTree.fromstring(svg).iter(f"{SVG}g") if g.get("clip-path")]
    uses = [use for group in groups for use in group.iter(f"{SVG}use")]
    return np.array([[float(use.get("x", "nan")), float(use.get("y", "nan"))] for use in uses])


def line(svg: str, colour: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Corners of the first open line in a colour."""
    found = re.search(rf'<path d="([^"]+)" clip-path[^>]*fill: none;[^>]*stroke: {re.escape(colour)}', svg)
    assert found
    return np.array([[float(v) for v in pair] for pair in re.findall(r"[ML] (\S+) (\S+)", found[1])])


def is_affine(drawn: np.ndarray[tuple[int], np.dtype[np.float64]], values: list[float]) -> bool:
    """Say whether positions are a·values + b with a rising or falling line."""
    fit = np.polyfit(values, drawn, 1)
    return bool(np.abs(np.polyval(fit, values) - drawn).max() < 1e-3) and abs(fit[0]) > 1e-3


def test_dots_stand_where_the_values_are_first_on_top() -> None:
    values = [3.0, 10.0, 4.0, 7.5]
    at = marks(dots(["a", "b", "c", "d"], values, "x"))
    assert len(at) == 4
    assert is_affine(at[:, 0], values) and np.polyfit(values, at[:, 0], 1)[0] > 0
    assert is_affine(at[:, 1], [0, 1, 2, 3]) and at[0, 1] < at[1, 1]  # y grows downwards


def test_a_curve_goes_through_its_points() -> None:
    x, heights = [1.0, 2.0, 4.0, 8.0], [0.3, 0.9, 0.1, 0.5]
    corners = line(curves(x, {"a": heights}, "x", "y"), BLUE)
    assert is_affine(corners[:, 0], x) and is_affine(corners[:, 1], heights)


def test_the_diagonal_is_where_prediction_and_share_are_equal() -> None:
    predicted = [0.1, 0.3, 0.8]
    svg = reliability(predicted, predicted, [10, 20, 30])
    diagonal, at = line(svg, "currentColor"), line(svg, BLUE)
    slope = np.polyfit(diagonal[:, 0], diagonal[:, 1], 1)
    assert len(at) == 3
    np.testing.assert_allclose(np.polyval(slope, at[:, 0]), at[:, 1], atol=0.01)


def test_bins_without_entries_are_left_out() -> None:
    assert len(line(reliability([0.1, 0.5, 0.7], [0.2, 0.5, 0.8], [3, 0, 1]), BLUE)) == 2


def test_what_is_not_a_number_is_left_out() -> None:
    assert len(marks(dots(["a", "b"], [1.0, float("nan")], "x"))) == 1
    assert "–" in texts(heat_map([[1.0, float("nan")]], ["r"], ["a", "b"], "x", "y", "z"))
    assert "<svg" in dots([], [], "x") and "<svg" in bars([], {"a": []}, "x")


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_drawn_as_text(name: str) -> None:
    found = texts(bars([name, "b"], {clean(name)[:20]: [1, 2], "other": [2, 1]}, "x"))
    assert shorten(name, 28) in found and clean(name)[:20] in found


def test_a_drawing_is_small() -> None:
    names = [f"class {n}" for n in range(30)]
    assert len(dots(names, np.arange(30), "x")) < 60_000
