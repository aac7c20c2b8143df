"""The sixteen everyday objects of the toy scenes: one function each, ``draw(pen, rng)``, in a unit square.

A new object is a function in one of these files and one line in :data:`OBJECTS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from onelabel.demo.drawing.living import bird, fish, person
from onelabel.demo.drawing.pen import Pen
from onelabel.demo.drawing.plants import flower, mushroom, tree
from onelabel.demo.drawing.sky import cloud, star, sun
from onelabel.demo.drawing.things import clock, cup, key, umbrella
from onelabel.demo.drawing.vehicles import boat, car, house


@dataclass(frozen=True)
class Drawn:
    """How one kind of object is drawn and where it usually stands.

    Args:
        draw: draws it in the unit square of the pen.
        tilt: largest rotation to either side, in degrees.
        heights: range of the centre's height in the scene, 0 = top, 1 = bottom.
    """

    draw: Callable[[Pen, Random], None]
    tilt: float
    heights: tuple[float, float]


_SKY, _GROUND, _ANYWHERE = (0.05, 0.55), (0.45, 0.95), (0.1, 0.9)

OBJECTS: dict[str, Drawn] = {
    "sun": Drawn(sun, 20, _SKY),
    "house": Drawn(house, 4, _GROUND),
    "tree": Drawn(tree, 6, _GROUND),
    "car": Drawn(car, 8, _GROUND),
    "fish": Drawn(fish, 30, _GROUND),
    "boat": Drawn(boat, 12, _GROUND),
    "cloud": Drawn(cloud, 6, _SKY),
    "flower": Drawn(flower, 15, _GROUND),
    "star": Drawn(star, 40, _SKY),
    "umbrella": Drawn(umbrella, 25, _ANYWHERE),
    "person": Drawn(person, 8, _GROUND),
    "cup": Drawn(cup, 8, _GROUND),
    "clock": Drawn(clock, 15, _ANYWHERE),
    "key": Drawn(key, 180, _ANYWHERE),
    "mushroom": Drawn(mushroom, 12, _GROUND),
    "bird": Drawn(bird, 15, _SKY),
}
