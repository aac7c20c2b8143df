"""From the name of an encoder to the network that makes features, and that a bundle carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onelabel.io.errors import OneLabelError, unknown_name
from onelabel.io.plugins import check_parameters
from onelabel.labels.table import ClassInfo
from onelabel.models.backbones import Backbone, load_backbone, open_clip_backbone
from onelabel.sources.base import Source
from onelabel.sources.registry import load as load_source
from onelabel.vlm import open_clip_source
from onelabel.vlm.encoder import load_encoder
from onelabel.vlm.features import FeatureStore
from onelabel.vlm.prompts import text_features
from onelabel.vlm.store import EmbeddingStore


def backbone_of(kind: str, spec: str) -> Backbone:
    """Load the image network of an encoder.

    Args:
        kind: "timm", or "open_clip" for the image tower of a vision-language model.
        spec: as ``--backbone`` or ``--vlm`` take it.

    Raises:
        OneLabelError: unknown name, incomplete folder, or weights that do not fit.
    """
    if kind == "timm":
        return load_backbone(spec)
    if kind != "open_clip":
        raise unknown_name("kind of encoder", kind, ("timm", "open_clip"))
    loaded = open_clip_source.load(spec)
    return open_clip_backbone(loaded.model.get_submodule("visual"), loaded.config, loaded.preprocess, spec)


def backbone_under(store: FeatureStore) -> Backbone | None:
    """Load the network that made a store, so that a head on its features can read photos later.

    Returns:
        The network, or None for features from a file, of which nobody knows what made them.

    Raises:
        OneLabelError: the network has changed since, or cannot be loaded.
    """
    if not isinstance(store, EmbeddingStore):
        return None
    backbone = backbone_of(store.encoder["kind"], store.encoder["spec"])
    if store.encoder["kind"] == "timm":
        store.require(backbone.fingerprint)
    return backbone


def open_source(
    source: Mapping[str, Any], store: str, classes: tuple[ClassInfo, ...], templates: tuple[str, ...]
) -> Source:
    """Open a pseudo-label source on a store of embeddings of a vision-language model.

    Args:
        source: its ``name`` and parameters.
        store: folder made by ``onelabel embed --vlm``.
        classes: the classes, for the prompts.
        templates: prompts with ``{}`` for the name.

    Raises:
        OneLabelError: the store was not made by a vision-language model, or the model has changed since.
    """
    embeddings = EmbeddingStore.open(store)
    if embeddings.encoder["kind"] != "open_clip":
        raise OneLabelError(f"{store} was made by a backbone and knows no words: embed with --vlm instead")
    encoder = load_encoder(embeddings.encoder["spec"])
    embeddings.require(encoder.image_fingerprint)
    kind = load_source(source["name"])
    parameters = {key: value for key, value in source.items() if key != "name"}
    check_parameters(f"source {source['name']!r}", kind, parameters)
    built: Source = kind(embeddings, text_features(encoder, classes, templates), **parameters)
    return built
