"""Feature maps of a backbone, for heads that look at every position (BoostLU)."""

from __future__ import annotations

import torch
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.models.backbones import Backbone
from onelabel.models.heads import LinearHead


def features_for(head: LinearHead, backbone: Backbone, images: Tensor) -> Tensor:
    """Return what the head reads of preprocessed images: maps (B, D, H, W) or their mean (B, D)."""
    features: Tensor = feature_maps(backbone, images) if head.maps else backbone(images)
    return features


def feature_maps(backbone: Backbone, images: Tensor) -> Tensor:
    """Return the maps (B, D, H, W) whose mean over the positions are the backbone's features.

    Args:
        backbone: one that :func:`require_maps` lets pass.
        images: preprocessed, (B, 3, S, S).

    Example:
        >>> from onelabel.models.backbones import load_backbone
        >>> backbone = load_backbone("test_resnet", pretrained=False)
        >>> images = torch.rand(1, 3, 64, 64)
        >>> torch.allclose(feature_maps(backbone, images).mean(dim=(2, 3)), backbone(images), atol=1e-5)
        True
    """
    maps: Tensor = backbone.network.forward_features(images)  # type: ignore[operator]
    return maps


@torch.no_grad()
def require_maps(backbone: Backbone) -> None:
    """Check that the features of a backbone are the mean of its last maps, as those of a ResNet are.

    Raises:
        OneLabelError: they are not: a transformer, or a network that changes its features after the mean.

    Example:
        >>> from onelabel.models.backbones import load_backbone
        >>> require_maps(load_backbone("test_vit", pretrained=False))
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: BoostLU needs the feature maps of ... and test_vit gives none: ...
    """
    size = backbone.preprocess.size
    device = next(backbone.parameters()).device
    images = torch.linspace(-1, 1, 3 * size * size, device=device).reshape(1, 3, size, size)
    training = backbone.training
    backbone.eval()
    try:
        maps = feature_maps(backbone, images) if hasattr(backbone.network, "forward_features") else images
        fits = maps.dim() == 4 and maps.shape[1] == backbone.dim
        fits = fits and torch.allclose(maps.mean(dim=(2, 3)), backbone(images), rtol=1e-3, atol=1e-4)
    finally:
        backbone.train(training)
    if not fits:
        raise OneLabelError(
            f"BoostLU needs the feature maps of the backbone, and {backbone.spec} gives none: choose one "
            "that averages its last maps, such as resnet50, or leave BoostLU out"
        )
