"""The result as text, Markdown, CSV and JSON; names in it are the user's, and are kept from doing harm."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Sequence

from onelabel.compare.advice import advice, points, reading
from onelabel.compare.as_dict import to_dict
from onelabel.compare.per_class import class_rows
from onelabel.compare.plan import HEAD_INITS
from onelabel.compare.summary import Row, Summary
from onelabel.report.text import clean

_CLASSES_SHOWN = 20


def escaped(text: str) -> str:
    """Return text for Markdown, where nothing in it means anything.

    Example:
        >>> escaped("a|b <script> *c*")
        'a\\\\|b &lt;script&gt; \\\\*c\\\\*'
    """
    text = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\`*_[]|#!~$" else c for c in text)


def columns(summary: Summary) -> list[str]:
    """Return the heads of the table."""
    heads = ["method", "rank", summary.figure.title, "difference to AN [95 %]", "verdict"]
    if any(row.gap is not None for row in summary.rows):
        heads.append("of the gap")
    names = (
        {"f1": "F1"}
        if summary.figure.name == "map"
        else {"recall_at_1": "recall@1", "recall_at_3": "recall@3"}
    )
    where = summary.figure.where
    heads += [
        title for name, title in names.items()
        if any(row.mean_of(where, name) is not None for row in summary.rows)
    ]  # fmt: skip
    if where == "checked":
        heads += ["mAP interval (images)", "pu_auc on test images"]
    return [*heads, "chosen"]


def cells(row: Row, summary: Summary) -> dict[str, str]:
    """Return the cells of a row by head, as plain text."""
    figure, away = summary.figure, row.difference
    found = {
        "rank": "–" if row.rank is None else str(row.rank),
        "method": row.key,
        figure.title: _spread(row),
        "difference to AN [95 %]": "" if away is None else _away(away.mean, away.low, away.high),
        "verdict": row.verdict,
        "of the gap": "" if row.gap is None else f"{100 * row.gap:.0f} %",
        "chosen": _chosen(row),
    }
    for name, title in (("f1", "F1"), ("recall_at_1", "recall@1"), ("recall_at_3", "recall@3")):
        found[title] = _points(row.mean_of(figure.where, name))
    found["pu_auc on test images"] = _points(row.mean_of("test", "pu_auc"))
    images = row.images
    found["mAP interval (images)"] = (
        "" if images is None else f"{points(images.map.low)} to {points(images.map.high)}"
    )
    return found


def _points(value: float | None) -> str:
    return "" if value is None else points(value)


def _spread(row: Row) -> str:
    return points(row.mean) if math.isnan(row.sd) else f"{points(row.mean)} ± {points(row.sd)}"


def _away(mean: float, low: float, high: float) -> str:
    sign = f"{100 * mean:+.1f}"
    return sign if math.isnan(low) else f"{sign} [{100 * low:+.1f}, {100 * high:+.1f}]"


def _chosen(row: Row) -> str:
    """Count what was chosen: starts of the head and learning rates."""
    settings = [trial["setting"] for trial in row.chosen if trial["setting"]]
    parts = []
    for key, form in (("head_init", "{}"), ("lr", "{:.2g}")):
        counts = Counter(form.format(setting[key]) for setting in settings)
        parts += [
            f"{value} {number}×" if len(counts) > 1 else value for value, number in sorted(counts.items())
        ]
    return ", ".join(parts)


def table(summary: Summary) -> list[list[str]]:
    """Return heads and rows as plain text, without what failed."""
    heads = columns(summary)
    return [heads, *([cells(row, summary)[head] for head in heads] for row in summary.rows if row.values)]


def gaps(summary: Summary) -> list[list[str]]:
    """Return heads, and what is not in the table with the reason, those of one reason together."""
    reasons: dict[str, list[str]] = {}
    for row in summary.rows:
        if row.error:
            reasons.setdefault(f"failed: {row.error}", []).append(row.key)
    for out in summary.left_out:
        reasons.setdefault(f"not run: {out.reason}", []).append(out.key)
    return [["not in the table", "why"], *([", ".join(keys), reason] for reason, keys in reasons.items())]


def text(summary: Summary) -> str:
    """Return the table for a terminal, then the recommendation."""
    rows = [[clean(cell) for cell in row] for row in table(summary)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [clean(f"{names}: {reason}") for names, reason in gaps(summary)[1:]]
    said = [clean(line) for line in (*advice(summary), *notes(summary))]
    return "\n".join([*lines, "", *said])


def notes(summary: Summary) -> list[str]:
    """Return what else to know."""
    return [f"Note: {note}." for note in summary.notes]


def markdown(summary: Summary) -> str:
    """Return the whole result as Markdown."""
    rows = [[escaped(cell) for cell in row] for row in table(summary)]
    lines = ["# Comparison", "", *(f"* {escaped(line)}" for line in advice(summary)), ""]
    lines += _markdown_table(rows)
    if len(gaps(summary)) > 1:
        lines += ["", *_markdown_table([[escaped(cell) for cell in row] for row in gaps(summary)])]
    lines += ["", "## How to read this", ""]
    lines += [f"* {escaped(line)}" for line in (*reading(summary), *notes(summary))]
    lines += [
        "",
        "## Starts of the head",
        "",
        "Mean over the seeds with each start, whichever was chosen.",
        "",
    ]
    lines += _markdown_table([[escaped(cell) for cell in row] for row in init_table(summary)])
    classes = class_table(summary)
    if len(classes) > 1:
        lines += ["", "## Classes", "", "Those that the best method but AN changes most.", ""]
        lines += _markdown_table([[escaped(cell) for cell in row] for row in classes])
    return "\n".join(lines) + "\n"


def init_table(summary: Summary) -> list[list[str]]:
    """Return heads and the mean of each method with each start of the head, as plain text."""
    rows = [
        [row.key, *(points(row.by_init.get(init, math.nan)) for init in HEAD_INITS)] for row in summary.ranked
    ]
    return [["method", *HEAD_INITS], *rows]


def class_table(summary: Summary) -> list[list[str]]:
    """Return heads and the classes that the best method but AN changes most, as plain text."""
    found = class_rows(summary)[:_CLASSES_SHOWN]
    best = "" if summary.challenger is None else summary.challenger.key
    rows = [
        [row.name, points(row.reference), points(row.best), f"{100 * (row.best - row.reference):+.1f}",
         points(row.full)]
        for row in found
    ]  # fmt: skip
    return [["class", "an", best, "difference", "complete labels"], *rows]


def _markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]


def as_csv(summary: Summary) -> str:
    """Return one line for each contender, figures in [0, 1]."""
    stream = io.StringIO()
    heads = (
        "method", "rank", "mean", "sd", "seeds", "difference_to_an", "low", "high", "p_adjusted", "verdict",
        "gap_closed", "test_map", "test_f1", "test_pu_auc", "checked_map", "checked_f1", "error",
    )  # fmt: skip
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(heads)
    for row in summary.rows:
        found = to_dict(row)
        low, high = found["interval"] or (None, None)
        found |= {"seeds": len(row.values), "low": low, "high": high, **found["figures"]}
        writer.writerow(["" if found[head] is None else found[head] for head in heads])
    for out in summary.left_out:
        found = {"method": out.key, "error": f"not run: {out.reason}"}
        writer.writerow([found.get(head, "") for head in heads])
    return stream.getvalue()


def as_json(summary: Summary) -> str:
    """Return everything as JSON."""
    found = {
        "kind": "onelabel-comparison-result",
        "format_version": 1,
        "figure": {"name": summary.figure.name, "images": summary.figure.where},
        "settings": summary.plan.to_dict(),
        "recommendation": advice(summary),
        "reading": reading(summary),
        "notes": list(summary.notes),
        "rows": [to_dict(row) for row in summary.rows],
        "left_out": [{"method": out.key, "reason": out.reason} for out in summary.left_out],
        "classes": [
            {
                "class": row.name,
                "an": _plain(row.reference),
                "best": _plain(row.best),
                "complete": _plain(row.full),
            }
            for row in class_rows(summary)
        ],
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
