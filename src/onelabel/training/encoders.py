"""From the name of an encoder to the network that makes features, and that a bundle carries."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

from onelabel.io.errors import OneLabelError
from onelabel.io.plugins import check_parameters
from onelabel.labels.table import ClassInfo
from onelabel.models.backbones import Backbone, load_backbone, open_clip_backbone
from onelabel.sources.base import Source
from onelabel.sources.registry import load as load_source
from onelabel.sources.registry import reads_store
from onelabel.vlm.encoder import load_encoder
from onelabel.vlm.features import FeatureStore
from onelabel.vlm.made_by import require_made_by
from onelabel.vlm.store import EmbeddingStore
from onelabel.vlm.texts import class_texts


def backbone_under(store: FeatureStore) -> Backbone | None:
    """Load the network that made a store, so that a head on its features can read photos later.

    Args:
        store: the features that a head is trained on.

    Returns:
        The network, or None for features from a file, of which nobody knows what made them.

    Raises:
        OneLabelError: the network has changed since, or cannot be loaded.
    """
    if not isinstance(store, EmbeddingStore):
        return None
    kind, spec = _encoder_of(store)
    if kind == "timm":
        backbone = load_backbone(spec)
        store.require(_of_whole_images(backbone.fingerprint, store))
        return backbone
    encoder = load_encoder(spec)
    store.require(_of_whole_images(encoder.image_fingerprint, store))
    tower = encoder.model.get_submodule("visual")
    return open_clip_backbone(tower, encoder.config, encoder.preprocess, spec)


def _of_whole_images(fingerprint: Mapping[str, str], store: EmbeddingStore) -> dict[str, str]:
    """A head reads the first view, which is the whole image in every plan."""
    return {**fingerprint, "views": store.fingerprint.get("views", "")}


def _encoder_of(store: EmbeddingStore) -> tuple[str, str]:
    """Return kind ("timm" or "open_clip") and spec of the encoder of a store."""
    kind, spec = store.encoder.get("kind", ""), store.encoder.get("spec", "")
    if kind not in ("timm", "open_clip"):
        raise OneLabelError(f"the store {store.path} does not say which encoder made it: embed again")
    return kind, spec


def open_source(
    source: Mapping[str, Any],
    store: str | None,
    classes: tuple[ClassInfo, ...],
    templates: tuple[str, ...],
    seed: int = 0,
) -> Source:
    """Open a pseudo-label source, on a store of embeddings of a vision-language model where it reads one.

    Args:
        source: its ``name`` and parameters.
        store: folder made by ``onelabel embed --vlm``, or None.
        classes: the classes, for the prompts.
        templates: prompts with ``{}`` for the name.
        seed: of the run, for sources that draw and were given no seed of their own.

    Raises:
        OneLabelError: the source needs a store and there is none, or the reverse; the store was not made by a
            vision-language model, or the model has changed since.
    """
    name = str(source["name"])
    kind = load_source(name)
    parameters = {key: value for key, value in source.items() if key != "name"}
    check_parameters(f"source {name!r}", kind, parameters)
    if not reads_store(kind):
        if store is not None:
            raise OneLabelError(f"source {name!r} reads no embeddings: leave --vlm-store out")
        return _built(kind, parameters)
    if store is None:
        raise OneLabelError(
            f"source {name!r} reads embeddings: give --vlm-store STORE, made by onelabel embed --vlm"
        )
    if "seed" in signature(kind).parameters and parameters.get("seed") is None:
        parameters["seed"] = seed
    embeddings = EmbeddingStore.open(store)
    made_by, spec = _encoder_of(embeddings)
    if made_by != "open_clip":
        raise OneLabelError(f"{store} was made by a backbone, which knows no words: embed with --vlm instead")
    encoder = load_encoder(spec)
    require_made_by(embeddings, encoder)
    texts = class_texts(encoder, classes, templates)
    return _built(kind, {"store": embeddings, "texts": texts, **parameters})


def _built(kind: type, parameters: Mapping[str, Any]) -> Source:
    source: Source = kind(**parameters)
    return source
