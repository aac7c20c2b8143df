"""The report on one run: all its parts in one page, and the same as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onelabel.report.about_decisions import calibration_section, pseudo_section, thresholds_section
from onelabel.report.about_photos import examples_section
from onelabel.report.about_quality import classes_section, quality_section
from onelabel.report.about_run import Part, labels_section, method_section, training_section
from onelabel.report.material import Material
from onelabel.report.page import Note, Section, Text, write_page


def write_report(path: str | Path, material: Material, *, examples: int = 8, max_pixels: int) -> None:
    """Write the page and the JSON file of a run.

    Args:
        path: the ``.html`` file; an existing one is replaced.
        material: see :func:`onelabel.report.gather.gather`.
        examples: images of each kind.
        max_pixels: larger photos are not decoded.

    Raises:
        OneLabelError: the extra ``report`` is not installed, or a file cannot be written.
    """
    parts = _parts(material, examples, max_pixels)
    name = str(material.config["method"]["name"])
    data: dict[str, Any] = {"report_on": str(material.run.path)}
    data |= {key: content for key, (_, content) in parts.items()} | {"lacking": list(material.gaps)}
    sections = [section for section, _ in parts.values()]
    if material.gaps:
        sections.append(Section("Not in this report", [Text(gap) for gap in material.gaps]))
    subtitle = f"Run {material.run.path}: method {name}, {len(material.names):,} classes."
    write_page(path, f"Report on {material.run.path.name}", sections, subtitle=subtitle, data=data)


def _parts(material: Material, examples: int, max_pixels: int) -> dict[str, Part]:
    judged = material.judged
    parts: dict[str, Part] = {}
    if judged is None:
        nothing = (
            "Nothing says how good this model is: the run had no validation images, and no labels were given."
        )
        parts["quality"] = Section("How good it is", [Note(nothing, "warning")]), {}
    else:
        parts["quality"] = quality_section(judged)
    parts["known"] = labels_section(material)
    if judged is not None:
        parts["classes"] = classes_section(material, judged)
    parts["thresholds"] = thresholds_section(material, judged)
    if judged is not None:
        parts["calibration"] = calibration_section(material, judged)
    if material.grade is not None:
        parts["pseudo_labels"] = pseudo_section(material.grade)
    if examples:
        parts["examples"] = examples_section(material, examples, max_pixels)
    parts["training"] = training_section(material)
    parts["method"] = method_section(material)
    return parts
