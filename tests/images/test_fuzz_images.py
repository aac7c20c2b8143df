"""Pictures that are damaged or lie about their size, decoded in a child process under bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

import hostile_child
from hostile_images import DECLARED, pictures
from onelabel.images.folder import list_images, resolve
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable

SEEDS, NIGHTLY = 200, 10_000
NOISE = 150
"""Characters a picture on the terminal, on average: libtiff prints what is wrong with a file."""


def fuzz(name: str, first: int, last: int) -> None:
    found = hostile_child.run("hostile_images:read", name, first, last, memory=200, noise=NOISE)
    print(name, found)
    assert found["read"] and found["refused"], "all are one: the mutations test nothing"


@pytest.mark.parametrize("name", pictures())
def test_changed_pictures(name: str) -> None:
    fuzz(name, 0, SEEDS)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", pictures())
def test_many_changed_pictures(name: str) -> None:
    fuzz(name, SEEDS, SEEDS + NIGHTLY)


@pytest.mark.parametrize("name", DECLARED)
def test_a_picture_that_declares_900_million_pixels(name: str) -> None:
    found = hostile_child.run("hostile_images:declared", name, 0, 1, memory=50)
    assert found["refused"] == 1 and found["slowest"] < 1 and found["grown"] < 20, found


@pytest.mark.parametrize("name", ["iCCP", "zTXt", "iTXt", "IDAT"])
def test_a_chunk_that_unpacks_to_300_megabytes(name: str) -> None:
    found = hostile_child.run("hostile_images:bomb", name, 0, 1, memory=100)
    assert found["grown"] < 40, found


def test_links_out_of_the_folder(tmp_path: Path) -> None:
    """A link, a link through a folder, and a link to a device are neither listed nor read."""
    inside, outside = tmp_path / "photos", tmp_path / "secret"
    (outside / "deep").mkdir(parents=True)
    inside.mkdir()
    (outside / "a.jpg").write_bytes(b"x")
    (inside / "a.jpg").symlink_to(outside / "a.jpg")
    (inside / "b").symlink_to(outside)
    (inside / "c.jpg").symlink_to("/dev/zero")
    (inside / "d.jpg").symlink_to("d.jpg")
    assert list_images(inside) == []
    for name in ("a.jpg", "b/a.jpg"):
        with pytest.raises(OneLabelError, match="leaves the image folder"):
            resolve(IdTable.from_strings([name]), inside)
    assert resolve(
        IdTable.from_strings(["c.jpg", "d.jpg", "e\0.jpg", "f" * 5000]), inside
    ).missing.tolist() == [0, 1, 2, 3]
