"""The part of a report that shows photos: best, worst, most uncertain, likely missing labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelabel.labels.table import LabelTable
from onelabel.report.about_run import Part
from onelabel.report.examples import (
    Example,
    doubts,
    example,
    image_f1,
    lowest,
    margins,
    most_called,
    thumbnails,
)
from onelabel.report.material import Logits, Material
from onelabel.report.page import Block, Heading, Note, Photo, Photos, Section, Table, Text

Group = tuple[str, str, list[tuple[Example, list[str]]]]
"""Title, what it shows, and each image with the lines under it."""


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
    surplus, labels = material.surplus(judged.logits), judged.table.dense()

    def members(rows: Sequence[int]) -> list[tuple[Example, list[str]]]:
        found = [example(judged.table.ids.text(r), surplus[r], labels[r], material.names) for r in rows]  # type: ignore[union-attr]
        return [(one, one.lines()) for one in found]

    f1, margin = image_f1(surplus, labels), margins(surplus, labels)
    groups: list[Group] = []
    if np.isfinite(f1).any():
        groups = [
            ("Best", _BEST, members(lowest(-f1, count, ties=-margin))),
            ("Worst", _WORST, members(lowest(f1, count, ties=margin))),
        ]
    else:
        weakest = np.where(labels > 0, surplus, np.inf).min(axis=1)
        groups = [("Worst", _WORST_OF_POSITIVES, members(lowest(weakest, count)))]
    return [*groups, ("Most uncertain", _UNCERTAIN, members(lowest(-doubts(surplus), count)))]


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
    labels, surplus = table.dense(), material.surplus(logits)
    unknown: NDArray[np.bool_] = labels == 0
    groups: list[Group] = []
    for title, allowed, text in (
        (
            "Likely missing positives",
            unknown,
            "Nobody said whether the class is there; the model is sure that it is",
        ),
        (
            "Marked absent, called present",
            labels < 0,
            "The model is sure of a class that is marked absent: a mistake of the model or of the labels",
        ),
    ):
        found = most_called(surplus, allowed, count)
        if found:
            members = [_call(material, table, logits, row, column) for row, column in found]
            groups.append((title, f"{text} ({what}).", members))
    return groups


def _call(
    material: Material, table: LabelTable, logits: Logits, row: int, column: int
) -> tuple[Example, list[str]]:
    prob: Any = material.probs(logits[row : row + 1])[0, column]
    marked = [material.names[c] for c in np.flatnonzero(table.rows(np.array([row]))[0] > 0)]
    name = material.names[column]
    found = Example(table.ids.text(row), open=(name,))
    return found, [f"{name}, probability {prob:.2f}", f"marked: {', '.join(marked[:5]) or 'nothing'}"]
