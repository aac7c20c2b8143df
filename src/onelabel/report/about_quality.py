"""The parts of a report that say what came out: how good the model is, over all and per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onelabel.report.about_run import DRAWN, MOST_ROWS, NEEDS_ABSENT, Part, table_caption
from onelabel.report.figures import dots
from onelabel.report.material import Judged, Material
from onelabel.report.page import Block, Facts, Figure, Note, Section, Table, Text
from onelabel.report.text import MISSING, percent


def quality_section(judged: Judged) -> Part:
    """Give the mAP with its interval, ranking measures, and what the labels cannot show."""
    found, interval = judged.found, judged.interval
    data = {"judged_on": judged.what, "chose_the_epoch": judged.chose, "evaluation": found}
    data["map_interval"] = None if interval is None else interval.to_dict()
    blocks: list[Block] = [Text(f"Measured on {judged.what}."), Facts(_figures(judged))]
    if judged.chose:
        blocks.append(Note(_FLATTERED, "warning"))
    blocks += [Note(note) for note in found["notes"]]
    if interval is not None:
        outside = interval.value < interval.low or interval.value > interval.high
        said = _INTERVAL.format(interval.draws, interval.units)
        blocks.append(Text(said + (_OUTSIDE if outside else "")))
    ranked = [row for row in found["top_k"] if row["images"]]
    if ranked:
        headers = ["classes", "precision", "recall", "any present"]
        cells = [[f"top {row['k']}", *(percent(row[key]) for key in _RANKED)] for row in ranked]
        blocks.append(Table(headers, cells, "Among the classes ranked first in each image, in %"))
    return Section("How good it is", blocks), data


_RANKED = ("precision", "recall", "any_present")
_FLATTERED = "These images also chose the epoch or the thresholds: expect less on images never used."
_INTERVAL = (
    "The interval says what other images of the same kind may give ({:,} bootstrap draws from {:,} images or "
    "groups), not what another training may give; it is too narrow where classes have few positives."
)
_OUTSIDE = (
    " Here it does not hold the mAP itself: over few images average precision comes out too high, and the "
    "interval takes that off."
)


def _figures(judged: Judged) -> list[tuple[str, str, str]]:
    found, interval = judged.found, judged.interval
    between = ""
    if interval is not None and interval.low == interval.low:
        between = f"{100 * interval.level:g} % interval {percent(interval.low)} to {percent(interval.high)}"
    facts = [("mAP in %", percent(found["map"]), between or f"over {found['map_classes']} classes")]
    if not found["map_classes"]:
        facts = [("mAP", "not defined", "it needs known absences")]
    if found.get("pu_auc") is not None:
        facts.append(
            ("pu_auc in %", percent(found["pu_auc"]), "marked present above unknown; 50 is guessing")
        )
    f1 = found.get("f1")
    if f1 is not None and f1["classes"]:
        facts.append(("OF1 in %", percent(f1["OF1"]), f"CF1 {percent(f1['CF1'])}, at the model's thresholds"))
    known = found["known"]
    share = 1 - known["unknown"] / max(1, found["images"] * found["classes"])
    facts.append(("images", f"{found['images']:,}", f"{100 * share:.0f} % of their labels known"))
    return facts


def classes_section(material: Material, judged: Judged) -> Part:
    """List AP, support and decisions per class, the worst first."""
    rows = sorted(
        zip(material.names, judged.found["per_class"], strict=True),
        key=lambda row: (row[1]["ap"] is None, row[1]["ap"] or 0.0),
    )
    able = [(name, row) for name, row in rows if row["ap"] is not None]
    blocks: list[Block] = []
    if able:
        blocks += _drawn_ap(able, judged.found["map"])
    else:
        blocks.append(Text(f"AP per class is not given: {NEEDS_ABSENT}."))
    decided = "threshold" in rows[0][1]
    headers = ["class", "AP", "present", "absent", "unknown"]
    headers += ["threshold", "precision", "recall", "F1"] if decided else []
    headers += ["pu_auc"] if "pu_auc" in rows[0][1] else []
    caption = table_caption("Every class, lowest AP first; AP, precision, recall and F1 in %", len(rows))
    cells = [_class_cells(name, row) for name, row in rows[:MOST_ROWS]]
    return Section("Classes", [*blocks, Table(headers, cells, caption)]), {
        "worst": [row["class"] for _, row in able[:10]]
    }


def _class_cells(name: str, row: Mapping[str, Any]) -> list[str | int | float | None]:
    cells: list[str | int | float | None] = [
        name,
        percent(row["ap"]),
        row["positive"],
        row["negative"],
        row["unknown"],
    ]
    if "threshold" in row:
        cells += [MISSING if row["threshold"] is None else f"{row['threshold']:.3f}"]
        cells += [percent(row[key]) for key in ("precision", "recall", "f1")]
    return cells + ([percent(row["pu_auc"])] if "pu_auc" in row else [])


def _drawn_ap(rows: Sequence[tuple[str, Mapping[str, Any]]], mean: float) -> list[Block]:
    drawn = rows[:DRAWN]
    names, values = [name for name, _ in drawn], [100 * row["ap"] for _, row in drawn]
    which = f"the {DRAWN} lowest of {len(rows)}" if len(rows) > DRAWN else "lowest first"
    few = [name for name, row in rows if row["positive"] < 10]
    blocks: list[Block] = [
        Text("Lowest: " + ", ".join(f"{name} ({percent(row['ap'])})" for name, row in rows[:5]) + "."),
        Figure(
            dots(names, values, "AP in %", reference=("mAP", 100 * mean)),
            f"Average precision of each class, {which}.",
            "; ".join(f"{name} {value:.1f}" for name, value in zip(names[:5], values, strict=False)),
        ),
    ]
    if few:
        blocks.append(
            Note(
                f"{len(few)} of {len(rows)} classes have fewer than 10 known positives: their AP says little."
            )
        )
    return blocks
