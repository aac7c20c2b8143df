"""A pen that draws filled shapes in a unit square, turned, mirrored and scaled as one."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from random import Random

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

INK: Colour = (40, 36, 44)


def colour(
    rng: Random,
    hue: tuple[float, float] = (0.0, 1.0),
    saturation: tuple[float, float] = (0.45, 0.95),
    value: tuple[float, float] = (0.5, 1.0),
) -> Colour:
    """Draw a random colour; hue, saturation and value within the given ranges of [0, 1] (hue wraps round)."""
    h, s, v = rng.uniform(*hue) % 1.0, rng.uniform(*saturation), rng.uniform(*value)
    r, g, b = colorsys.hsv_to_rgb(h, s, v)
    return round(255 * r), round(255 * g), round(255 * b)


def shade(base: Colour, factor: float) -> Colour:
    """Make a colour darker (factor below 1) or lighter (above 1).

    Example:
        >>> shade((100, 200, 240), 0.5), shade((100, 200, 240), 1.2)
        ((50, 100, 120), (120, 240, 255))
    """
    r, g, b = (min(255, round(channel * factor)) for channel in base)
    return r, g, b


def pixel(image: Image.Image, x: int, y: int) -> Colour:
    """Return the colour of one pixel of a picture of mode RGB."""
    r, g, b = image.crop((x, y, x + 1, y + 1)).tobytes()
    return r, g, b


class Pen:
    """Draws on a transparent square; (0, 0) is the upper left of the unit square and (1, 1) the lower right.

    Args:
        side: pixels of the unit square's side.
        angle: rotation about its centre, in degrees.
        mirror: flip left and right.

    Example:
        >>> pen = Pen(20, angle=45)
        >>> pen.box(0, 0, 1, 1, (255, 0, 0))
        >>> pen.cut().size  # the square stands on its corner, cut to its outline
        (29, 29)
    """

    def __init__(self, side: float, angle: float = 0.0, mirror: bool = False) -> None:
        room = math.ceil(side * 1.45)  # a unit square on its corner is 1.42 wide
        self.image = Image.new("RGBA", (room, room))
        self._draw = ImageDraw.Draw(self.image)
        self._side, self._centre = side, room / 2
        turn = math.radians(angle)
        self._cos, self._sin, self._flip = math.cos(turn), math.sin(turn), -1.0 if mirror else 1.0

    def _pixel(self, point: Point) -> Point:
        x, y = (point[0] - 0.5) * self._flip * self._side, (point[1] - 0.5) * self._side
        return self._centre + x * self._cos - y * self._sin, self._centre + x * self._sin + y * self._cos

    def cut(self) -> Image.Image:
        """Return what was drawn, RGBA, cut to its outline."""
        return self.image.crop(self.image.getbbox())

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        """Fill a polygon."""
        self._draw.polygon([self._pixel(point) for point in points], fill=fill)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Colour) -> None:
        """Fill the rectangle between two corners."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill)

    def disc(self, x: float, y: float, rx: float, ry: float, fill: Colour, part: Point = (0, 360)) -> None:
        """Fill an ellipse about (x, y), or a slice of it (degrees, clockwise from the right)."""
        start, stop = part
        steps = max(4, round(abs(stop - start) / 12))
        angles = [math.radians(start + (stop - start) * i / steps) for i in range(steps + 1)]
        self.polygon([(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles], fill)

    def line(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """Draw a line with round corners, ``width`` in units of the square."""
        pixels = max(1, round(width * self._side))
        self._draw.line([self._pixel(point) for point in points], fill=fill, width=pixels, joint="curve")

    def arc(self, x: float, y: float, r: float, width: float, fill: Colour, part: Point = (0, 360)) -> None:
        """Draw part of a circle as a line."""
        angles = [math.radians(part[0] + (part[1] - part[0]) * i / 20) for i in range(21)]
        self.line([(x + r * math.cos(a), y + r * math.sin(a)) for a in angles], width, fill)
