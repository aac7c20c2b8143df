"""Views of an image: the whole, and tiles cut from it, in a fixed order.

======================  ================================================================================
``global``              the whole image
``grid:G``              the whole image, then G × G tiles of ⌊width/G⌋ × ⌊height/G⌋ pixels, row by row;
                        what remains at the right and at the bottom is in no tile (published for AEVLP)
``grid:G+overlap``      the whole image, then G × G tiles that cover all of it, each wider by a tenth of
                        its size on every side (our own)
``pyramid:G``           the whole image, then the covering tiles of 2 × 2, 3 × 3, ..., G × G (our own)
======================  ================================================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from PIL import Image

from onelabel.images.transforms import Pixels, Preprocessing
from onelabel.io.errors import OneLabelError

GLOBAL = "global"
_MARGIN = 0.1
_MOST = 16
_Box = tuple[int, int, int, int]
_SPEC = re.compile(r"(grid|pyramid):(\d{1,3})(\+overlap)?")


@dataclass(frozen=True)
class Tile:
    """One tile of a G × G grid.

    Args:
        grid: G.
        row: from 0 at the top.
        column: from 0 at the left.
        margin: share of its size by which it is wider on every side, 0 or more; None for the published tile,
            which leaves the remainder out.
    """

    grid: int
    row: int
    column: int
    margin: float | None = None

    def box(self, width: int, height: int) -> _Box:
        """Return (left, upper, right, lower) in pixels of an image of this size.

        A tile of an image with fewer than G pixels on a side is one pixel wide there.

        Example:
            >>> Tile(4, row=0, column=3).box(375, 500)
            (279, 0, 372, 125)
            >>> Tile(4, row=0, column=3, margin=0.1).box(375, 500)
            (272, 0, 375, 138)
        """
        left, right = self._span(self.column, width)
        upper, lower = self._span(self.row, height)
        return left, upper, right, lower

    def _span(self, place: int, size: int) -> tuple[int, int]:
        step = max(1, size // self.grid)
        first = min(place * step, size - step)
        if self.margin is None or size < self.grid:
            return first, first + step
        ends = (place - self.margin, place + 1 + self.margin)
        begin, end = (round(edge * size / self.grid) for edge in ends)
        return max(0, begin), min(size, end)

    @property
    def name(self) -> str:
        """Name of the view.

        Example:
            >>> Tile(4, row=0, column=3).name
            'grid:4 row 0 column 3'
        """
        kind = f"grid:{self.grid}" + ("" if self.margin is None else "+overlap")
        return f"{kind} row {self.row} column {self.column}"


@dataclass(frozen=True)
class ViewPlan:
    """Which views are taken of every image; made by :func:`view_plan`.

    Args:
        spec: name of the plan.
        tiles: the views after the whole image, in order.
    """

    spec: str = GLOBAL
    tiles: tuple[Tile, ...] = ()

    def __len__(self) -> int:
        return 1 + len(self.tiles)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each view."""
        return (GLOBAL, *(tile.name for tile in self.tiles))

    def pixels(self, image: Image.Image, preprocess: Preprocessing) -> Pixels:
        """Cut and resize all views of an image that has been decoded once.

        The whole image is resized by Pillow. Tiles are resized by torch, all of one size at once, which takes
        a quarter of the time; they differ from Pillow's by at most one of the 256 levels.

        Args:
            image: of mode "RGB".
            preprocess: what the encoder expects; its normalisation is left for later.

        Returns:
            (views, 3, side, side) uint8.
        """
        whole = preprocess.pixels(image)
        out = np.empty((len(self), *whole.shape), np.uint8)
        out[0] = whole
        if self.tiles:
            every = np.asarray(image)
            for numbers, boxes in self._by_size(*image.size):
                cuts = np.stack([every[upper:lower, left:right] for left, upper, right, lower in boxes])
                for number, tile in zip(numbers, preprocess.tile_pixels(cuts), strict=True):
                    out[number] = tile
        return out

    def _by_size(self, width: int, height: int) -> list[tuple[list[int], list[_Box]]]:
        """Return numbers and boxes of the tiles, those of one size together."""
        found: dict[tuple[int, int], tuple[list[int], list[_Box]]] = {}
        for number, tile in enumerate(self.tiles, start=1):
            box = left, upper, right, lower = tile.box(width, height)
            numbers, boxes = found.setdefault((right - left, lower - upper), ([], []))
            numbers.append(number)
            boxes.append(box)
        return list(found.values())


def view_plan(spec: str) -> ViewPlan:
    """Return the plan of a name: ``global``, ``grid:G``, ``grid:G+overlap`` or ``pyramid:G``.

    Raises:
        OneLabelError: no plan has this name.

    Example:
        >>> len(view_plan("grid:4")), len(view_plan("pyramid:3")), view_plan("grid:1").names
        (17, 14, ('global', 'grid:1 row 0 column 0'))
    """
    if spec == GLOBAL:
        return ViewPlan()
    found = _SPEC.fullmatch(spec)
    grid = int(found[2]) if found else 0
    if not found or not 1 <= grid <= _MOST or (found[1] == "pyramid" and (found[3] or grid < 2)):
        raise OneLabelError(
            f"unknown views {spec!r}; known: global, grid:G and grid:G+overlap with G from 1 to {_MOST}, "
            f"pyramid:G with G from 2 to {_MOST}"
        )
    if found[1] == "pyramid":
        tiles = [tile for size in range(2, grid + 1) for tile in _tiles(size, 0.0)]
        return ViewPlan(f"pyramid:{grid}", tuple(tiles))
    overlap = found[3] or ""
    return ViewPlan(f"grid:{grid}{overlap}", tuple(_tiles(grid, _MARGIN if overlap else None)))


def _tiles(grid: int, margin: float | None) -> list[Tile]:
    return [Tile(grid, row, column, margin) for row in range(grid) for column in range(grid)]
