"""Toy scenes: pictures of everyday objects with complete labels, made from a seed in seconds.

A scene has one to six kinds of object (2.7 on average). Most come from one theme, so that objects occur
together as they do in photos. An object is drawn only where every object stays visible: at least
:data:`MIN_VISIBLE` of its area.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw

from onelabel.demo.drawing import OBJECTS
from onelabel.demo.drawing.pen import Colour, Pen, colour, pixel, shade

CLASSES: tuple[str, ...] = tuple(OBJECTS)

MIN_VISIBLE = 0.6
"""Smallest part of an object's area that later objects and the picture's edge leave to be seen."""

PARTS: tuple[str, ...] = ("captions", "train", "val", "test")
"""The parts that scenes are drawn for; ``captions`` is what the tiny vision-language model learns from."""

_DRAWN = 288  # pixels a side before reduction: what smooths the edges
_SMALLEST, _LARGEST = 0.2, 0.52  # side of an object's square, as a part of the picture's
_COUNTS = (0.20, 0.28, 0.26, 0.15, 0.08, 0.03)  # of scenes with 1, 2, ... 6 kinds of object: 2.7 on average
_STRAY = 0.12  # of objects come from outside the theme, so that no object gives another away for certain
_REPEAT = 0.15  # of objects appear twice
_TRIES = 12  # places tried for an object before it is left out


@dataclass(frozen=True)
class Theme:
    """Objects that occur together, and the hues of sky and ground behind them."""

    objects: tuple[str, ...]
    sky: tuple[float, float]
    ground: tuple[float, float]


THEMES: dict[str, Theme] = {
    "beach": Theme(("sun", "boat", "fish", "umbrella", "bird", "person", "cloud"), (0.5, 0.6), (0.1, 0.15)),
    "sea": Theme(("boat", "fish", "bird", "cloud", "star", "sun"), (0.5, 0.65), (0.52, 0.66)),
    "town": Theme(("house", "car", "tree", "person", "clock", "umbrella", "cloud"), (0.5, 0.7), (0.05, 0.6)),
    "garden": Theme(("flower", "mushroom", "tree", "bird", "sun", "house", "cup"), (0.45, 0.6), (0.22, 0.4)),
    "forest": Theme(("tree", "mushroom", "bird", "flower", "person", "star"), (0.3, 0.55), (0.15, 0.35)),
    "night": Theme(("star", "house", "cloud", "car", "tree", "key", "clock"), (0.6, 0.8), (0.5, 0.8)),
    "table": Theme(("cup", "clock", "key", "flower", "mushroom", "fish"), (0.0, 1.0), (0.03, 0.12)),
    "hall": Theme(("key", "umbrella", "clock", "cup", "person", "star", "car"), (0.0, 1.0), (0.0, 1.0)),
}


def part_seed(part: str, seed: int) -> int:
    """Return the seed of one part; no two parts share one, whatever their ``seed``.

    Example:
        >>> part_seed("train", 0), part_seed("test", 0), part_seed("captions", 1)
        (1, 3, 4)
    """
    return len(PARTS) * seed + PARTS.index(part)


def make_scene(seed: int, index: int, size: int = 96) -> tuple[Image.Image, list[str]]:
    """Draw one scene; the same arguments give the same picture.

    Args:
        seed: see :func:`part_seed`.
        index: number of the scene, from 0.
        size: side of the picture in pixels; what is in it, and where, does not depend on it.

    Returns:
        the picture (mode RGB) and the names of all objects in it, in the order of :data:`CLASSES`.

    Example:
        >>> picture, names = make_scene(seed=1, index=0)
        >>> picture.size, 1 <= len(names) <= 6, set(names) <= set(CLASSES)
        ((96, 96), True, True)
    """
    rng = Random(f"onelabel scene {seed} {index}")  # text seeds are hashed: neighbours are unrelated
    theme = rng.choice(tuple(THEMES.values()))
    kinds = _choose(rng, theme)
    canvas = Canvas(_background(rng, theme))
    largest = _LARGEST - 0.04 * len(kinds)
    drawn = [kind for kind in kinds if canvas.add(kind, rng, largest)]
    for kind in drawn:
        if rng.random() < _REPEAT:
            canvas.add(kind, rng, largest)
    picture = canvas.image.resize((size, size), Image.Resampling.BOX)
    return picture, [name for name in CLASSES if name in drawn]


def _choose(rng: Random, theme: Theme) -> list[str]:
    count = rng.choices(range(1, len(_COUNTS) + 1), _COUNTS)[0]
    familiar = rng.sample(theme.objects, min(count, len(theme.objects)))
    kinds = [rng.choice(CLASSES) if rng.random() < _STRAY else name for name in familiar]
    return list(dict.fromkeys(kinds))


def _background(rng: Random, theme: Theme) -> Image.Image:
    """Sky and ground, each a gradient of two colours, with a few plain shapes that are no object."""
    image = Image.new("RGB", (_DRAWN, _DRAWN))
    horizon = round(_DRAWN * rng.uniform(0.4, 0.75))
    for hues, top, bottom in ((theme.sky, 0, horizon), (theme.ground, horizon, _DRAWN)):
        first = colour(rng, hues, (0.1, 0.6), (0.35, 0.95))
        image.paste(_gradient(first, shade(first, rng.uniform(0.75, 1.25)), bottom - top), (0, top))
    pen = ImageDraw.Draw(image)
    for _ in range(rng.randint(0, 6)):
        x, y = rng.randrange(_DRAWN), rng.randrange(_DRAWN)
        w, h = rng.uniform(0.05, 0.3) * _DRAWN, rng.uniform(0.01, 0.15) * _DRAWN
        fill = shade(pixel(image, x, y), rng.uniform(0.7, 1.3))
        rng.choice((pen.ellipse, pen.rectangle))((x - w, y - h, x + w, y + h), fill=fill)
    return image


def _gradient(top: Colour, bottom: Colour, height: int) -> Image.Image:
    pair = Image.new("RGB", (1, 2), top)
    pair.putpixel((0, 1), bottom)
    return pair.resize((_DRAWN, height), Image.Resampling.BILINEAR)


class Canvas:
    """A picture that knows which pixel belongs to which object.

    Args:
        image: the background, mode RGB, drawn over in place.
    """

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self._owner = Image.new("L", image.size)  # 0 = background, n = the n-th object
        self._areas = [0]

    def add(self, kind: str, rng: Random, largest: float) -> bool:
        """Draw one object where all stay visible, and say whether a place was found.

        Args:
            kind: name of the object.
            rng: gives its shape, colour, size and place.
            largest: upper end of its size, as a part of the picture's side.
        """
        how, side = OBJECTS[kind], self.image.width
        extent = rng.uniform(_SMALLEST, largest) * side
        pen = Pen(extent, rng.uniform(-how.tilt, how.tilt), mirror=rng.random() < 0.5)
        how.draw(pen, rng)
        cut = pen.cut()
        for _ in range(_TRIES):
            x, y = rng.uniform(0.05, 0.95) * side, rng.uniform(*how.heights) * side
            if self._place(cut, (round(x - cut.width / 2), round(y - cut.height / 2))):
                return True
        return False

    def visible(self) -> list[float]:
        """Return the visible part of each object's area, in the order of drawing."""
        return _shares(self._owner, self._areas)

    def _place(self, cut: Image.Image, corner: tuple[int, int]) -> bool:
        mask = cut.getchannel("A")
        owner, areas = self._owner.copy(), [*self._areas, mask.histogram()[255]]
        owner.paste(len(self._areas), corner, mask)
        if min(_shares(owner, areas)) < MIN_VISIBLE:
            return False
        self._owner, self._areas = owner, areas
        self.image.paste(cut, corner, mask)
        return True


def _shares(owner: Image.Image, areas: list[int]) -> list[float]:
    seen = owner.histogram()
    return [seen[number] / areas[number] for number in range(1, len(areas))]
