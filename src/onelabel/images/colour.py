"""Every colour mode that a file may hold, turned into 8-bit RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from onelabel.io.errors import OneLabelError

_TIFF_BITS, _TIFF_PHOTOMETRIC = 258, 262
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}


def to_rgb(image: Image.Image) -> Image.Image:
    """Turn a loaded image of any mode into 8-bit RGB; one that is RGB already is returned as it is.

    * Transparency (alpha channel, palette or colour key) is laid over **white**.
    * 16-bit samples keep their high byte, in grey as in colour: level ``v`` becomes ``v // 256``.
    * 32-bit integers are read as 16-bit when that is what they hold (largest value in 256 to 65,535), floats
      when all lie in 0 to 1. Anything else has no agreed white and is refused instead of shown black.
    * CMYK is converted without a colour profile, as Pillow, torchvision and open_clip do; embedded profiles
      of other modes are not applied either. LAB is converted to sRGB.

    Raises:
        OneLabelError: the samples have no agreed range from black to white.

    Example:
        >>> to_rgb(Image.new("LA", (1, 1), (0, 0))).getpixel((0, 0))
        (255, 255, 255)
    """
    if image.mode[0] in "IF":
        image = _from_wide_samples(image)
    if image.mode == "LAB":
        return _from_lab(image)
    if image.mode in _PREMULTIPLIED:
        image = image.convert(_PREMULTIPLIED[image.mode])
    if image.has_transparency_data:
        return _over_white(image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _from_lab(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert converted is not None  # only in-place conversion returns None
    return converted


def _from_wide_samples(image: Image.Image) -> Image.Image:
    samples = np.asarray(image)
    if image.mode == "F":
        grey = _unit_floats(samples)
    elif image.mode == "I":
        grey = _high_byte(_as_sixteen_bits(samples))
    else:
        grey = _high_byte(_undo_tiff(samples, getattr(image, "tag_v2", {})))
    if (key := image.info.get("transparency")) is not None:
        grey = np.where(samples == key, np.uint8(255), grey)
    return Image.fromarray(grey)


def _high_byte(samples: NDArray[Any]) -> NDArray[np.uint8]:
    return (samples >> 8).astype(np.uint8)


def _undo_tiff(samples: NDArray[Any], tags: Any) -> NDArray[Any]:
    """Apply what Pillow leaves undone in 16-bit TIFF: 12-bit samples, and white stored as zero."""
    if tags.get(_TIFF_BITS) == (12,):
        samples = samples << 4
    return np.invert(samples) if tags.get(_TIFF_PHOTOMETRIC) == 0 else samples


def _as_sixteen_bits(samples: NDArray[np.int32]) -> NDArray[np.int32]:
    low, high = int(samples.min()), int(samples.max())
    if low < 0 or not (255 < high <= 65535 or high == 0):
        raise OneLabelError(
            f"its 32-bit integers from {low} to {high} have no agreed white: convert it to 8 or 16 bits"
        )
    return samples


def _unit_floats(samples: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = float(samples.min()), float(samples.max())
    if not (low >= 0 and high <= 1):  # also true for NaN
        raise OneLabelError(
            f"its floats from {low:g} to {high:g} have no agreed white: scale them to 0 to 1, or to 8 bits"
        )
    return np.rint(samples * 255).astype(np.uint8)
