"""The readable form of a grade, as it stands in ``set.json``, and of several beside each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from onelabel.sources.named import NamedSet
from onelabel.sources.opinions import Opinions

Facts = Mapping[str, Any]
_NOT_KNOWN = "-"


def _percent(value: float | None) -> str:
    return _NOT_KNOWN if value is None else f"{100 * value:.1f}"


def _number(value: float | None) -> str:
    return _NOT_KNOWN if value is None else f"{value:.2f}"


_OF_CLASS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "class": ("class", str),
    "observed": ("observed_positives", str),
    "recall": ("recall", _percent),
    "present": ("predicted", _percent),
    "lift": ("lift", _number),
    "absent": ("absent", _percent),
    "denied": ("denied", _percent),
    "P checked": ("precision", _percent),
    "R checked": ("checked_recall", _percent),
    "F1 checked": ("f1", _percent),
}
"""Columns of the table of classes: heading, key in the grade, how it is written."""


def grade_lines(grade: Facts, show: int) -> list[str]:
    """Return overall figures, then the classes with the lowest lift first, shares times 100.

    Args:
        grade: as :meth:`onelabel.sources.grade.Grade.to_dict` gives it.
        show: how many classes to list.
    """
    lines = [
        f"recall of {grade['observed_positives']} observed positives {_percent(grade['recall'])}; called "
        f"present {_percent(grade['predicted'])} of all pairs; lift {_number(grade['lift'])}"
    ]
    if grade["checked_classes"]:
        lines.append(
            f"against checked labels ({grade['checked_images']} images, {grade['checked_classes']} classes): "
            f"CP {_percent(grade['CP'])}  CR {_percent(grade['CR'])}  CF1 {_percent(grade['CF1'])}  "
            f"OP {_percent(grade['OP'])}  OR {_percent(grade['OR'])}  OF1 {_percent(grade['OF1'])}"
        )
    else:
        lines.append(
            "precision not known: no class has known positives and known negatives; give labels that people "
            "checked with --checked FILE"
        )
    return [*lines, "", *class_lines(grade["per_class"], show)]


def class_lines(rows: Sequence[Facts], show: int) -> list[str]:
    """Return a table of classes, lowest lift first, those of unknown lift last."""
    if not show:
        return []
    ranked = sorted(rows, key=lambda row: (row["lift"] is None, row["lift"] or 0.0))[:show]
    table = [tuple(_OF_CLASS)]
    table += [tuple(shown(row[key]) for key, shown in _OF_CLASS.values()) for row in ranked]
    lines = _columns(table)
    return [*lines, f"... and {len(rows) - show} classes more: --show"] if len(rows) > show else lines


def list_lines(sets: Sequence[NamedSet]) -> list[str]:
    """Return a line for each set."""
    table: list[tuple[str, ...]] = [
        ("name", "source", "images", "present", "absent", "recall", "lift", "CF1")
    ]
    for found in sets:
        facts, graded = found.facts, found.facts["grade"]
        counts = (str(facts[key]) for key in ("images", "present", "absent"))
        quality = _percent(graded["recall"]), _number(graded["lift"]), _percent(graded["CF1"])
        table.append((found.name, describe(facts), *counts, *quality))
    return _columns(table)


def describe(facts: Facts) -> str:
    """Return source and rule of a set in short.

    Example:
        >>> describe({"source": {"name": "file", "path": "tags.csv"}, "rule": {"name": "top", "most": 3}})
        'tags.csv by top'
    """
    source, rule = facts.get("source"), facts.get("rule")
    rules = [str(found["name"]) for found in (rule, *facts.get("rules", {}).values()) if found]
    said = "" if source is None else _short(source)
    by = ",".join(dict.fromkeys(rules))
    return f"{said} by {by}" if said and by else said or by


def _short(source: Facts) -> str:
    if "of" in source:
        return f"{source.get('combine', 'agree')} of {'+'.join(_short(part) for part in source['of'])}"
    return str(source.get("path") or source["name"])


def compare_lines(sets: Sequence[NamedSet], show: int) -> list[str]:
    """Return how sets differ: figures of each, agreement of each two, recall and lift by class."""
    lines = list_lines(sets)
    read = {found.name: found.opinions() for found in sets}
    for number, first in enumerate(sets):
        for second in sets[number + 1 :]:
            lines += ["", agreement(first.name, read[first.name], second.name, read[second.name])]
    by_class = [{row["class"]: row for row in found.facts["grade"]["per_class"]} for found in sets]
    names = list(dict.fromkeys(name for rows in by_class for name in rows))[:show]
    table = [("recall/lift", *(found.name for found in sets))]
    table += [(name, *(_recall_and_lift(rows.get(name)) for rows in by_class)) for name in names]
    return [*lines, "", *_columns(table)]


def _recall_and_lift(row: Facts | None) -> str:
    return _NOT_KNOWN if row is None else f"{_percent(row['recall'])}/{_number(row['lift'])}"


def agreement(first: str, one: Opinions, second: str, other: Opinions) -> str:
    """Say how far two sets agree on the images and classes that both have."""
    rows = other.ids.rows_of(one.ids)
    here = np.flatnonzero(rows >= 0)
    shared = [name for name in one.class_ids if name in other.class_ids]
    assert one.decision is not None and other.decision is not None
    ours = one.decision[here][:, [one.class_ids.index(name) for name in shared]]
    theirs = other.decision[rows[here]][:, [other.class_ids.index(name) for name in shared]]
    both, either = int(((ours == 1) & (theirs == 1)).sum()), int(((ours == 1) | (theirs == 1)).sum())
    clash = int((ours * theirs == -1).sum())
    share = _percent(both / either if either else None)
    return (
        f"{first} and {second}, {len(here)} images: {both} of {either} present in both ({share} %), {clash} "
        "present in one and absent in the other"
    )


def _columns(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
