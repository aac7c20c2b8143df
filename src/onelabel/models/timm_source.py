"""timm networks by name or from a folder, and again from what a bundle recorded."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from onelabel.images.transforms import Preprocess
from onelabel.io.errors import OneLabelError, unknown_name
from onelabel.io.manifest import read_json
from onelabel.models.weights import PICKLED, fit_weights, one_line, read_weights

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
_EXPECTED = f"expected a folder with {CONFIG_NAME} and {WEIGHTS_NAME}, as timm writes it"
# What decides the architecture and the input, and where the weights come from; never where files lie.
_RECORDED = (
    "tag", "hf_hub_id", "input_size", "fixed_input_size", "interpolation", "crop_pct", "crop_mode", "mean",
    "std", "pool_size", "first_conv", "classifier", "license", "description", "origin_url", "paper_ids",
)  # fmt: skip
# Arguments of timm's factory that name files or weights: a configuration file must not set them.
_FORBIDDEN = {
    "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir",
    "features_only", "pretrained_model_args", "scriptable", "exportable", "no_jit", "pruned",
}  # fmt: skip


def load(spec: str, *, pretrained: bool) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network without classifier and the configuration that builds it again."""
    prefix, colon, rest = spec.partition(":")
    if colon and prefix == "local-dir":
        return _load_folder(spec, Path(rest), pretrained)
    return _load_named(spec, pretrained)


def build(config: Mapping[str, Any]) -> nn.Module:
    """Build the network of a recorded configuration, weights random; needs no network connection.

    Raises:
        OneLabelError: an architecture that this timm does not know, or arguments that do not fit it.
    """
    import timm

    architecture, arguments = _checked_architecture(config, "the recorded backbone")
    cfg = _recorded(config.get("pretrained_cfg") or {})
    return _create(
        "the recorded backbone",
        timm.create_model,
        architecture,
        pretrained_cfg=cfg,
        num_classes=0,
        **arguments,
    )


def preprocess_of(network: nn.Module, spec: str) -> Preprocess:
    """Return the preprocessing that the network's weights were trained with.

    Raises:
        OneLabelError: it is not squash or centre crop to a square of three channels.
    """
    data = _recorded(getattr(network, "pretrained_cfg", {}))
    try:
        channels, height, width = data["input_size"]
        mode, interpolation = data["crop_mode"], data["interpolation"]
    except (KeyError, TypeError, ValueError):
        raise OneLabelError(f"{spec}: its pretrained_cfg does not say what input it expects") from None
    resize = {"center": "crop", "squash": "squash"}.get(mode)
    if resize is None or interpolation not in ("bilinear", "bicubic") or (channels, height) != (3, width):
        raise OneLabelError(
            f"{spec}: its preprocessing ({channels} × {height} × {width}, {mode}, {interpolation}) is not "
            "supported: three channels, squares, centre crop or squash, bilinear or bicubic"
        )
    return Preprocess.from_dict(
        {
            "size": height,
            "resize": resize,
            "interpolation": interpolation,
            "mean": data.get("mean"),
            "std": data.get("std"),
            "crop_fraction": data.get("crop_pct"),
        }
    )


# -- by name ---


def _load_named(spec: str, pretrained: bool) -> tuple[nn.Module, dict[str, Any]]:
    import timm

    architecture, _, tag = spec.partition(".")
    if not timm.is_model(architecture):
        raise _unknown(spec, timm.list_models())
    tags = [name.partition(".")[2] for name in timm.list_models(architecture, include_tags=True)]
    if tag and tag not in tags:
        raise unknown_name(f"weights of {architecture}", tag, filter(None, tags))
    overlay: dict[str, Any] = {}
    if pretrained:
        _require_safe_weights(spec, architecture)
        overlay = {"hf_hub_filename": WEIGHTS_NAME}
    network = _create(
        spec,
        timm.create_model,
        spec,
        pretrained=pretrained,
        pretrained_cfg_overlay=overlay,
        num_classes=0,
    )
    return network, _config(architecture, {}, network)


def _unknown(spec: str, known: list[str]) -> OneLabelError:
    if any(character in spec for character in "/\\:"):
        return OneLabelError(
            f"unknown backbone {spec!r}: give a timm name such as resnet50.tv_in1k, or local-dir:PATH"
        )
    found = difflib.get_close_matches(spec.partition(".")[0], known, n=3, cutoff=0.5)
    return OneLabelError(
        f"unknown backbone {spec!r}; nearest: {', '.join(found) or 'none'}; "
        "any timm name or local-dir:PATH can be given"
    )


