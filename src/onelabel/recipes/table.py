"""Published and measured numbers side by side: methods × data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onelabel.recipes.catalogue import DATA_SETS
from onelabel.recipes.published import UNCLEAR, Published, find, published
from onelabel.recipes.results import Result

_ORDER = [*DATA_SETS, UNCLEAR]


@dataclass(frozen=True)
class Line:
    """What is known of one recipe on one data set.

    Args:
        method: name of the recipe.
        setting: "" for the standard one.
        data_set: name of its reader; for NUS-WIDE that of the list, which is never mixed with another.
        published: published numbers.
        measured: runs.
    """

    method: str
    setting: str
    data_set: str
    published: tuple[Published, ...]
    measured: tuple[Result, ...]

    @property
    def row(self) -> str:
        """Name of the row: the method and, where it is not the standard setting, what is different."""
        return f"{self.method} ({self.setting})" if self.setting else self.method


@dataclass(frozen=True)
class Table:
    """A table ready to be printed.

    Args:
        title: what it shows, in a line.
        header: names of the columns.
        rows: texts of the cells.
        legend: what letters and numbers in the cells mean, a line each.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    legend: tuple[str, ...]


def lines_of(results: Sequence[Result]) -> tuple[Line, ...]:
    """Set runs beside published numbers, in the order of ``published.csv``.

    Without runs, these are all recipes with the standard network; else the data sets of the runs, with every
    standard recipe and what was run besides.

    Args:
        results: finished runs.
    """
    shown = {result.data_set for result in results} or set(_ORDER)
    standard = (found for found in published() if not found.setting)
    keys: list[tuple[str, str, str]] = [(found.method, found.setting, found.data_set) for found in standard]
    keys += [(result.method, result.setting, result.data_set) for result in results]
    return tuple(
        Line(
            method, setting, data_set, find(data_set, method, setting),
            tuple(r for r in results if (r.method, r.setting, r.data_set) == (method, setting, data_set)),
        )
        for method, setting, data_set in dict.fromkeys(keys)
        if data_set in shown
    )  # fmt: skip


def table_of(lines: Sequence[Line]) -> Table:
    """Lay lines out as methods × data sets, with a published and a measured column for each data set.

    Example:
        >>> table = table_of([line for line in lines_of([]) if line.method == "vlpl"])
        >>> table.rows[0][:2], table.legend[0]
        (('vlpl', '89.10 a'), 'a    VLPL Table 1')
    """
    data_sets = sorted({line.data_set for line in lines}, key=_ORDER.index)
    sources = list(dict.fromkeys(_source(found) for line in lines for found in line.published))
    runs = list({result.run: result for line in lines for result in line.measured}.values())
    names = [result.run for result in runs]
    rows: dict[str, dict[str, tuple[str, str]]] = {}
    for line in lines:
        published = [f"{found.text} {_letter(sources.index(_source(found)))}" for found in line.published]
        measured = [_measured(result, names.index(result.run)) for result in line.measured]
        rows.setdefault(line.row, {})[line.data_set] = ("; ".join(published), "; ".join(measured))
    return Table(
        "Test mAP in per cent, by the published definition",
        ("method", *(f"{name} {kind}" for name in data_sets for kind in ("published", "measured"))),
        tuple((name, *_flat(cells, data_sets)) for name, cells in rows.items()),
        (*_legend_of_sources(sources, data_sets), *map(_about_run, range(len(runs)), runs)),
    )


def _flat(cells: dict[str, tuple[str, str]], data_sets: Sequence[str]) -> list[str]:
    return [text for name in data_sets for text in cells.get(name, ("", ""))]


def _source(found: Published) -> str:
    return found.source if found.certain else f"{found.source}: {found.certainty}"


def _letter(number: int) -> str:
    """a, b, ..., z, aa, ab, ...

    Example:
        >>> _letter(0), _letter(26)
        ('a', 'aa')
    """
    return (_letter(number // 26 - 1) if number >= 26 else "") + chr(ord("a") + number % 26)


def _measured(result: Result, number: int) -> str:
    return f"{result.text} [{number + 1}]"


def _about_run(number: int, result: Result) -> str:
    label = f"[{number + 1}]"
    text = f"{label:<5}{result.run}, seed {result.seed}"
    return text + (f"; * {'; '.join(result.remarks)}" if result.remarks else "")


def _legend_of_sources(sources: Sequence[str], data_sets: Sequence[str]) -> list[str]:
    legend = [f"{_letter(number):<5}{source}" for number, source in enumerate(sources)]
    if UNCLEAR in data_sets:
        legend.append(f"{UNCLEAR}: the source does not name its list of NUS-WIDE images")
    return legend
