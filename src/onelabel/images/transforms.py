"""From an RGB image to the tensor that a network reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from onelabel.images.colour import to_rgb
from onelabel.io.errors import OneLabelError

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_RESIZES = ("squash", "crop")
_LONGEST_WHOLE_RESIZE = 16  # times the shorter side
_Triple = tuple[float, float, float]
Pixels = NDArray[np.uint8]


class Preprocessing(Protocol):
    """From an RGB image to a network's input, in two steps: small whole numbers travel between processes."""

    def pixels(self, image: Image.Image) -> Pixels:
        """Resize and cut an image to (3, side, side) uint8."""

    def tile_pixels(self, tiles: Pixels) -> Pixels:
        """Resize and cut parts of an image, (N, height, width, 3), to (N, 3, side, side) uint8."""

    def normalise(self, pixels: Tensor) -> Tensor:
        """Turn pixels (B, 3, side, side) uint8 into the network's input (B, 3, S, S) float32."""

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values."""


@dataclass(frozen=True)
class Preprocess:
    """Resize, crop and normalise: everything between the decoded image and the network.

    With ``scaled = floor(size / crop_fraction)``:

    * ``"squash"``: resize to ``scaled`` × ``scaled``, whatever the aspect ratio;
    * ``"crop"``: resize the shorter side to ``scaled``, keeping the aspect ratio;

    then cut ``size`` × ``size`` from the middle, divide by 255, subtract ``mean``, divide by ``std``.
    Resampling is Pillow's, which always antialiases. The values are those of timm's and open_clip's own
    evaluation transforms; only images longer than 16 times their shorter side differ, by rounding: they are
    cut before they are resized, so that no small file can ask for gigabytes.

    Args:
        size: width and height of the result, in pixels.
        resize: ``"squash"`` or ``"crop"``.
        interpolation: ``"bilinear"`` or ``"bicubic"``.
        mean: per channel, in the range 0 to 1.
        std: per channel, above 0.
        crop_fraction: share of the resized side that is kept, above 0 and at most 1.

    Raises:
        OneLabelError: a value outside its range.

    Source:
        timm 1.0 ``transforms_imagenet_eval`` (https://github.com/huggingface/pytorch-image-models) and
        open_clip 3 ``image_transform`` (https://github.com/mlfoundations/open_clip), reproduced in tests.

    Example:
        >>> preprocess = Preprocess(2, "squash", "bilinear", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        >>> preprocess(Image.new("RGB", (8, 4), (255, 0, 255)))[:, 0, 0]
        tensor([ 1., -1.,  1.])
    """

    size: int
    resize: Literal["squash", "crop"]
    interpolation: Literal["bilinear", "bicubic"]
    mean: _Triple
    std: _Triple
    crop_fraction: float = 1.0

    def __post_init__(self) -> None:
        if not (isinstance(self.size, int) and self.size > 0):
            raise OneLabelError(f"preprocessing size is {self.size!r}; it must be a positive whole number")
        for name, value, known in (
            ("resize", self.resize, _RESIZES), ("interpolation", self.interpolation, tuple(_FILTERS))
        ):  # fmt: skip
            if value not in known:
                raise OneLabelError(
                    f"preprocessing {name} is {value!r}; it must be one of {', '.join(known)}"
                )
        if not 0 < self.crop_fraction <= 1:
            raise OneLabelError(f"crop_fraction is {self.crop_fraction!r}; it must be above 0, at most 1")
        if len(self.mean) != 3 or len(self.std) != 3 or not min(self.std) > 0:
            raise OneLabelError(
                f"mean {self.mean} and std {self.std} must be three numbers each, std above 0"
            )

    def __call__(self, image: Image.Image) -> Tensor:
        """Return the image as a float32 tensor of shape (3, size, size)."""
        return self.normalise(torch.from_numpy(self.pixels(image))[None])[0]

    def pixels(self, image: Image.Image) -> Pixels:
        """Return the image resized and cut, (3, size, size) uint8."""
        return np.asarray(self._resized(to_rgb(image))).transpose(2, 0, 1).copy()

    def tile_pixels(self, tiles: Pixels) -> Pixels:
        """Return parts of an image, (N, height, width, 3) uint8, resized and cut as :meth:`pixels` does.

        torch resizes whole numbers with vector instructions, fastest where the colours of a pixel lie side by
        side and many parts go at once; at most one of the 256 levels differs.
        """
        height, width = tiles.shape[1:3]
        columns, rows = self._scaled((width, height))
        if max(columns, rows) > _LONGEST_WHOLE_RESIZE * min(columns, rows):
            return np.stack([self.pixels(Image.fromarray(tile)) for tile in tiles])
        channels = torch.from_numpy(tiles).permute(0, 3, 1, 2)
        resized = interpolate(channels, size=(rows, columns), mode=self.interpolation, antialias=True)
        left, top = (round(max(side - self.size, 0) / 2) for side in (columns, rows))
        cut: Pixels = resized[:, :, top : top + self.size, left : left + self.size].numpy()
        return cut

    def normalise(self, pixels: Tensor) -> Tensor:
        """Turn pixels (B, 3, H, W) uint8 into float32."""
        tensor = pixels.float()
        # Divided in this order, as torchvision does, the values are equal to the last bit.
        return tensor.div_(255).sub_(_column(self.mean, tensor)).div_(_column(self.std, tensor))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values, for :meth:`from_dict`."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """Build the settings from what :meth:`to_dict` gave.

        Raises:
            OneLabelError: a value is missing, unknown or outside its range.
        """
        try:
            return cls(**{**values, "mean": _triple(values["mean"]), "std": _triple(values["std"])})
        except (KeyError, TypeError, ValueError) as error:
            raise OneLabelError(f"preprocessing settings are not complete or not valid: {error}") from error

    def _resized(self, image: Image.Image) -> Image.Image:
        if self.resize == "crop" and max(image.size) > _LONGEST_WHOLE_RESIZE * min(image.size):
            image = _middle(image, _LONGEST_WHOLE_RESIZE * min(image.size))
        width, height = self._scaled(image.size)
        if image.size != (width, height):
            image = image.resize((width, height), _FILTERS[self.interpolation])
        return _middle(image, self.size)

    def _scaled(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return width and height after the resize, before the cut."""
        scaled = math.floor(self.size / self.crop_fraction)
        if self.resize == "squash":
            return scaled, scaled
        width, height = (int(scaled * side / min(size)) for side in size)
        return width, height


def _middle(image: Image.Image, size: int) -> Image.Image:
    """Cut ``size`` × ``size`` from the middle; a side that is shorter stays whole."""
    left, top = (round(max(side - size, 0) / 2) for side in image.size)
    width, height = (min(side, size) for side in image.size)
    if (width, height) == image.size:
        return image
    return image.crop((left, top, left + width, top + height))


def _column(values: _Triple, like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=like.device).view(3, 1, 1)


def _triple(values: Any) -> _Triple:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def mirror(batch: Tensor) -> Tensor:
    """Flip images left to right: the last axis, whatever stands before it.

    The published mirror augmentation comes after the resize, so it is a flip of the finished tensor.

    Example:
        >>> mirror(torch.tensor([[1.0, 2.0, 3.0]]))
        tensor([[3., 2., 1.]])
    """
    return batch.flip(-1)
