"""Writing a bundle, all of it or nothing, and new decisions into one that exists."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from onelabel.io.atomic import atomic_folder, atomic_write
from onelabel.io.errors import OneLabelError
from onelabel.io.manifest import digest_file, read_manifest, write_manifest
from onelabel.models.bundle import Bundle
from onelabel.models.bundle_layout import (
    BELONGS_TO,
    CARD,
    CONVENTION,
    KIND,
    MANIFEST,
    VERSION,
    WEIGHTS,
    identity,
)
from onelabel.models.card import model_card
from onelabel.models.seen import Seen, write_seen
from onelabel.models.weights import write_weights


def write_bundle(
    folder: str | Path, bundle: Bundle, *, overwrite: bool = False, seen: Seen | None = None
) -> None:
    """Write a bundle folder, all of it or nothing.

    Args:
        folder: folder to make.
        bundle: the model.
        overwrite: replace it if it exists.
        seen: which images it was made from.

    Raises:
        OneLabelError: it exists, cannot be written, a weight is not a finite number, or its thresholds or
            calibration were fitted to other weights.
    """
    state = {f"head.{key}": value for key, value in bundle.head.state_dict().items()}
    if bundle.backbone is not None:
        backbone = bundle.backbone.network.state_dict()
        state |= {f"backbone.{key}": value for key, value in backbone.items()}
    content = _describe(bundle)
    with atomic_folder(folder, overwrite=overwrite) as temporary:
        write_weights(temporary / WEIGHTS, state, {BELONGS_TO: identity(content)})
        content["digests"] = {WEIGHTS: digest_file(temporary / WEIGHTS)}
        content |= _decisions(bundle, content["digests"][WEIGHTS])
        write_manifest(temporary / MANIFEST, KIND, VERSION, content)
        with atomic_write(temporary / CARD) as stream:
            stream.write(model_card(content))
        if seen is not None:
            write_seen(temporary, seen)


def write_decisions(folder: Path, bundle: Bundle) -> None:
    """Put the thresholds and the calibration of a bundle into its folder; everything else stays as it is.

    ``bundle.json`` is replaced in one step. The card follows it, unless somebody has edited the card.

    Args:
        folder: the bundle folder that ``bundle`` was loaded from.
        bundle: with the new thresholds and calibration.

    Raises:
        OneLabelError: they were fitted to other weights, or the folder cannot be written.
    """
    old = read_manifest(folder / MANIFEST, KIND, VERSION)
    content = old | _decisions(bundle, digest_file(folder / WEIGHTS))
    write_manifest(folder / MANIFEST, KIND, VERSION, content)
    card = folder / CARD
    if card.is_file() and card.read_bytes() == model_card(old).encode():
        with atomic_write(card) as stream:
            stream.write(model_card(content))


def _decisions(bundle: Bundle, model: str) -> dict[str, Any]:
    """Return thresholds and calibration as ``bundle.json`` has them, bound to the weights."""
    thresholds, curves = bundle.thresholds, bundle.calibration
    by_class = {
        name: dict(zip(bundle.class_ids, values.tolist(), strict=True))
        for name, values in (
            ("thresholds", thresholds.values),
            *([] if curves is None else [("slope", curves.slope), ("intercept", curves.intercept)]),
        )
    }
    content = {
        "thresholds": by_class.pop("thresholds"),
        "thresholds_source": thresholds.source,
        "thresholds_fit": _bound(thresholds.fit, model),
        "calibration": None
        if curves is None
        else {**by_class, "source": curves.source, "fit": _bound(curves.fit, model)},
    }
    return {key: _plain(value) for key, value in content.items()}


def _bound(fit: Mapping[str, Any], model: str) -> dict[str, Any]:
    if fit.get("model", model) != model:
        raise OneLabelError("thresholds or calibration were fitted to other weights: fit them again")
    return {**fit, "model": model} if fit else {}


def _describe(bundle: Bundle) -> dict[str, Any]:
    backbone = bundle.backbone
    fingerprints = dict(bundle.fingerprints)
    if backbone is not None:
        fingerprints["backbone"] = backbone.fingerprint
    content = {
        "classes": [
            {"id": info.id, "name": info.name, "synonyms": list(info.synonyms)} for info in bundle.classes
        ],
        "convention": CONVENTION,
        "backbone": None if backbone is None else backbone.describe(),
        "head": bundle.head.describe(),
        "method": bundle.method,
        "fingerprints": fingerprints,
        "facts": bundle.facts,
        "versions": _versions(None if backbone is None else backbone.kind),
    }
    return {key: _plain(value) for key, value in content.items()}


def _versions(kind: str | None) -> dict[str, str]:
    library = {"timm": ["timm"], "open_clip": ["open_clip_torch"]}.get(kind or "", [])
    names = ["onelabel", "torch", "pillow", "safetensors", *library]
    return {"python": sys.version.split()[0]} | {name: version(name) for name in names}


def _plain(value: Any) -> Any:
    """Return a value as strict JSON holds it: no NumPy types, None for what is not a finite number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
