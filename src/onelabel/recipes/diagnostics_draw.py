"""Drawings as files of their own, SVG and PNG, as a paper takes them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onelabel.io.atomic import atomic_write
from onelabel.report.draw import INK, LINE
from onelabel.report.extra import require_report_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 200
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "onelabel",
    "text.parse_math": False,  # "$" in the name of a class is a dollar sign
    "font.size": 9,
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}


def save_figure(stem: Path, paint: Callable[[Figure], None], size: tuple[float, float]) -> tuple[Path, Path]:
    """Write what ``paint`` draws as ``stem.svg`` and ``stem.png``; return both.

    Args:
        stem: path without an ending.
        paint: draws on the figure that it is given.
        size: width and height, inches.

    Raises:
        OneLabelError: the extra ``report`` is not installed, or a file cannot be written.

    Example:
        >>> import tempfile
        >>> files = save_figure(Path(tempfile.mkdtemp()) / "empty", lambda figure: None, (2, 1))
        >>> [file.name for file in files]
        ['empty.svg', 'empty.png']
    """
    require_report_extra()
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # signs that matplotlib's font lacks
        figure = Figure(figsize=size, layout="constrained")
        paint(figure)
        return _save(figure, stem, "svg", {"Date": None}), _save(figure, stem, "png", {"Software": None})


def _save(figure: Figure, stem: Path, ending: str, metadata: dict[str, None]) -> Path:
    content = io.BytesIO()
    figure.savefig(content, format=ending, dpi=_DPI, metadata=metadata)
    file = stem.with_name(f"{stem.name}.{ending}")
    with atomic_write(file, "wb") as stream:
        stream.write(content.getvalue())
    return file
