"""Tables of results as text, CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from io import StringIO
from itertools import zip_longest
from pathlib import Path

from onelabel.io.errors import OneLabelError
from onelabel.recipes.table import Line, Table, table_of

_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip
_COLUMNS = (
    "method", "setting", "data_set", "published", "published_source", "published_certainty", "measured",
    "mark", "run", "seed", "remarks",
)  # fmt: skip


def to_text(table: Table) -> str:
    """Return columns aligned for a terminal; empty columns are left out.

    Example:
        >>> print(to_text(Table("Numbers", ("method", "x"), (("an", "1.00 a"),), ("a  here",))))
        Numbers
        <BLANKLINE>
        method  x
        an      1.00 a
        <BLANKLINE>
        a  here
    """
    filled = [column for column in range(len(table.header)) if any(row[column] for row in table.rows)]
    rows = [[row[column] for column in filled] for row in (table.header, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    body = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([table.title, "", *body, "", *table.legend])


def to_csv(lines: Sequence[Line]) -> str:
    """Return a row for each method and data set; more where there are several numbers of a kind.

    Numbers stand alone; ``*`` has a column of its own, ``mark``, and what it means here is in ``remarks``.
    """
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for line in lines:
        published = [(each.text, each.source, each.certainty) for each in line.published]
        measured = [(f"{r.map:.2f}", r.mark, r.run, str(r.seed), "; ".join(r.remarks)) for r in line.measured]
        for left, right in zip_longest(published, measured):
            cells = [*(left or [""] * 3), *(right or [""] * 5)]
            writer.writerow([line.method, line.setting, line.data_set, *cells])
    return stream.getvalue()


def to_markdown(table: Table) -> str:
    """Return a Markdown table with its legend below.

    Example:
        >>> print(to_markdown(Table("Numbers", ("method", "x"), (("a|b", "1.00"),), ())), end="")
        Numbers
        <BLANKLINE>
        | method | x |
        |---|---|
        | a\\|b | 1.00 |
    """
    head, *rows = ("| " + " | ".join(map(_markdown, row)) + " |" for row in (table.header, *table.rows))
    legend = ["", *(f"- {_markdown(each)}" for each in table.legend)] if table.legend else []
    return "\n".join([table.title, "", head, "|" + "---|" * len(table.header), *rows, *legend]) + "\n"


def _markdown(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")


def to_latex(table: Table) -> str:
    r"""Return a LaTeX ``tabular`` that needs no package, with its legend below.

    Example:
        >>> print(to_latex(Table("Numbers", ("method", "x_1"), (("an", "50 %"),), ())), end="")
        % Numbers
        \begin{tabular}{ll}
        \hline
        method & x\_1 \\
        \hline
        an & 50 \% \\
        \hline
        \end{tabular}
    """
    head, *rows = (" & ".join(map(_latex, row)) + r" \\" for row in (table.header, *table.rows))
    top = [f"% {table.title}", rf"\begin{{tabular}}{{{'l' * len(table.header)}}}", r"\hline"]
    legend = [f"\n{_latex(each)}" for each in table.legend]
    return "\n".join([*top, head, r"\hline", *rows, r"\hline", r"\end{tabular}", *legend]) + "\n"


def _latex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)


def writer_of(path: str) -> Callable[[Sequence[Line]], str]:
    """Return what writes a file of this name.

    Raises:
        OneLabelError: its ending is none of .csv, .md, .tex and .html.
    """
    writers: dict[str, Callable[[Sequence[Line]], str]] = {
        ".csv": to_csv,
        ".md": lambda lines: to_markdown(table_of(lines)),
        ".tex": lambda lines: to_latex(table_of(lines)),
        ".html": _page,
    }
    ending = Path(path).suffix
    if ending not in writers:
        raise OneLabelError(f"a table is written as {', '.join(writers)}: {path} must end in one of these")
    return writers[ending]


def _page(lines: Sequence[Line]) -> str:
    from onelabel.recipes.page import benchmark_page  # needs numpy, and the extra `report`

    return benchmark_page(lines)
