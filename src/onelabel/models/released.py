"""Checkpoints as the released codes of VLPL and AEVLP write them, read without running anything in them.

Source of the names: the model classes of mvrl/VLPL (c2effea) and Fsoft-AIC/AEVLP (c24bb3c), ``models.py``; no
checkpoint of either was at hand. Both take the children of torchvision's ``resnet50`` by number and put a
linear layer beside them. VLPL keeps the frozen CLIP tower in the same module; its line that saves is
commented out, and would save the module without a prefix. AEVLP, and GR, whose class is the same, save a
pair: the weights, and their settings as a ``munch.Munch``.
"""

from __future__ import annotations

import re
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onelabel.images.transforms import Preprocess
from onelabel.io.errors import OneLabelError, unknown_name
from onelabel.models import timm_source
from onelabel.models.backbones import Backbone
from onelabel.models.heads import LinearHead
from onelabel.models.weights import one_line

ARCHITECTURE = "resnet50"
PREPROCESS = Preprocess(
    size=448, resize="squash", interpolation="bilinear", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)
"""How both released codes read a photo."""

_CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
_WRAPPERS = ("module.", "f.")  # DataParallel, and the class around the classifier
_SETTINGS = (
    "dataset",
    "arch",
    "num_classes",
    "loss",
    "num_epochs",
    "epoch",
    "bsize",
    "lr",
    "lr_mult",
    "optimizer",
)
_SHOWN = 4


@dataclass(frozen=True)
class Released:
    """How a released model class names its parts.

    Args:
        network: what stands before the names of the ResNet.
        head: what stands before ``weight`` and ``bias`` of the linear layer.
        unused: what stands before weights that play no part in a prediction; "" for none.
        source: repository and commit.
    """

    network: str
    head: str
    unused: str
    source: str


RELEASED = {
    "vlpl": Released("vision_extractor.", "linear_classifier.fc.", "feature_extractor.", "mvrl/VLPL c2effea"),
    "aevlp": Released("feature_extractor.", "linear_classifier.", "", "Fsoft-AIC/AEVLP c24bb3c"),
}


@dataclass(frozen=True)
class Checkpoint:
    """A model from a released checkpoint.

    Args:
        backbone: the ResNet-50, with the preprocessing of the released code.
        head: the linear layer.
        settings: what the file says of its training; untrusted, and empty where it says nothing.
        left_out: number of weights that play no part in a prediction.
    """

    backbone: Backbone
    head: LinearHead
    settings: Mapping[str, str | int | float]
    left_out: int


def read_checkpoint(path: str | Path, like: str) -> Checkpoint:
    """Read a checkpoint of a released code as a network and a head.

    The file is read with ``weights_only=True``: one that asks for anything but weights and plain values is
    refused, and nothing in it is run.

    Args:
        path: the file.
        like: "vlpl" or "aevlp": whose model class wrote it.

    Raises:
        OneLabelError: missing, not such a file, a pickle that would run code, or weights that are
            superfluous, missing, of other shapes or not finite; names them.

    Example:
        >>> read_checkpoint("none.pt", "vlpl")
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: there is no checkpoint none.pt
    """
    path = Path(path)
    if like not in RELEASED:
        raise unknown_name("checkpoint", like, RELEASED)
    state, settings = _parts(_load(path), path)
    if (arch := settings.get("arch", ARCHITECTURE)) != ARCHITECTURE:
        raise OneLabelError(
            f"{path} says that it holds a {arch}: only {ARCHITECTURE} checkpoints are imported"
        )
    network = timm_source.build({"architecture": ARCHITECTURE})
    weights, head, left_out = _sorted_out(state, network, path, like)
    network.load_state_dict(weights, strict=True)
    config = {"architecture": ARCHITECTURE, "model_args": {}, "pretrained_cfg": {}}
    backbone = Backbone(network, "timm", ARCHITECTURE, config, PREPROCESS).eval()
    return Checkpoint(backbone, head, settings, left_out)


