"""From the name of an encoder to the network that makes features, and that a bundle carries."""

from __future__ import annotations

from collections.abc import Mapping

from onelabel.io.errors import OneLabelError
from onelabel.models.backbones import Backbone, load_backbone, open_clip_backbone
from onelabel.vlm import open_clip_source
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
    loaded = open_clip_source.load(spec)
    return open_clip_backbone(loaded.model.visual, loaded.config, loaded.preprocess, spec)
