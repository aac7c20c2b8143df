"""Networks that turn images into feature vectors, with their own preprocessing."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from onelabel.images.transforms import Preprocess
from onelabel.io.errors import OneLabelError
from onelabel.io.manifest import digest_json
from onelabel.io.tensors import digest_weights
from onelabel.models import open_clip_tower, timm_source
from onelabel.models.weights import fit_weights, one_line

Kind = Literal["timm", "open_clip"]
_LARGEST_INPUT = 4096  # pixels a side; a bundle from elsewhere must not exhaust the memory


class Backbone(nn.Module):
    """A network, images (B, 3, S, S) -> features (B, D), and all that is needed to build it again.

    Args:
        network: the feature extractor.
        kind: the library that builds it: ``"timm"`` or ``"open_clip"``.
        spec: the name the user gave.
        config: JSON-like; with the weights it is all that :func:`rebuild_backbone` needs.
        preprocess: how an image becomes its input.

    Attributes:
        dim: length D of a feature vector.

    Raises:
        OneLabelError: its output for an image is not one vector.

    Example:
        >>> backbone = load_backbone("test_resnet", pretrained=False)
        >>> size = backbone.preprocess.size
        >>> tuple(backbone(torch.zeros(2, 3, size, size)).shape) == (2, backbone.dim)
        True
    """

    def __init__(
        self, network: nn.Module, kind: Kind, spec: str, config: dict[str, Any], preprocess: Preprocess
    ) -> None:
        super().__init__()
        self.network = network
        self.kind = kind
        self.spec = spec
        self.config = config
        self.preprocess = preprocess
        self.dim = _output_dim(network, preprocess.size, spec)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features (B, D) of preprocessed images (B, 3, S, S)."""
        features: Tensor = self.network(images)
        return features

    @property
    def fingerprint(self) -> dict[str, str]:
        """What decides a feature vector, part by part, from the weights as they are now."""
        built = {key: value for key, value in self.config.items() if key != "pretrained_cfg"}
        return {
            "architecture": digest_json({"kind": self.kind, **built}),
            "weights": digest_weights(self.network.state_dict()),
            "preprocessing": json.dumps(self.preprocess.to_dict(), sort_keys=True),
            "views": "global",
        }

    def describe(self) -> dict[str, Any]:
        """Return what :func:`rebuild_backbone` needs beside the weights; JSON-like, without local paths."""
        return {
            "kind": self.kind,
            "spec": _without_folders(self.spec),
            "dim": self.dim,
            "config": self.config,
            "preprocessing": self.preprocess.to_dict(),
        }


def load_backbone(spec: str, *, pretrained: bool = True) -> Backbone:
    """Load a timm network as a feature extractor: pooled features, no classifier, eval mode.

    The preprocessing is the one the weights were trained with. Weights are read from safetensors files only.

    Args:
        spec: a timm name, with the tag of its weights or without (``resnet50.tv_in1k``), fetched once and
            then cached; or ``local-dir:PATH``, a folder with ``config.json`` and ``model.safetensors`` as
            timm writes it.
        pretrained: False leaves the weights random; for tests.

    Raises:
        OneLabelError: unknown name (says the nearest), folder missing or incomplete, pickled weights, weights
            that do not fit, no network, or preprocessing other than squash or centre crop to a square.

    Example:
        >>> load_backbone("resnt50.tv_in1k")
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: unknown backbone 'resnt50.tv_in1k'; nearest: ...
    """
    network, config = timm_source.load(spec, pretrained=pretrained)
    preprocess = timm_source.preprocess_of(network, spec)
    return Backbone(network.eval(), "timm", spec, config, preprocess).eval()


def open_clip_backbone(
    tower: nn.Module, config: Mapping[str, Any], preprocess: Preprocess, spec: str
) -> Backbone:
    """Make a backbone of the image tower of an open_clip model; its features have unit length.

    A head trained on stored embeddings then predicts from photos without the text half.

    Args:
        tower: ``model.visual``.
        config: its ``model_cfg``: ``embed_dim``, ``vision_cfg`` and, where set, ``quick_gelu``.
        preprocess: the preprocessing that the embeddings were made with.
        spec: the name the user gave, such as ``ViT-B-16/openai``.
    """
    network = open_clip_tower.UnitTower(tower)
    return Backbone(network, "open_clip", spec, open_clip_tower.image_config(config), preprocess).eval()


def rebuild_backbone(description: Mapping[str, Any], state: Mapping[str, Tensor], where: str) -> Backbone:
    """Build a backbone again from :meth:`Backbone.describe` and its weights, without a network connection.

    Args:
        description: what :meth:`Backbone.describe` returned.
        state: ``Backbone.network.state_dict()``.
        where: file or folder for messages.

    Raises:
        OneLabelError: an unknown kind or architecture, or weights that do not fit.
    """
    builders: dict[str, Callable[..., nn.Module]] = {
        "timm": timm_source.build,
        "open_clip": open_clip_tower.build,
    }
    kind, spec, config = (description.get(key) for key in ("kind", "spec", "config"))
    if str(kind) not in builders or not isinstance(config, dict) or not isinstance(spec, str):
        raise OneLabelError(f"{where}: the description of the backbone is not one that this release wrote")
    preprocess = _read_preprocess(description, where)
    _require_fit(lambda: builders[str(kind)](config), state, where)
    network = builders[str(kind)](config)
    fit_weights(network, state, where)
    return Backbone(network, cast(Kind, kind), spec, config, preprocess).eval()


def _require_fit(build: Callable[[], nn.Module], state: Mapping[str, Tensor], where: str) -> None:
    """Compare weights with a network that takes no memory: a description may claim one of any size."""
    try:
        with torch.device("meta"):
            network = build()
    except OneLabelError:  # some networks cannot be made so; what else is wrong will be said of the real one
        return
    with warnings.catch_warnings(action="ignore"):  # of torch: values are not copied
        fit_weights(network, state, where)


def _read_preprocess(description: Mapping[str, Any], where: str) -> Preprocess:
    try:
        return Preprocess.from_dict(description.get("preprocessing") or {})
    except OneLabelError as error:
        raise OneLabelError(f"{where}: {error}") from error


@torch.no_grad()
def _output_dim(network: nn.Module, size: int, spec: str) -> int:
    if size > _LARGEST_INPUT:
        raise OneLabelError(
            f"{spec}: asks for images of {size} × {size}; at most {_LARGEST_INPUT} are supported"
        )
    training = network.training
    network.eval()
    try:
        output = network(torch.zeros(1, 3, size, size))
    except RuntimeError as error:
        raise OneLabelError(f"{spec}: fails on an image of {size} × {size}: {one_line(error)}") from error
    network.train(training)
    if not isinstance(output, Tensor) or output.dim() != 2:
        raise OneLabelError(f"{spec}: gives no single feature vector per image; choose another backbone")
    return output.shape[1]


def _without_folders(spec: str) -> str:
    prefix, colon, rest = spec.partition(":")
    return f"{prefix}:{Path(rest).name}" if colon and prefix == "local-dir" else spec
