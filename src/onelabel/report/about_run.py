"""The parts of a report that say what went in: labels, method, settings, the course of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from onelabel.report.figures import bars, curves
from onelabel.report.material import Material
from onelabel.report.page import Block, Code, Facts, Figure, Note, Section, Table, Text

Part = tuple[Section, dict[str, Any]]
"""A section, and the same as JSON."""

MOST_ROWS = 300
"""Longest table; the JSON file has every row."""
NEEDS_ABSENT = "it needs classes with known positives and known absences, and these labels have none"
DRAWN = 30
"""Most rows of a figure."""


def labels_section(material: Material) -> Part:
    """Say what was known in training: present, absent, unknown, per class where it can be told."""
    facts = material.bundle.facts.get("train") or {}
    images, classes = facts.get("images", 0), len(material.names)
    known = int(facts.get("positive", 0)) + int(facts.get("negative", 0))
    share = known / (images * classes) if images else float("nan")
    blocks: list[Block] = [
        Facts(
            [
                ("training images", f"{images:,}", f"{classes:,} classes"),
                ("known present", f"{facts.get('positive', 0):,}", _per_image(facts, "positive")),
                ("known absent", f"{facts.get('negative', 0):,}", _per_image(facts, "negative")),
                ("unknown", f"{facts.get('unknown', 0):,}", f"{100 * (1 - share):.1f} % of all pairs"),
            ]
        ),
    ]
    if facts.get("unknown"):
        blocks.append(Text("Unknown means that nobody said: the class may be on the photo or not."))
    rows = _counts(material)
    if rows:
        rare = [name for name, positive, *_ in rows if not positive]
        if rare:
            blocks.append(Note(f"No training image is marked with {_list(rare)}: nothing was learned of it."))
        blocks += _drawn_counts(rows)
    return Section("What was known", blocks), {"train": dict(facts), "per_class": _named(rows)}


def _per_image(facts: Mapping[str, Any], key: str) -> str:
    return f"{facts[key] / facts['images']:.2f} an image" if facts.get("images") else ""


def _counts(material: Material) -> list[tuple[str, int, int, int]]:
    """Name, present, absent, unknown of each class, fewest present first."""
    if material.train is None:
        return []
    counts = material.train.counts()
    found = zip(material.names, counts.positive, counts.negative, counts.unknown, strict=True)
    return sorted(((name, int(a), int(b), int(c)) for name, a, b, c in found), key=lambda row: row[1])


def _drawn_counts(rows: list[tuple[str, int, int, int]]) -> list[Block]:
    first = rows[:DRAWN]
    names, present, absent, unknown = zip(*first, strict=True)
    parts = {"present": present} | ({"absent": absent} if any(absent) and any(unknown) else {})
    which = f"The {DRAWN} classes with the fewest known positives." if len(rows) > DRAWN else "Fewest first."
    return [
        Figure(
            bars(names, parts, "training images"),
            f"Training images on which a class is known. {which}",
            f"bars of known labels per class, from {present[0]} to {present[-1]} present",
        ),
        Table(list(_COUNTED), rows[:MOST_ROWS], table_caption("Every class", len(rows))),
    ]


_COUNTED = ("class", "present", "absent", "unknown")


def table_caption(text: str, rows: int) -> str:
    """Return the caption of a table that may be cut."""
    return (
        f"{text}; the first {MOST_ROWS} of {rows:,}, all are in the JSON file" if rows > MOST_ROWS else text
    )


def _named(rows: list[tuple[str, int, int, int]]) -> list[dict[str, Any]]:
    return [dict(zip(_COUNTED, row, strict=True)) for row in rows]


def _list(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def method_section(material: Material) -> Part:
    """Name the method and every setting."""
    config = material.config
    bundle = material.bundle
    settings = [row for row in _flat(config) if row[1] is not None]
    network = "features from a file" if bundle.backbone is None else bundle.backbone.spec
    blocks: list[Block] = [
        Text(f"Method {config['method']['name']} on {network}. To train it once more:"),
        Code([f"onelabel train --config {material.run.path / 'config.yaml'} --out NEW_RUN"]),
        Table(
            ["setting", "value"], [[key, str(value)] for key, value in settings], "Settings", text_columns=2
        ),
    ]
    return Section("Method and settings", blocks), {"config": config, "network": network}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def training_section(material: Material) -> Part:
    """Draw loss and selection score of each epoch."""
    epochs, metrics = material.epochs, material.run.metrics
    data = {"epochs": epochs, "kept": metrics.get("epoch"), "select": metrics.get("select")}
    blocks: list[Block] = [Text(f"Kept epoch {metrics.get('epoch')}. {metrics.get('selection_means', '')}")]
    if len(epochs) < 2:
        return Section("Training", [*blocks, Note(f"No curves: the run logged {len(epochs)} epochs.")]), data
    at = np.array([_number(entry.get("epoch")) for entry in epochs])
    kept = {"kept epoch": float(metrics["epoch"])} if metrics.get("epoch") else None
    chosen = _SELECTION.get(str(metrics.get("select")), "selection score")
    for key, name, caption in (
        ("loss", "training loss", "Mean loss of each epoch. Losses of different methods cannot be compared."),
        ("selection", chosen, "What chose the epoch, on the validation images."),
    ):
        heights = np.array([_number(entry.get(key)) for entry in epochs])
        if np.isfinite(heights).any():
            figure = curves(at, {name: heights}, "epoch", name, marks=kept)
            blocks.append(Figure(figure, caption, f"{name} over {len(epochs)} epochs"))
    return Section("Training", blocks), data


_SELECTION = {"full": "mAP of validation images", "observed": "pu_auc of validation images"}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
