"""The image half of an open_clip model as a feature extractor of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import normalize

from onelabel.io.errors import OneLabelError
from onelabel.models.weights import one_line

_KEYS = ("embed_dim", "vision_cfg", "quick_gelu")
# open_clip's public constructor builds both halves; the text half is made as small as it goes and dropped.
_NO_TEXT = {"context_length": 1, "vocab_size": 1, "width": 1, "heads": 1, "layers": 1}


class UnitTower(nn.Module):
    """An image tower whose output is brought to unit length, as the stored embeddings are.

    Args:
        tower: ``model.visual`` of an open_clip model.
    """

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, D) float32 vectors of unit length."""
        output = self.tower(images)
        pooled = output[0] if isinstance(output, tuple) else output
        return normalize(pooled.float(), dim=1)


def image_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of an open_clip ``model_cfg`` that builds the image tower, naming no weights."""
    kept = {key: config[key] for key in _KEYS if key in config}
    return {**kept, "vision_cfg": {**kept["vision_cfg"], "timm_model_pretrained": False}}


def build(config: Mapping[str, Any]) -> UnitTower:
    """Build the tower of a recorded configuration, weights random; needs no network connection.

    Raises:
        OneLabelError: the configuration is not one of an image tower.
    """
    import open_clip  # type: ignore[import-untyped]

    what = "the recorded image tower"
    if not isinstance(config.get("vision_cfg"), dict) or not isinstance(config.get("embed_dim"), int):
        raise OneLabelError(f"{what}: 'vision_cfg' and 'embed_dim' are needed")
    inner = config["vision_cfg"].get("timm_model_name")
    if inner is not None and (not isinstance(inner, str) or ":" in inner):
        raise OneLabelError(f"{what}: {inner!r} is not the name of a timm network")
    try:
        model = open_clip.CLIP(**image_config(config), text_cfg=_NO_TEXT)
    except Exception as error:  # open_clip checks nothing: a wrong configuration fails in many ways
        raise OneLabelError(f"{what}: open_clip cannot make it: {one_line(error)}") from error
    return UnitTower(model.visual)
