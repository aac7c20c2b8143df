"""The model card of a bundle, from recorded facts alone."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from onelabel.models.bundle import UNCALIBRATED

_SHOWN_CLASSES = 200


def model_card(content: Mapping[str, Any]) -> str:
    """Return the ``README.md`` of a bundle.

    Args:
        content: what ``bundle.json`` holds. Text in it is untrusted: it cannot become Markdown or HTML.
    """
    sections = [
        "---\nlibrary_name: onelabel\ntags:\n- image-classification\n- multi-label\n---",
        f"# Image classifier with {len(content['classes'])} labels",
        "An image can show any number of these labels. Each gets a probability of its own.",
        "## Use\n\n```\nonelabel predict THIS_FOLDER photo.jpg --out tags.csv\n```",
        f"## Labels\n\n{_classes(content['classes'])}",
        f"## Decisions\n\nA label counts as present from its threshold on. {_thresholds(content)}",
        f"## Training\n\n{_table({'convention': content['convention'], 'method': content['method']})}",
        f"## Network\n\n{_network(content['backbone'])}",
        f"## Recorded during training\n\n{_table(content['facts'])}",
        f"## Versions\n\n{_table(content['versions'])}",
    ]
    return "\n\n".join(sections) + "\n"


def _classes(classes: list[Mapping[str, Any]]) -> str:
    shown = [_text(info["name"]) for info in classes[:_SHOWN_CLASSES]]
    rest = len(classes) - len(shown)
    return ", ".join(shown) + (f" and {rest} more, in `bundle.json`" if rest else "")


def _thresholds(content: Mapping[str, Any]) -> str:
    values = content["thresholds"].values()
    span = f"{min(values):.3g}" if min(values) == max(values) else f"{min(values):.3g} to {max(values):.3g}"
    curves = content.get("calibration")
    probs = UNCALIBRATED if curves is None else _text(curves["source"])
    return f"Thresholds: {span}. Source: {_text(content['thresholds_source'])}. Probabilities: {probs}."


def _network(backbone: Mapping[str, Any] | None) -> str:
    if backbone is None:
        return "A head on features from a file. It cannot read photos: the network is not included."
    facts = {key: backbone[key] for key in ("spec", "kind", "dim", "preprocessing")}
    trained = backbone["config"].get("pretrained_cfg", {})
    known = {key: trained[key] for key in ("license", "description", "origin_url") if trained.get(key)}
    return "The weights are included. Their licence is that of their source.\n\n" + _table(facts | known)


def _table(facts: Mapping[str, Any]) -> str:
    rows = [f"| {_text(key)} | {_text(value)} |" for key, value in _flat(facts)]
    return "\n".join(["| what | value |", "|---|---|", *rows]) if rows else "Nothing was recorded."


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: Any) -> str:
    """Return plain text for Markdown: one line, no markup, no control characters."""
    if isinstance(value, float):
        value = f"{value:.6g}"
    breaks = ("Zl", "Zp")  # some programs end a line at these two separators
    text = "".join(
        " " if (kind := unicodedata.category(char))[0] == "C" or kind in breaks else char
        for char in str(value)
    )
    return "".join(f"&#{ord(char)};" if char in "|<>&`*[]#\\" else char for char in text)
