"""Writing a bundle: ``bundle.json``, ``model.safetensors``, ``README.md``, all of it or nothing."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from onelabel.io.atomic import atomic_folder, atomic_write
from onelabel.io.manifest import digest_file, write_manifest
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
from onelabel.models.weights import write_weights


def write_bundle(folder: str | Path, bundle: Bundle, *, overwrite: bool = False) -> None:
    """Write a bundle folder, all of it or nothing.

    Args:
        folder: folder to make.
        bundle: the model.
        overwrite: replace it if it exists.

    Raises:
        OneLabelError: it exists, cannot be written, or a weight is not a finite number.
    """
    state = {f"head.{key}": value for key, value in bundle.head.state_dict().items()}
    if bundle.backbone is not None:
        backbone = bundle.backbone.network.state_dict()
        state |= {f"backbone.{key}": value for key, value in backbone.items()}
    content = _describe(bundle)
    with atomic_folder(folder, overwrite=overwrite) as temporary:
        write_weights(temporary / WEIGHTS, state, {BELONGS_TO: identity(content)})
        content["digests"] = {WEIGHTS: digest_file(temporary / WEIGHTS)}
        write_manifest(temporary / MANIFEST, KIND, VERSION, content)
        with atomic_write(temporary / CARD) as stream:
            stream.write(model_card(content))


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
        "thresholds": dict(zip(bundle.class_ids, bundle.thresholds.values.tolist(), strict=True)),
        "thresholds_source": bundle.thresholds.source,
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
