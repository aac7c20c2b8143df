"""The parts of a report on decisions: thresholds, probabilities, pseudo-labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from onelabel.evaluation.curve import F1Curve, f1_curve
from onelabel.evaluation.ece import CalibrationError, calibration_error
from onelabel.report.about_run import MOST_ROWS, NEEDS_ABSENT, Part, table_caption
from onelabel.report.figures import curves, reliability
from onelabel.report.material import Judged, Material
from onelabel.report.page import Block, Facts, Figure, Note, Section, Table, Text
from onelabel.report.text import MISSING, percent

_LOST = 0.01
"""Share of F1 that is worth a sentence."""


def thresholds_section(material: Material, judged: Judged | None) -> Part:
    """Say which thresholds decide, and what one threshold for all classes would give."""
    thresholds = material.bundle.thresholds
    values = thresholds.values
    span = f"{values.min():.3f}" if np.ptp(values) == 0 else f"{values.min():.3f} to {values.max():.3f}"
    blocks: list[Block] = [
        Text(f"A class counts as present from its threshold on: {span}. Source: {thresholds.source}.")
    ]
    data: dict[str, Any] = {
        "source": thresholds.source,
        "values": dict(zip(material.bundle.class_ids, values.tolist(), strict=True)),
        "curve": None,
    }
    if judged is None or judged.logits is None or judged.table is None:
        blocks.append(Note("No curve is drawn: it needs labels and scores of the same images."))
        return Section("Thresholds", blocks), data
    curve = f1_curve(material.probs(judged.logits), judged.table.dense())
    blocks += _drawn_f1(curve) if len(curve.thresholds) else [Note(f"No curve is drawn: {NEEDS_ABSENT}.")]
    return Section("Thresholds", blocks), data | {"curve": curve.to_dict()}


def _drawn_f1(curve: F1Curve) -> list[Block]:
    half, best, at = percent(curve.half_f1), percent(curve.best_f1), f"{curve.best:.3f}"
    text = f"With one threshold for all classes, F1 is {half} % at 0.5; the best here is {best} %, at {at}."
    if curve.best_f1 - curve.half_f1 > _LOST:
        text += (
            " Probabilities learned from partial labels mean little by themselves: EM and its relatives keep "
            "what is unknown near 0.5, so 0.5 is no natural border."
        )
    lines = {"F1": curve.f1, "precision": curve.precision, "recall": curve.recall}
    figure = curves(
        curve.thresholds,
        {name: 100 * heights for name, heights in lines.items()},
        "one threshold for all classes",
        "%",
        marks={"0.5": 0.5, "best F1": curve.best},
        y_range=(0, 102),
    )
    caption = "F1, precision and recall of all decisions together, against the threshold."
    return [Text(text), Figure(figure, caption, f"F1 {half} at 0.5, highest {best} at {at}")]


def calibration_section(material: Material, judged: Judged) -> Part:
    """Show how often what is predicted with some probability is true."""
    title = "Are the probabilities right?"
    if judged.logits is None or judged.table is None:
        return Section(title, [Note("This needs labels and scores of the same images.")]), {}
    found = calibration_error(material.probs(judged.logits), judged.table.dense())
    if not found.classes_used:
        return Section(title, [Note(f"This cannot be told: {NEEDS_ABSENT}.")]), found.to_dict()
    calibration = material.bundle.calibration
    state = "as trained, not calibrated" if calibration is None else f"calibrated: {calibration.source}"
    blocks: list[Block] = [
        Facts([("ECE in %", percent(found.value), f"mean over {found.classes_used} classes")]),
        Text(
            f"Probabilities {state}. The expected calibration error (ECE) is how far they are from the share "
            f"that is present. {_tendency(found)} Few known entries make the ECE too high, even for "
            "probabilities that are right."
        ),
        Figure(
            reliability(found.mean_prob, found.share_present, found.count),
            "Known entries in groups of equal size. Below the diagonal: less often true than predicted.",
            f"reliability diagram, expected calibration error {percent(found.value)} %",
        ),
    ]
    return Section(title, blocks), found.to_dict()


def _tendency(found: CalibrationError) -> str:
    above = float(np.average(found.mean_prob - found.share_present, weights=found.count))
    return f"Over all, they are too {'high' if above > 0 else 'low'} by {percent(abs(above))} points."


def pseudo_section(grade: Mapping[str, Any]) -> Part:
    """Say how good the pseudo-labels were, on what is known."""
    rows = sorted(grade["per_class"], key=lambda row: (row["lift"] is None, row["lift"] or 0.0))
    cells = [
        [row["class"], row["observed_positives"], *(percent(row[k]) for k in _SHARES), _lift(row["lift"])]
        for row in rows[:MOST_ROWS]
    ]
    headers = ["class", "known present", "of them called %", "of all called %", "of them denied %", "lift"]
    blocks: list[Block] = [
        Facts(
            [
                ("recall in %", percent(grade["recall"]), "of the known positives"),
                ("lift", _lift(grade["lift"]), "1 is chance"),
            ]
        ),
        Text(
            f"The source calls {percent(grade['predicted'])} % of all pairs of image and class present, "
            f"and {percent(grade['recall'])} % of the {grade['observed_positives']:,} known positives. Lift "
            "is the second over the first: 1 is what calling as many at random gives."
        ),
        Text(_checked(grade)),
        Table(headers, cells, table_caption("Every class, lowest lift first", len(rows))),
    ]
    return Section("Pseudo-labels", blocks), dict(grade)


_SHARES = ("recall", "predicted", "denied")


def _lift(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2f}"


def _checked(grade: Mapping[str, Any]) -> str:
    if not grade["checked_classes"]:
        return "How many of its calls are false is not known: no training label is a known absence."
    return (
        f"On known labels: CP {percent(grade['CP'])}, CR {percent(grade['CR'])}, CF1 {percent(grade['CF1'])} "
        f"over {grade['checked_classes']} classes."
    )
