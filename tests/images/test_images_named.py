"""Preprocessing by name, against torchvision doing what the released codes do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms  # type: ignore[import-untyped]

from onelabel.images.named import IMAGENET_MEAN, IMAGENET_STD, NAMES, named_preprocessing
from onelabel.images.transforms import Preprocess, mirror
from onelabel.io.errors import OneLabelError

OWN = Preprocess(60, "crop", "bicubic", (0.48, 0.46, 0.41), (0.27, 0.26, 0.28))
TAIL = [transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]


def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (90, 130, 3), np.uint8))


def through(name: str) -> torch.Tensor:
    preprocess = named_preprocessing(name, OWN)
    return preprocess.normalise(torch.from_numpy(preprocess.pixels(picture()))[None])[0]


def test_the_encoders_own() -> None:
    assert named_preprocessing("encoder", OWN) is OWN
    assert torch.equal(through("encoder"), OWN(picture()))


def test_released_aevlp() -> None:
    expected = transforms.Compose([transforms.Resize((60, 60)), *TAIL])(picture())
    assert torch.equal(through("released-aevlp"), expected)


def test_released_vlpl() -> None:
    """448, normalised, then the tensor resized without antialiasing, as torchvision 0.12 did by default."""
    large = transforms.Compose([transforms.Resize((448, 448)), *TAIL])(picture())
    expected = transforms.Resize((60, 60), antialias=False)(large)
    torch.testing.assert_close(through("released-vlpl"), expected, rtol=0, atol=1e-6)
    smooth = transforms.Resize((60, 60), antialias=True)(large)
    assert abs(smooth - expected).max() > 0.1, "the test tells them apart"


def test_released_vlpl_mirrors_before_the_second_resize() -> None:
    preprocess = named_preprocessing("released-vlpl", OWN)
    pixels = torch.from_numpy(preprocess.pixels(picture()))[None]
    torch.testing.assert_close(
        mirror(preprocess.normalise(pixels)), preprocess.normalise(mirror(pixels)), rtol=0, atol=1e-4
    )


def test_descriptions_differ() -> None:
    assert len({str(named_preprocessing(name, OWN).to_dict()) for name in NAMES}) == len(NAMES)


def test_unknown_names_give_the_nearest() -> None:
    with pytest.raises(OneLabelError, match="did you mean 'released-vlpl'"):
        named_preprocessing("released-vlp", OWN)
