"""The page of benchmark runs: what was measured beside what was published."""

from __future__ import annotations

from collections.abc import Sequence

from onelabel.recipes.published import Published
from onelabel.recipes.results import Result
from onelabel.recipes.table import Line, table_of
from onelabel.report.figures import dots
from onelabel.report.page import Block, Cell, Code, Figure, Heading, Note, Section, Table, Text, render_page

_HEADERS = ("method", "source or run", "", "mAP")


def benchmark_page(lines: Sequence[Line]) -> str:
    """Return the page as HTML.

    Args:
        lines: published and measured numbers.

    Raises:
        OneLabelError: the extra ``report`` is not installed.

    Example:
        >>> from onelabel.recipes.table import lines_of
        >>> "VLPL Table 1" in benchmark_page([line for line in lines_of([]) if line.method == "vlpl"])
        True
    """
    run = [line for line in lines if line.measured]
    sections = [Section(f"On {name}", _of_data_set(found)) for name, found in _by_data_set(run).items()]
    sections.append(_everything(lines))
    if run:
        commands = [_command(line, result) for line in run for result in line.measured]
        sections.append(Section("Once more", [Code(commands)]))
    subtitle = "Mean average precision on the test images in per cent, by the published definition"
    return render_page("Published and measured", sections, subtitle=subtitle)


def _by_data_set(lines: Sequence[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.data_set, []).append(line)
    return found


def _of_data_set(lines: Sequence[Line]) -> list[Block]:
    """A table and a drawing of what was run on one data set, with what was published for the same methods."""
    rows = [row for line in lines for row in _rows(line)]
    names = [f"{row[0]}: {row[1]}{'*' * str(row[3]).endswith('*')}" for row in rows]
    values = [float(str(row[3]).rstrip("*")) for row in rows]
    blocks: list[Block] = [Table(_HEADERS, rows, text_columns=3)]
    alt = "; ".join(f"{row[0]}: {row[1]} {row[3]}" for row in rows)
    blocks.append(Figure(dots(names, values, "test mAP (%)"), "One dot for each number of the table.", alt))
    for line in lines:
        blocks += [
            Text(f"{found.source}, {line.row}: {found.note}") for found in line.published if found.note
        ]
        blocks += _remarks(line)
    spread = "Published numbers have no spread; two papers differ by half a point and more for one method."
    blocks.append(Text(spread))
    return blocks


def _rows(line: Line) -> list[list[Cell]]:
    published = [_published_row(line, found) for found in line.published]
    return published + [_measured_row(line, result) for result in line.measured]


def _published_row(line: Line, found: Published) -> list[Cell]:
    source = found.source if found.certain else f"{found.source} ({found.certainty})"
    return [line.row, source, "published", found.text]


def _measured_row(line: Line, result: Result) -> list[Cell]:
    return [line.row, f"{result.run}, seed {result.seed}", "measured", result.text]


def _remarks(line: Line) -> list[Note]:
    """Say what * means, once for runs that have it for the same reason."""
    runs: dict[str, list[str]] = {}
    for result in line.measured:
        if result.remarks:
            runs.setdefault("; ".join(result.remarks), []).append(result.run)
    return [Note(f"* {line.row}, {', '.join(of)}: {text}", level="warning") for text, of in runs.items()]


def _everything(lines: Sequence[Line]) -> Section:
    table = table_of(lines)
    filled = [column for column in range(len(table.header)) if any(row[column] for row in table.rows)]
    rows = [[row[column] or None for column in filled] for row in table.rows]
    headers = [table.header[column] for column in filled]
    blocks: list[Block] = [Table(headers, rows, text_columns=len(headers)), Heading("What the marks mean")]
    return Section("Methods and data sets", [*blocks, *(Text(text) for text in table.legend)])


def _command(line: Line, result: Result) -> str:
    name = "/".join(filter(None, (line.data_set, line.method, line.setting)))
    changed = [f"--{key.replace('_', '-')} {value}" for key, value in result.changed.items()]
    return " ".join(["onelabel benchmark", name, "--data DIR --out RUN", f"--seed {result.seed}", *changed])
