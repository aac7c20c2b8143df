"""Preprocessing by name: the encoder's own, and what the released codes feed their encoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from onelabel.images.transforms import Pixels, Preprocess, Preprocessing
from onelabel.io.errors import unknown_name

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NAMES = ("encoder", "released-vlpl", "released-aevlp")
_CLASSIFIER_SIZE = 448


@dataclass(frozen=True)
class ResizedAgain:
    """Preprocess, then resize the finished tensor: bilinear and, when it shrinks, without antialiasing.

    Args:
        first: what comes before.
        size: width and height of the result, in pixels.
    """

    first: Preprocess
    size: int

    def pixels(self, image: Image.Image) -> Pixels:
        """Return the image as the first step resizes it, uint8."""
        return self.first.pixels(image)

    def tile_pixels(self, tiles: Pixels) -> Pixels:
        """Return parts of an image as the first step resizes them, uint8."""
        return self.first.tile_pixels(tiles)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Turn pixels (B, 3, H, W) uint8 into (B, 3, size, size) float32."""
        size = (self.size, self.size)
        return interpolate(self.first.normalise(pixels), size=size, mode="bilinear", antialias=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values."""
        return {**self.first.to_dict(), "then_bilinear_to": self.size}


def named_preprocessing(name: str, own: Preprocess) -> Preprocessing:
    """Return a preprocessing by name.

    * ``encoder``: the encoder's own.
    * ``released-vlpl``: what the code of VLPL hands to CLIP: squashed to 448 × 448, ImageNet statistics,
      then that tensor resized to the encoder's size without antialiasing (as torchvision did when the paper
      appeared).
    * ``released-aevlp``: what the code of AEVLP hands to OpenAI's CLIP: each view squashed to the encoder's
      size (224 for its ViT-B/16), bilinear, ImageNet statistics.

    Args:
        name: one of ``NAMES``.
        own: the encoder's preprocessing.

    Raises:
        OneLabelError: no preprocessing has this name.

    Source:
        Code of Xing et al. (2023), https://github.com/mvrl/VLPL (ed09b59), and of Tran et al. (2025),
        https://github.com/Fsoft-AIC/AEVLP (0bad82a).

    Example:
        >>> own = Preprocess(224, "crop", "bicubic", (0.48, 0.46, 0.41), (0.27, 0.26, 0.28))
        >>> named_preprocessing("released-aevlp", own).resize
        'squash'
    """
    if name == "encoder":
        return own
    size = _CLASSIFIER_SIZE if name == "released-vlpl" else own.size
    squashed = Preprocess(size, "squash", "bilinear", IMAGENET_MEAN, IMAGENET_STD)
    if name == "released-vlpl":
        return ResizedAgain(squashed, own.size)
    if name == "released-aevlp":
        return squashed
    raise unknown_name("preprocessing", name, NAMES)
