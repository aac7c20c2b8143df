"""Reading a bundle. Its files are untrusted: nothing is unpickled, and every part is checked before use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.io.manifest import digest_file, read_manifest
from onelabel.labels.entries import CONTROL, check_class_ids
from onelabel.labels.table import ClassInfo
from onelabel.models.backbones import Backbone, rebuild_backbone
from onelabel.models.bundle import Bundle, Calibration, Thresholds
from onelabel.models.bundle_layout import BELONGS_TO, KIND, MANIFEST, VERSION, WEIGHTS, identity
from onelabel.models.heads import LinearHead, rebuild_head
from onelabel.models.weights import fit_weights, read_weights

T = TypeVar("T")


def load_bundle(
    path: str | Path, device: str | torch.device = "cpu", *, without_decisions: bool = False
) -> Bundle:
    """Load a model; needs no network connection, training data or training code.

    Args:
        path: a bundle folder, or the run folder that holds one.
        device: where to run it, such as ``"cpu"`` or ``"cuda"``.
        without_decisions: leave thresholds and calibration out, to fit new ones.

    Raises:
        OneLabelError: missing or damaged parts, parts of different models, thresholds or calibration of other
            weights, or a newer format.
    """
    folder = find_bundle(path)
    file = folder / MANIFEST
    content = read_manifest(file, KIND, VERSION)
    classes = _classes(content, file)
    state = _weights(content, folder)
    try:
        bundle = Bundle(
            classes=classes,
            head=_head(_get(content, "head", dict, file), _part(state, "head."), folder / WEIGHTS),
            backbone=_backbone(content, _part(state, "backbone."), folder),
            thresholds=Thresholds.not_calibrated(len(classes))
            if without_decisions
            else _thresholds(content, classes, file),
            calibration=None if without_decisions else _calibration(content, classes, file),
            method=_get(content, "method", dict, file),
            fingerprints=_get(content, "fingerprints", dict, file),
            facts=_get(content, "facts", dict, file),
        )
    except OneLabelError as error:
        raise OneLabelError(f"{path} cannot be used: {error}") from error
    for part in filter(None, (bundle.head, bundle.backbone)):
        part.to(device).eval().requires_grad_(False)
    return bundle


def find_bundle(path: str | Path) -> Path:
    """Return the bundle folder at ``path``, which may be the run folder around it.

    Raises:
        OneLabelError: there is none.
    """
    path = Path(path)
    for folder in (path, path / "bundle"):
        if (folder / MANIFEST).is_file():
            return folder
    problem = f"no {MANIFEST} in it or in its folder bundle" if path.exists() else "there is no such folder"
    raise OneLabelError(f"{path} holds no trained model: {problem}; give the --out of a train")


def _get(content: Mapping[str, Any], key: str, kind: type[T], file: Path) -> T:
    value = content.get(key)
    if not isinstance(value, kind):
        raise OneLabelError(f"{file}: {key!r} is missing or not a {kind.__name__}")
    return value


def _classes(content: Mapping[str, Any], file: Path) -> tuple[ClassInfo, ...]:
    entries = _get(content, "classes", list, file)
    for entry in entries:
        synonyms = entry.get("synonyms", []) if isinstance(entry, dict) else None
        if not isinstance(synonyms, list) or not all(
            isinstance(text, str) for text in (entry.get("id"), entry.get("name"), *synonyms)
        ):
            raise OneLabelError(f"{file}: every class needs an id and a name, both text")
        wrong = next((text for text in (entry["name"], *synonyms) if CONTROL.search(text)), None)
        if wrong is not None:
            raise OneLabelError(f"{file}: the name {wrong!r} holds a character that cannot be printed")
    try:
        check_class_ids([entry["id"] for entry in entries])
    except OneLabelError as error:
        raise OneLabelError(f"{file}: {error}") from None
    return tuple(ClassInfo(entry["id"], entry["name"], tuple(entry.get("synonyms", ()))) for entry in entries)


def _weights(content: Mapping[str, Any], folder: Path) -> dict[str, Tensor]:
    file = folder / WEIGHTS
    if not file.is_file():
        raise OneLabelError(f"{file} is missing: the bundle is not complete")
    different = OneLabelError(
        f"{file} and {MANIFEST} beside it are not of one model: one of them was changed or is damaged; copy "
        "the whole folder again, or train again"
    )
    if _get(content, "digests", dict, folder / MANIFEST).get(WEIGHTS) != digest_file(file):
        raise different
    state, metadata = read_weights(file)
    if metadata.get(BELONGS_TO) != identity({"backbone": None, "head": None, **content}):
        raise different
    unknown = [key for key in state if not key.startswith(("head.", "backbone."))]
    if unknown:
        raise OneLabelError(f"{file} holds weights that no part of the model has, such as {unknown[0]!r}")
    return state


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _head(description: Mapping[str, Any], state: Mapping[str, Tensor], file: Path) -> LinearHead:
    try:
        head = rebuild_head(description, state)
    except OneLabelError as error:
        raise OneLabelError(f"{file}: {error}") from None
    fit_weights(head, state, str(file))
    return head


def _backbone(content: Mapping[str, Any], state: Mapping[str, Tensor], folder: Path) -> Backbone | None:
    if content.get("backbone") is None and not state:
        return None
    description = _get(content, "backbone", dict, folder / MANIFEST)
    return rebuild_backbone(description, state, str(folder))


def _thresholds(content: Mapping[str, Any], classes: tuple[ClassInfo, ...], file: Path) -> Thresholds:
    values = _by_class(content, "thresholds", classes, file)
    source = _get(content, "thresholds_source", str, file)
    return Thresholds(values, source, _fit(content, content.get("thresholds_fit", {}), "thresholds", file))


def _calibration(
    content: Mapping[str, Any], classes: tuple[ClassInfo, ...], file: Path
) -> Calibration | None:
    if content.get("calibration") is None:
        return None
    part = _get(content, "calibration", dict, file)
    slope, intercept = (_by_class(part, key, classes, file) for key in ("slope", "intercept"))
    fit = _fit(content, part.get("fit"), "calibration", file)
    return Calibration(slope, intercept, _get(part, "source", str, file), fit)


def _fit(content: Mapping[str, Any], fit: Any, what: str, file: Path) -> Mapping[str, Any]:
    """Return the record of a fit; refuse one to other weights."""
    if not isinstance(fit, dict):
        raise OneLabelError(f"{file}: the record of the {what} is missing or not a dict")
    if fit and fit.get("model") != content["digests"][WEIGHTS]:
        raise OneLabelError(
            f"the {what} were fitted to other weights than those in {WEIGHTS}: fit them again with onelabel "
            "calibrate"
        )
    return fit


def _by_class(
    content: Mapping[str, Any], key: str, classes: tuple[ClassInfo, ...], file: Path
) -> NDArray[np.float64]:
    by_class = _get(content, key, dict, file)
    if by_class.keys() != {info.id for info in classes}:
        raise OneLabelError(f"{file}: {key!r} must name exactly the classes")
    try:
        return np.array([float(by_class[info.id]) for info in classes])
    except (TypeError, ValueError, OverflowError):
        raise OneLabelError(f"{file}: every number in {key!r} must be one") from None
