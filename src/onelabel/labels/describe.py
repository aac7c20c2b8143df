"""The text that is always printed: this is how I read your data."""

from __future__ import annotations

from typing import Any

import numpy as np

from onelabel.io.text import printable
from onelabel.labels.table import LabelTable

_NAMED = 5
_BAR = 24


def summarise(table: LabelTable, format: str = "") -> dict[str, Any]:
    """Count what is known, as plain numbers and names.

    Args:
        table: the labels.
        format: name of the format they were read from.

    Returns:
        ``format``, ``images``, ``classes``; ``cells`` with ``positive``, ``negative`` and ``unknown``;
        ``positives_per_image`` with ``mean``, ``min``, ``max`` and ``histogram`` (images by number of
        positives); ``images_nothing_known``, ``images_without_positive``; ``classes_without_positive`` (ids);
        ``splits`` (images by name; ``""`` for none) and ``groups`` where there are any.

    Example:
        >>> table = LabelTable.from_dense(["a.jpg", "b.jpg"], ["cat", "dog"], [[1, 0], [1, -1]])
        >>> summarise(table)["cells"]
        {'positive': 2, 'negative': 1, 'unknown': 1}
    """
    images, classes = table.counts_per_image(), table.counts()
    histogram = np.bincount(images.positive)
    summary: dict[str, Any] = {
        "format": format,
        "images": len(table),
        "classes": table.num_classes,
        "cells": {name: int(getattr(images, name).sum()) for name in ("positive", "negative", "unknown")},
        "positives_per_image": {
            "mean": float(images.positive.mean()) if len(table) else 0.0,
            "min": int(images.positive.min(initial=table.num_classes)) if len(table) else 0,
            "max": int(images.positive.max(initial=0)),
            "histogram": {int(count): int(histogram[count]) for count in np.flatnonzero(histogram)},
        },
        "images_nothing_known": int((images.unknown == table.num_classes).sum()),
        "images_without_positive": int((images.positive == 0).sum()),
        "classes_without_positive": [
            table.class_ids[column] for column in np.flatnonzero(classes.positive == 0)
        ],
    }
    if table.splits is not None:
        sizes = np.bincount(table.splits.astype(np.int64) + 1, minlength=len(table.split_names) + 1)
        named = zip(("", *table.split_names), sizes.tolist(), strict=True)
        summary["splits"] = {name: size for name, size in named if size}
    if table.groups is not None:
        summary["groups"] = len(np.unique(table.groups[table.groups >= 0]))
    return summary


def describe(table: LabelTable, format: str) -> str:
    """Say in plain text how labels were read.

    Args:
        table: the labels.
        format: name of the format they were read from.

    Example:
        >>> table = LabelTable.from_dense(["a.jpg", "b.jpg"], ["cat", "dog"], [[1, 0], [1, -1]])
        >>> print(describe(table, "wide-csv"))
        This is how I read your data (wide-csv):
          images              2
          classes             2   cat, dog
          + present           2   50.0 %
          - absent            1   25.0 %
          ? unknown           1   25.0 %
          positives per image 1.0 on average (1 to 1)
        ...
    """
    found = summarise(table, format)
    lines = [
        ("images", f"{found['images']:,}", _splits(found)),
        ("classes", f"{found['classes']:,}", _names(list(table.class_ids))),
        *_cells(found["cells"]),
    ]
    width = max(len(number) for _, number, _ in lines)
    rows = [f"  {what:<20}{number:>{width}}   {more}".rstrip() for what, number, more in lines]
    text = [f"This is how I read your data ({format}):", *rows, *_per_image(found), *_warnings(found)]
    return "\n".join(map(printable, text))


def _cells(cells: dict[str, int]) -> list[tuple[str, str, str]]:
    total = max(1, sum(cells.values()))
    names = {"positive": "+ present", "negative": "- absent", "unknown": "? unknown"}
    return [(names[name], f"{count:,}", f"{100 * count / total:.1f} %") for name, count in cells.items()]


def _splits(found: dict[str, Any]) -> str:
    parts = [f"{name or 'in no split'} {size:,}" for name, size in found.get("splits", {}).items()]
    if "groups" in found:
        parts.append(f"{found['groups']:,} groups")
    return ", ".join(parts)


def _names(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _per_image(found: dict[str, Any]) -> list[str]:
    per_image = found["positives_per_image"]
    text = f"{per_image['mean']:.1f} on average ({per_image['min']} to {per_image['max']})"
    return [f"  {'positives per image':<20}{text}", *_histogram(per_image["histogram"])]


def _histogram(histogram: dict[int, int]) -> list[str]:
    """Draw one bar per number of positives, 8 and more in one."""
    bars: dict[str, int] = {}
    for positives, images in histogram.items():
        name = str(positives) if positives < 8 else "8+"
        bars[name] = bars.get(name, 0) + images
    most = max(bars.values(), default=1)
    number = max((len(f"{images:,}") for images in bars.values()), default=1)
    return [
        f"  {name:>19} {images:>{number},} {'█' * max(1, round(_BAR * images / most))}"
        for name, images in bars.items()
    ]


def _warnings(found: dict[str, Any]) -> list[str]:
    without = found["classes_without_positive"]
    counts = {
        "images with nothing known": (found["images_nothing_known"], ""),
        "images without a positive": (found["images_without_positive"], ""),
        "classes without a positive": (len(without), f" ({_names(without)})" if without else ""),
    }
    return [f"  {what}: {count:,}{names}" for what, (count, names) in counts.items()]
