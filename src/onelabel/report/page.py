"""Building blocks of a page, and the one file that they become.

A page opens offline, runs no script, loads nothing, fits a phone and prints. Every text is escaped, whatever
the class or the photo is called; figures may hold shapes and text alone.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import onelabel
from onelabel.io.atomic import atomic_write
from onelabel.report.extra import require_report_extra
from onelabel.report.svg import inline_svg
from onelabel.report.text import cell, clean, shorten

if TYPE_CHECKING:
    from jinja2 import Environment

Cell = str | int | float | None


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Example:
        >>> Text("What this page shows.").kind
        'text'
    """

    kind: ClassVar = "text"
    text: str


@dataclass(frozen=True)
class Heading:
    """A heading inside a section.

    Example:
        >>> Heading("The worst images").kind
        'heading'
    """

    kind: ClassVar = "heading"
    text: str


@dataclass(frozen=True)
class Note:
    """A paragraph set apart: what to keep in mind, or with ``level="warning"`` what not to believe.

    Example:
        >>> Note("Differences this small are noise.", level="warning").level
        'warning'
    """

    kind: ClassVar = "note"
    text: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True)
class Code:
    """Lines as they are typed: commands, settings.

    Example:
        >>> Code(["onelabel report run --out report.html"]).lines[0][:8]
        'onelabel'
    """

    kind: ClassVar = "code"
    lines: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """The few numbers that matter most: (name, value, detail) each; the detail may be empty.

    Example:
        >>> len(Facts([("mAP", "88.2", "87.1 to 89.3"), ("images", "420", "")]).facts)
        2
    """

    kind: ClassVar = "facts"
    facts: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Table:
    """A table; it scrolls inside its own box where it is too wide or too long, and prints whole.

    Cells are text or numbers: an int gets thousands apart, a float four digits, None and NaN a dash. Format
    what wants other digits yourself.

    Args:
        headers: one per column.
        rows: cells, as many as headers in each.
        caption: what the table shows, in a sentence.
        text_columns: how many columns from the left hold text; the others are set right, as numbers are.

    Raises:
        ValueError: a row is longer or shorter than the headers.

    Example:
        >>> Table(["method", "mAP"], [["an", 85.03], ["em", None]], "five seeds").text_columns
        1
    """

    kind: ClassVar = "table"
    headers: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    text_columns: int = 1

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.headers):
                raise ValueError(f"{len(row)} cells under {len(self.headers)} headers")


@dataclass(frozen=True)
class Figure:
    """A drawing from :mod:`onelabel.report.figures`.

    Args:
        svg: one ``<svg>`` element, shapes and text alone; ``write_page`` raises ValueError for anything else.
        caption: what to see in it.
        alt: what it shows, for those who do not see it.

    Example:
        >>> from onelabel.report.figures import dots
        >>> figure = Figure(dots(["an", "em"], [85.0, 88.5], "test mAP"), "EM is ahead.", "an 85.0, em 88.5")
        >>> figure.svg[:4]
        '<svg'
    """

    kind: ClassVar = "figure"
    svg: str
    caption: str
    alt: str


@dataclass(frozen=True)
class Photo:
    """A photo with its name and lines of text below.

    Args:
        name: image id.
        lines: what to say of it.
        jpeg: the picture, small; empty where it cannot be shown.
        problem: why it cannot be shown.

    Example:
        >>> Photo("a.jpg", ["cat 0.98"], problem="the file is truncated").jpeg
        b''
    """

    name: str
    lines: Sequence[str] = ()
    jpeg: bytes = b""
    problem: str = "no picture"


@dataclass(frozen=True)
class Photos:
    """Photos side by side.

    Example:
        >>> Photos([Photo("a.jpg", ["cat 0.98"])]).kind
        'photos'
    """

    kind: ClassVar = "photos"
    photos: Sequence[Photo]


Block = Text | Heading | Note | Code | Facts | Table | Figure | Photos


@dataclass(frozen=True)
class Section:
    """A part of a page under a heading.

    Example:
        >>> Section("What was known", [Text("One label an image.")]).title
        'What was known'
    """

    title: str
    blocks: Sequence[Block]


def write_page(
    path: str | Path,
    title: str,
    sections: Sequence[Section],
    *,
    subtitle: str = "",
    data: Mapping[str, Any] | None = None,
) -> None:
    """Write a page, and beside it the same figures as JSON; each file appears whole or not at all.

    An existing file is replaced: check with :func:`onelabel.io.atomic.check_output` first, for both
    ``path`` and :func:`data_path`.

    Args:
        path: the ``.html`` file.
        title: of the page.
        sections: its parts, in order.
        subtitle: a line under the title.
        data: what to write as JSON to ``data_path(path)``; NaN and infinity become null. None for no file.

    Raises:
        OneLabelError: the extra ``report`` is not installed, or the file cannot be written.
        ValueError: a figure holds more than shapes and text.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "page.html"
        >>> write_page(target, "<Cats>", [Section("All", [Text("none")])], data={"cats": float("nan")})
        >>> "<h1>&lt;Cats&gt;</h1>" in target.read_text("utf-8"), data_path(target).read_text("utf-8")
        (True, '{\\n "cats": null\\n}\\n')
    """
    html = render_page(title, sections, subtitle=subtitle)
    if data is not None:
        with atomic_write(data_path(path)) as stream:
            json.dump(_plain(data), stream, indent=1, ensure_ascii=True, allow_nan=False)
            stream.write("\n")
    with atomic_write(path) as stream:
        stream.write(html)


def data_path(path: str | Path) -> Path:
    """Return the name of the JSON file beside a page.

    Example:
        >>> data_path("a/report.html").as_posix()
        'a/report.json'
    """
    return Path(path).with_suffix(".json")


def render_page(title: str, sections: Sequence[Section], *, subtitle: str = "") -> str:
    """Return a page as text, see :func:`write_page`.

    Example:
        >>> "<script" in render_page("<script>", [Section("a", [Table(["b"], [["<script>"]])])])
        False
    """
    require_report_extra()
    page = _environment().get_template("page.html")
    footer = f"Made by onelabel {onelabel.__version__}."
    return page.render(title=title, subtitle=subtitle, sections=sections, footer=footer)


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def finalize(value: Any) -> Any:
        return clean(value) if isinstance(value, str) and not hasattr(value, "__html__") else value

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
    )
    environment.filters |= {
        "cell": cell,
        "shorten": shorten,
        "base64": lambda data: b64encode(data).decode(),
        # Checked: shapes and text alone, written anew from the parsed tree.
        "inline": lambda svg, alt, prefix: Markup(inline_svg(svg, clean(alt), prefix)),
    }
    return environment


def _plain(value: Any) -> Any:
    """Return a value as strict JSON holds it: no NumPy types, None for what is not a finite number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
