"""The result as a page for the browser."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from onelabel.compare.advice import advice, points, reading
from onelabel.compare.contenders import REFERENCE
from onelabel.compare.summary import BETTER, Row, Summary
from onelabel.compare.tables import class_table, gaps, init_table, notes, table
from onelabel.report.figures import dots
from onelabel.report.page import Block, Facts, Figure, Note, Section, Table, Text, write_page


def write(path: Path, summary: Summary) -> None:
    """Write the page.

    Args:
        path: the ``.html`` file; replaced if it exists.
        summary: the result.

    Raises:
        OneLabelError: the extra ``report`` is not installed, or the file cannot be written.
    """
    plan = summary.plan
    subtitle = f"{len(summary.ranked)} methods, {plan.seeds} seeds, {plan.epochs} epochs each"
    write_page(path, "Which method suits these data", _sections(summary), subtitle=subtitle)


def _sections(summary: Summary) -> list[Section]:
    first, *others = advice(summary)
    clear = summary.row(REFERENCE) is not None and summary.ranked[0].verdict in (BETTER, "")
    blocks: list[Block] = [Note(first, level="info" if clear else "warning"), *map(Text, others)]
    sections = [
        Section("Recommendation", [*_facts(summary), *blocks]),
        Section("Methods", _methods(summary)),
        Section("Differences to AN", _differences(summary)),
        Section("How to read this", [Text(line) for line in (*reading(summary), *notes(summary))]),
        Section(
            "Starts of the head", [_as_table(init_table(summary), "Mean with each start of the bias.", 1)]
        ),
    ]
    classes = class_table(summary)
    if len(classes) > 1:
        sections.append(
            Section("Classes", [_as_table(classes, "Those that the best method but AN changes most.", 1)])
        )
    return [section for section in sections if section.blocks]


def _methods(summary: Summary) -> list[Block]:
    missing = gaps(summary)
    tables = [_as_table(table(summary), "Best first; references have no rank.", 1)]
    return [*tables, *([_as_table(missing, "What could not run.", 2)] if len(missing) > 1 else [])]


def _facts(summary: Summary) -> list[Facts]:
    """The best method, AN, and complete labels, in large figures."""
    named = {REFERENCE: "AN", **{row.key: row.key for row in summary.ranked[:1]}}
    rows = [row for row in summary.rows if row.values and (row.key in named or row.contender.complete)]
    spread = ["" if math.isnan(row.sd) else f"± {points(row.sd)}" for row in rows]
    found = [
        (named.get(row.key, "complete labels"), points(row.mean), spread[place])
        for place, row in enumerate(rows)
    ]
    return [Facts(found)] if found else []


def _as_table(rows: Sequence[Sequence[str]], caption: str, text_columns: int) -> Table:
    return Table(rows[0], rows[1:], caption, text_columns)


def _differences(summary: Summary) -> list[Block]:
    """Draw the difference of each row to AN with its interval."""
    rows = [row for row in summary.rows if row.difference is not None]
    if not rows:
        return []
    found = [_ends(row) for row in rows]
    names = [row.key for row in rows]
    low, middle, high = ([100 * ends[place] for ends in found] for place in range(3))
    drawn = dots(
        names, middle, f"points of {summary.figure.title} above AN", low=low, high=high, reference=("AN", 0.0)
    )
    alt = "; ".join(f"{name} {value:+.1f}" for name, value in zip(names, middle, strict=True))
    caption = (
        "Mean of the paired differences with its 95 % interval. An interval that holds 0 is no difference "
        "that these runs can show; of many methods, one in twenty leaves 0 out by chance."
    )
    return [Figure(drawn, caption, f"differences to AN: {alt}")]


def _ends(row: Row) -> tuple[float, float, float]:
    assert row.difference is not None
    low, high = row.difference.low, row.difference.high
    mean = row.difference.mean
    return (mean, mean, mean) if math.isnan(low) else (low, mean, high)
