"""Views: the published tiles to the pixel, and what our own plans promise."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from golden_archive import Archive
from onelabel.images.decode import decode
from onelabel.images.named import named_preprocessing
from onelabel.images.transforms import Preprocess
from onelabel.images.views import Tile, view_plan
from onelabel.io.errors import OneLabelError

OWN = Preprocess(224, "crop", "bicubic", (0.48, 0.46, 0.41), (0.27, 0.26, 0.28))
SIDES = st.integers(1, 700)
LEVEL = 1 / 255 / 0.224  # one of the 256 levels after normalisation


def random_image(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def test_equals_the_released_code(golden: Path) -> None:
    """Origin: AEVLP 0bad82a, datasets.py, through the archive's own list of cases."""
    if not (golden / "pixels.npz").is_file():
        pytest.skip("pixels.npz is not in this folder")
    archive = Archive(golden / "pixels.npz")
    aevlp = named_preprocessing("released-aevlp", OWN)
    classifier = named_preprocessing("released-aevlp", Preprocess(448, "crop", "bicubic", OWN.mean, OWN.std))
    different = []
    for case in archive.cases():
        (path,) = (golden / "fake" / "voc").rglob(str(archive[f"{case}/file"]))
        image, plan = decode(path), view_plan(f"grid:{int(archive[f'{case}/grid_size'])}")
        assert image.size == tuple(archive[f"{case}/size_wh"])
        assert [tile.box(*image.size) for tile in plan.tiles] == list(map(tuple, archive[f"{case}/boxes"]))
        views = aevlp.normalise(torch.from_numpy(plan.pixels(image, aevlp)))[:, :, 8::32, 8::32].numpy()
        expected = archive[f"{case}/views224_step32"]
        np.testing.assert_array_equal(views[0], expected[0], case)
        np.testing.assert_allclose(views, expected, atol=1.01 * LEVEL, rtol=0, err_msg=case)
        different.append(float((views != expected).mean()))
        large = classifier.normalise(torch.from_numpy(classifier.pixels(image))[None])[0, :, 8::32, 8::32]
        np.testing.assert_array_equal(large.numpy(), archive[f"{case}/image448_step32"], case)
    assert np.mean(different) < 0.005
    assert not archive.unread, sorted(archive.unread)[:5]


@given(SIDES, SIDES, st.integers(1, 16))
def test_published_tiles_are_equal_in_size_and_drop_the_remainder(width: int, height: int, grid: int) -> None:
    tiles = view_plan(f"grid:{grid}").tiles
    boxes = [tile.box(width, height) for tile in tiles]
    step = max(1, width // grid), max(1, height // grid)
    assert len(boxes) == grid * grid
    assert {(right - left, lower - upper) for left, upper, right, lower in boxes} == {step}
    assert min(boxes) == (0, 0, *step)
    assert all(right <= width and lower <= height for _, _, right, lower in boxes)
    if min(width, height) >= grid:
        covered = np.zeros((height, width), int)
        for left, upper, right, lower in boxes:
            covered[upper:lower, left:right] += 1
        assert (covered[: grid * step[1], : grid * step[0]] == 1).all()
        assert covered.sum() == grid * grid * step[0] * step[1]


@given(SIDES, SIDES, st.sampled_from(["grid:3+overlap", "grid:4+overlap", "pyramid:3", "pyramid:4"]))
def test_our_own_plans_cover_the_whole_image(width: int, height: int, spec: str) -> None:
    covered: NDArray[np.bool_] = np.zeros((height, width), np.bool_)
    plan = view_plan(spec)
    largest = max(tile.grid for tile in plan.tiles)
    for tile in plan.tiles:
        left, upper, right, lower = tile.box(width, height)
        assert 0 <= left < right <= width and 0 <= upper < lower <= height
        if tile.grid == largest:
            covered[upper:lower, left:right] = True
    assert covered.all() or min(width, height) < largest


def test_neighbours_overlap_by_a_fifth_of_a_tile() -> None:
    first, second = (Tile(4, 1, column, 0.1).box(400, 400) for column in (1, 2))
    assert first == (90, 90, 210, 210) and second == (190, 90, 310, 210)


def test_a_view_is_what_the_preprocessing_makes_of_the_cut() -> None:
    image, plan = random_image(101, 67), view_plan("grid:2+overlap")
    for resize, interpolation in product(("squash", "crop"), ("bilinear", "bicubic")):
        preprocess = Preprocess(40, resize, interpolation, OWN.mean, OWN.std, 0.9)  # type: ignore[arg-type]
        pixels = plan.pixels(image, preprocess)
        np.testing.assert_array_equal(pixels[0], preprocess.pixels(image))
        for tile, found in zip(plan.tiles, pixels[1:], strict=True):
            expected = preprocess.pixels(image.crop(tile.box(*image.size)))
            assert abs(found.astype(int) - expected).max() <= 1
            assert (found == expected).mean() > 0.8


def test_tiles_of_long_images_stay_small() -> None:
    preprocess = Preprocess(16, "crop", "bilinear", OWN.mean, OWN.std)
    pixels = view_plan("grid:2").pixels(random_image(4000, 6), preprocess)
    assert pixels.shape == (5, 3, 16, 16)


def test_images_with_fewer_pixels_than_tiles_have_views_too() -> None:
    assert view_plan("grid:4").pixels(random_image(3, 1), OWN).shape == (17, 3, 224, 224)


def test_names_tell_all_views_apart() -> None:
    for spec, views in (("global", 1), ("grid:5", 26), ("grid:2+overlap", 5), ("pyramid:4", 30)):
        plan = view_plan(spec)
        assert len(plan) == views == len(set(plan.names))
        assert plan.spec == spec and plan.names[0] == "global"
    assert view_plan("grid:04").spec == "grid:4"


@pytest.mark.parametrize(
    "spec",
    ["", "Grid:4", "grid", "grid:0", "grid:17", "grid:4+", "pyramid:1", "pyramid:3+overlap", "grid:-1"],
)
def test_unknown_plans_are_refused(spec: str) -> None:
    with pytest.raises(OneLabelError, match=r"unknown views .*known: global"):
        view_plan(spec)