def _require_safe_weights(spec: str, architecture: str) -> None:
    import timm

    cfg = timm.get_pretrained_cfg(spec) or timm.get_pretrained_cfg(architecture)
    if cfg is None or not cfg.has_weights:
        raise OneLabelError(f"backbone {spec!r} has no published weights: choose another, or local-dir:PATH")
    if not cfg.hf_hub_id:
        raise OneLabelError(
            f"the weights of backbone {spec!r} are published as a pickled file only, which is never read: "
            f"convert them to {WEIGHTS_NAME} and give local-dir:PATH"
        )


# -- from a folder ---


def _load_folder(spec: str, folder: Path, pretrained: bool) -> tuple[nn.Module, dict[str, Any]]:
    import timm

    weights = folder / WEIGHTS_NAME
    config = _read_config(spec, folder)
    if pretrained and not weights.is_file():
        raise _no_weights(spec, folder)
    architecture, arguments = _checked_architecture(config, spec)
    network = _create(spec, timm.create_model, f"local-dir:{folder}", num_classes=0)
    if pretrained:
        state, _ = read_weights(weights)
        fit_weights(network, _without_classifier(state, network), str(folder))
    return network, _config(architecture, arguments, network)


def _read_config(spec: str, folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise OneLabelError(f"{spec}: {folder} is not a folder; {_EXPECTED}")
    file = folder / CONFIG_NAME
    if not file.is_file():
        raise OneLabelError(f"{spec}: {CONFIG_NAME} is missing; {_EXPECTED}")
    content = read_json(file)
    if not isinstance(content, dict):
        raise OneLabelError(f"{file} is not a timm configuration: it must be an object with 'architecture'")
    return content


def _no_weights(spec: str, folder: Path) -> OneLabelError:
    pickled = sorted(file.name for file in folder.iterdir() if file.suffix in PICKLED)
    reason = f" ({pickled[0]} is a pickled file, which is never read: convert it)" if pickled else ""
    return OneLabelError(f"{spec}: {WEIGHTS_NAME} is missing{reason}; {_EXPECTED}")


def _without_classifier(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    names = getattr(network, "pretrained_cfg", {}).get("classifier") or ()
    prefixes = tuple(f"{name}." for name in ([names] if isinstance(names, str) else names))
    kept = network.state_dict()
    return {key: value for key, value in state.items() if key in kept or not key.startswith(prefixes)}


# -- both ---


def _checked_architecture(config: Mapping[str, Any], what: str) -> tuple[str, dict[str, Any]]:
    import timm

    architecture, arguments = config.get("architecture"), config.get("model_args") or {}
    if not isinstance(architecture, str) or not isinstance(arguments, dict):
        raise OneLabelError(f"{what}: 'architecture' must be a timm name and 'model_args' an object")
    if not timm.is_model(architecture) or ":" in architecture:
        raise OneLabelError(
            f"{what}: architecture {architecture!r} is not known to timm {timm.__version__}; update timm?"
        )
    forbidden = sorted(_FORBIDDEN & arguments.keys())
    if forbidden:
        raise OneLabelError(f"{what}: 'model_args' must not set {', '.join(forbidden)}")
    return architecture, {key: value for key, value in arguments.items() if key != "num_classes"}


def _config(architecture: str, arguments: dict[str, Any], network: nn.Module) -> dict[str, Any]:
    cfg = _recorded(getattr(network, "pretrained_cfg", {}))
    return {"architecture": architecture, "model_args": arguments, "pretrained_cfg": cfg}


def _recorded(cfg: Mapping[str, Any]) -> dict[str, Any]:
    # By way of JSON, so that what is used now is what a bundle will hold.
    kept: dict[str, Any] = json.loads(json.dumps({key: cfg[key] for key in _RECORDED if key in cfg}))
    return kept


def _create(what: str, factory: Any, name: str, **arguments: Any) -> nn.Module:
    try:
        network: nn.Module = factory(name, **arguments)
    except Exception as error:  # timm and the hub raise nearly every type there is
        raise OneLabelError(f"{what}: timm cannot make it: {one_line(error)}") from error
    return network
