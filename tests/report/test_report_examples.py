"""Which images a report shows: against slow references; pictures that cannot be shown are named."""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from onelabel.report.examples import (
    doubts,
    example,
    image_f1,
    lowest,
    margins,
    surest,
    thumbnails,
)

Pair = tuple[NDArray[Any], NDArray[Any]]


@st.composite
def surplus_and_labels(draw: st.DrawFn) -> Pair:
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 5)))
    numbers = st.sampled_from([-30.0, -2.0, -0.5, 0.0, 0.5, 1.0, 30.0])
    signs = st.sampled_from([-1, 0, 1])
    return draw(arrays(np.float64, shape, elements=numbers)), draw(arrays(np.int8, shape, elements=signs))


def slow_f1(surplus: list[float], labels: list[int]) -> float:
    if 1 not in labels or -1 not in labels:
        return math.nan
    found = sum(s >= 0 and y == 1 for s, y in zip(surplus, labels, strict=True))
    false = sum(s >= 0 and y == -1 for s, y in zip(surplus, labels, strict=True))
    missed = sum(s < 0 and y == 1 for s, y in zip(surplus, labels, strict=True))
    return 2 * found / (2 * found + false + missed)


def slow_margin(surplus: list[float], labels: list[int]) -> float:
    present = [s for s, y in zip(surplus, labels, strict=True) if y == 1]
    absent = [s for s, y in zip(surplus, labels, strict=True) if y == -1]
    return min(present) - max(absent) if present and absent else math.nan


def slow_doubt(surplus: list[float]) -> float:
    total = 0.0
    for s in surplus:
        p = 1 / (1 + math.exp(-s))
        total -= sum(q * math.log2(q) for q in (p, 1 - p) if 0 < q < 1)
    return total / len(surplus)


@given(surplus_and_labels())
def test_what_ranks_images_is_what_it_says(pair: Pair) -> None:
    surplus, labels = pair
    rows = list(zip(surplus.tolist(), labels.tolist(), strict=True))
    np.testing.assert_allclose(image_f1(surplus, labels), [slow_f1(*row) for row in rows])
    np.testing.assert_allclose(margins(surplus, labels), [slow_margin(*row) for row in rows])
    np.testing.assert_allclose(doubts(surplus), [slow_doubt(row) for row, _ in rows], atol=1e-9)


@given(surplus_and_labels())
def test_the_surest_call_of_an_image_is_allowed_and_called(pair: Pair) -> None:
    surplus, labels = pair
    columns, values = surest(surplus, labels == 0)
    for row, (s, y) in enumerate(zip(surplus.tolist(), labels.tolist(), strict=True)):
        called = [a for a, b in zip(s, y, strict=True) if b == 0 and a >= 0]
        if not called:
            assert math.isnan(values[row])
        else:
            assert values[row] == max(called) == s[columns[row]] and y[columns[row]] == 0


@given(arrays(np.float64, 7, elements=st.sampled_from([math.nan, math.inf, -1.0, 0.0, 2.0])))
def test_lowest_first_and_only_numbers(values: NDArray[np.float64]) -> None:
    rows = lowest(values, 4)
    finite = sorted(value for value in values.tolist() if math.isfinite(value))
    assert [values[row] for row in rows] == finite[:4]


def test_every_decision_has_its_word() -> None:
    surplus, labels = np.array([1.0, 3.0, -1.0, 0.0, 2.0, -5.0]), np.array([1, 1, 1, -1, 0, 0])
    found = example("x.jpg", surplus, labels, ["a", "b", "c", "d", "e", "f"])
    assert (found.found, found.missed, found.false, found.open) == (("b", "a"), ("c",), ("d",), ("e",))
    assert found.lines() == ["found: b, a", "missed: c", "false: d", "called, not known: e"]


def test_many_names_are_cut() -> None:
    found = example("x.jpg", np.ones(7), np.ones(7, np.int8), ["n" * 99, *"bcdefg"])
    (line,) = found.lines()
    assert line.endswith("and 2 more") and len(line) < 70


@pytest.fixture
def album(tmp_path: Path) -> Path:
    Image.new("RGB", (900, 300), (200, 30, 30)).save(tmp_path / "wide.png")
    turned = Image.new("RGB", (300, 200))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    (tmp_path / "broken.jpg").write_bytes((tmp_path / "turned.jpg").read_bytes()[:200])
    return tmp_path


def test_pictures_are_small_upright_jpegs_without_metadata(album: Path) -> None:
    found = thumbnails(["wide.png", "turned.jpg", "wide.png"], album, 10**8)
    sizes = {}
    for name, photo in found.items():
        with Image.open(BytesIO(photo.jpeg)) as image:
            assert image.format == "JPEG" and not image.getexif()
            sizes[name] = image.size
    assert sizes == {"wide.png": (240, 80), "turned.jpg": (160, 240)}
    assert all(len(photo.jpeg) < 20_000 for photo in found.values())


def test_pictures_that_cannot_be_shown_say_why(album: Path) -> None:
    found = thumbnails(["broken.jpg", "none.jpg", "turned.jpg"], album, 10**8)
    assert "broken" in found["broken.jpg"].problem and "no such file" in found["none.jpg"].problem
    assert [bool(photo.jpeg) for photo in found.values()] == [False, False, True]
    assert "pixels" in thumbnails(["wide.png"], album, 1000)["wide.png"].problem


def test_an_id_that_leaves_the_folder_shows_nothing(album: Path) -> None:
    outside = album / "album"
    outside.mkdir()
    found = thumbnails(["../wide.png"], outside, 10**8)
    assert not found["../wide.png"].jpeg and "leaves" in found["../wide.png"].problem
