"""The part of a report that shows photos: best, worst, most uncertain, likely missing labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from onelabel.labels.table import LabelTable
from onelabel.report.about_run import Part
from onelabel.report.examples import (
    Example,
    Labels,
    Surplus,
    doubts,
    example,
    image_f1,
    lowest,
    margins,
    surest,
    thumbnails,
    weakest_present,
)
from onelabel.report.material import Logits, Material
from onelabel.report.page import Block, Heading, Note, Photo, Photos, Section, Table, Text

Group = tuple[str, str, list[tuple[Example, list[str]]]]
"""Title, what it shows, and each image with the lines under it."""
_ROWS_AT_ONCE = 8192


def examples_section(material: Material, count: int, max_pixels: int) -> Part:
    """Show ``count`` images of each kind; without an image folder, name them."""
    groups = [*_judged_groups(material, count), *_missing_groups(material, count)]
    wanted = [found.image for _, _, members in groups for found, _ in members]
    pictures = {} if material.photos is None else thumbnails(wanted, material.photos, max_pixels)
    blocks: list[Block] = []
    for title, text, members in groups:
        blocks += [Heading(title), Text(text), _shown(members, pictures)]
    broken = sorted({photo.name for photo in pictures.values() if not photo.jpeg})
    if broken:
        blocks.append(Note(f"{len(broken)} photos cannot be shown: {', '.join(broken[:5])}.", "warning"))
    data = [
        {"title": title, "shows": text, "images": [asdict(found) for found, _ in members]}
        for title, text, members in groups
    ]
    section = Section("Examples", blocks or [Note("No image has labels and scores.")])
    return section, {"groups": data, "broken": broken}


def _shown(members: Sequence[tuple[Example, list[str]]], pictures: dict[str, Photo]) -> Block:
    if not pictures:
        return Table(
            ["image", "decisions"], [[found.image, "; ".join(lines)] for found, lines in members], "", 2
        )
    return Photos([replace(pictures[found.image], lines=lines) for found, lines in members])


def _judged_groups(material: Material, count: int) -> list[Group]:
    judged = material.judged
    if judged is None or judged.table is None or judged.logits is None:
        return []
    table, logits = judged.table, judged.logits

    def members(rows: Sequence[int]) -> list[tuple[Example, list[str]]]:
        index = np.array(rows, np.int64)
        parts = zip(rows, material.surplus(logits[index]), table.rows(index), strict=True)
        found = [example(table.ids.text(row), above, known, material.names) for row, above, known in parts]
        return [(one, one.lines()) for one in found]

    f1, margin, low, doubt = _by_rows(
        material, table, logits, (image_f1, margins, weakest_present, lambda surplus, _: doubts(surplus))
    )
    groups: list[Group] = [("Worst", _WORST_OF_POSITIVES, members(lowest(low, count)))]
    if np.isfinite(f1).any():
        groups = [
            ("Best", _BEST, members(lowest(-f1, count, ties=-margin))),
            ("Worst", _WORST, members(lowest(f1, count, ties=margin))),
        ]
    return [*groups, ("Most uncertain", _UNCERTAIN, members(lowest(-doubt, count)))]


def _by_rows(
    material: Material,
    table: LabelTable,
    logits: Logits,
    measures: Sequence[Callable[[Surplus, Labels], NDArray[np.float64]]],
) -> list[NDArray[np.float64]]:
    """Return each measure of each image, (N,), without ever holding all labels at once."""
    found: list[list[NDArray[np.float64]]] = [[] for _ in measures]
    for first in range(0, len(table), _ROWS_AT_ONCE):
        index = np.arange(first, min(first + _ROWS_AT_ONCE, len(table)))
        surplus, labels = material.surplus(logits[index]), table.rows(index)
        for values, measure in zip(found, measures, strict=True):
            values.append(measure(surplus, labels))
    return [np.concatenate(values) for values in found]


_BEST = "Highest F1 of the decisions on the image; of equals, those whose classes are furthest apart."
_WORST = "Lowest F1 of the decisions on the image: look whether the model is wrong, or the label."
_WORST_OF_POSITIVES = (
    "A class that is marked stands far below its threshold. Which decisions are false is not known, so "
    "neither is which images are best."
)
_UNCERTAIN = "Most decisions are close to their thresholds: labels for these may teach most."


def _missing_groups(material: Material, count: int) -> list[Group]:
    groups = []
    if material.train is not None and material.train_logits is not None:
        groups += _missing(material, material.train, material.train_logits, "training images", count)
    judged = material.judged
    if judged is not None and judged.table is not None and judged.logits is not None:
        groups += _missing(material, judged.table, judged.logits, judged.what, count)
    return groups


def _missing(material: Material, table: LabelTable, logits: Logits, what: str, count: int) -> list[Group]:
    """Return what is called most surely without being marked present: unknown, and absent."""
    groups: list[Group] = []
    for title, sign, text in (
        ("Likely missing positives", 0, _LIKELY),
        ("Marked absent, called present", -1, _MARKED_ABSENT),
    ):

        def call(surplus: Surplus, labels: Labels, sign: int = sign) -> NDArray[np.float64]:
            return surest(surplus, labels == sign)[1]

        (best,) = _by_rows(material, table, logits, [call])
        rows = lowest(-best, count)
        if rows:
            members = [_call(material, table, logits, row, sign) for row in rows]
            groups.append((title, f"{text} ({what}).", members))
    return groups


_LIKELY = "Nobody said whether the class is there; the model is sure that it is"
_MARKED_ABSENT = "The model is sure of a class that is marked absent: a mistake of the model or of the labels"


def _call(
    material: Material, table: LabelTable, logits: Logits, row: int, sign: int
) -> tuple[Example, list[str]]:
    """Return the class of one image that is called most surely among those marked with ``sign``."""
    index = np.array([row])
    labels = table.rows(index)
    column = int(surest(material.surplus(logits[index]), labels == sign)[0][0])
    name, prob = material.names[column], material.probs(logits[index])[0, column]
    marked = [material.names[c] for c in np.flatnonzero(labels[0] > 0)]
    called = {"open" if sign == 0 else "false": (name,)}
    found = Example(table.ids.text(row), **called)
    return found, [f"{name}, probability {prob:.2f}", f"marked: {', '.join(marked[:5]) or 'nothing'}"]
