"""From matplotlib to the text of an SVG image that takes the page's colours and fonts."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from onelabel.report.extra import require_report_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PINK, GOLD, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
COLOURS = (BLUE, ORANGE, GREEN, PINK, GOLD, SKY)
"""Colours that colour-blind eyes tell apart (Okabe and Ito, https://jfly.uni-koeln.de/color/)."""
DASHES = ("-", "--", ":", "-.")
WIDTH = 5.2
"""Inches. A page shows it at up to twice this size, a phone at this size."""

INK, LINE = "#1d2126", "#c9ced4"
"""Text and grid; in a page they take its colours."""
_FROM_THE_PAGE = {INK: "currentColor", LINE: "var(--line, #c9ced4)", BLUE: "var(--blue, #0072b2)"}
_STYLE: dict[Any, Any] = {  # newer matplotlib types the keys, older does not
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "onelabel",  # the same drawing gives the same file
    "text.parse_math": False,  # "$" in a class name is a dollar sign
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}


def draw(paint: Callable[[Figure], None], height: float) -> str:
    """Return what ``paint`` draws as one ``<svg>`` element.

    Args:
        paint: draws on the figure that it is given.
        height: inches; the width is always ``WIDTH``.

    Raises:
        OneLabelError: the extra ``report`` is not installed.

    Example:
        >>> draw(lambda figure: None, 1.0)[:4]
        '<svg'
    """
    require_report_extra()
    import matplotlib
    from matplotlib.figure import Figure

    text = io.StringIO()
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # Signs that matplotlib's font lacks are drawn by the browser, with its own fonts.
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        paint(figure)
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    return _for_a_page(text.getvalue())


def _for_a_page(svg: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style[^>]*>.*?</style>|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for colour, name in _FROM_THE_PAGE.items():
        svg = svg.replace(colour, name)
    return svg