def _load(path: Path) -> Any:
    """Read the file; nothing in it is run. Settings of the type ``munch.Munch`` become a plain dictionary."""
    if not path.is_file():
        raise OneLabelError(f"there is no checkpoint {path}")
    try:
        # Warnings about odd files would stand beside the one line that refuses them.
        with warnings.catch_warnings(), torch.serialization.safe_globals([(OrderedDict, "munch.Munch")]):
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file raises nearly every type there is
        asked = re.search(r"GLOBAL (\S+)", str(error))
        if asked:
            raise OneLabelError(
                f"{path} is refused: reading it would call {asked[1]}, and only plain weights are read"
            ) from None
        raise OneLabelError(f"{path} cannot be read as a file of plain weights: {one_line(error)}") from None


def _parts(content: Any, path: Path) -> tuple[dict[str, Tensor], dict[str, str | int | float]]:
    """Return the weights, wrappers taken off their names, and the settings beside them."""
    state, said = content if isinstance(content, tuple) and len(content) == 2 else (content, {})
    if not isinstance(state, Mapping) or not state or not isinstance(said, Mapping):
        raise OneLabelError(f"{path} holds no weights by name, as state_dict() gives them")
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise OneLabelError(f"{path} holds no weights by name: {key!r} is a {type(value).__name__}")
    for wrapper in _WRAPPERS:
        if all(key.startswith(wrapper) for key in state):
            state = {key.removeprefix(wrapper): value for key, value in state.items()}
    settings = {key: said[key] for key in _SETTINGS if isinstance(said.get(key), str | int | float)}
    return dict(state), {key: _plain(value) for key, value in settings.items()}


def _plain(value: str | int | float) -> str | int | float:
    """Return a setting as it can be printed: one short line without control characters."""
    if not isinstance(value, str):
        return value
    return "".join(sign if sign.isprintable() else "?" for sign in value[:60])


def _sorted_out(
    state: Mapping[str, Tensor], network: nn.Module, path: Path, like: str
) -> tuple[dict[str, Tensor], LinearHead, int]:
    """Return the weights under the network's own names, the head, and how many weights are not used."""
    names = RELEASED[like]
    numbers = {ours: number for number, ours in _CHILDREN.items()}
    wanted, shapes = {}, {key: value.shape for key, value in network.state_dict().items()}
    for ours in shapes:
        child, _, rest = ours.partition(".")
        wanted[f"{names.network}{numbers[child]}.{rest}"] = ours
    head = {f"{names.head}{part}" for part in ("weight", "bias")}
    unused = {key for key in state if names.unused and key.startswith(names.unused)}
    unknown = [key for key in state if key not in wanted and key not in head and key not in unused]
    missing = [key for key in (*wanted, *sorted(head)) if key not in state]
    if unknown or missing:
        raise OneLabelError(
            f"{path} is not a {ARCHITECTURE} checkpoint like {like} ({names.source}): "
            f"unknown weights: {_some(unknown)}; missing weights: {_some(missing)}"
        )
    for key, ours in wanted.items():
        _check(state[key], shapes[ours], key, path)
    found = {ours: state[key] for key, ours in wanted.items()}
    return found, _head(state, names.head, path), len(unused)


def _head(state: Mapping[str, Tensor], prefix: str, path: Path) -> LinearHead:
    weight, bias = state[f"{prefix}weight"], state[f"{prefix}bias"]
    classes = weight.shape[0] if weight.dim() == 2 and weight.shape[0] else 1
    _check(weight, torch.Size((classes, 2048)), f"{prefix}weight", path)
    _check(bias, torch.Size((classes,)), f"{prefix}bias", path)
    head = LinearHead(2048, classes)
    head.load_state_dict({"weight": weight, "bias": bias})
    return head


def _check(value: Tensor, shape: torch.Size, key: str, path: Path) -> None:
    """Check shape and kind before any number is looked at: a hostile shape can be larger than the memory."""
    plain = value.layout == torch.strided and not value.is_quantized and value.device.type == "cpu"
    if value.shape != shape or not plain or value.is_complex():
        raise OneLabelError(
            f"{path}: {key} has shape {tuple(value.shape)} and type {value.dtype}, expected {tuple(shape)}"
        )
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise OneLabelError(f"{path}: {key} holds values that are not finite numbers")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "none") + more
