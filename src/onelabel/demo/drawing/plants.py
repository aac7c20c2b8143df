"""Tree, flower and mushroom."""

from __future__ import annotations

import math
from random import Random

from onelabel.demo.drawing.pen import Colour, Pen, colour, shade


def tree(pen: Pen, rng: Random) -> None:
    """A fir, a round tree or a palm, green or in autumn colours."""
    leaf = colour(rng, (0.2, 0.42) if rng.random() < 0.75 else (0.03, 0.12), (0.5, 0.9), (0.3, 0.75))
    bark = colour(rng, (0.05, 0.1), (0.4, 0.7), (0.25, 0.5))
    rng.choice((_fir, _round_tree, _palm))(pen, rng, leaf, bark)


def _fir(pen: Pen, rng: Random, leaf: Colour, bark: Colour) -> None:
    pen.box(0.45, 0.8, 0.55, 1.0, bark)
    layers, width = rng.randint(2, 4), rng.uniform(0.25, 0.38)
    for i in range(layers):
        bottom = 0.85 - 0.6 * i / layers
        half = width * (1 - 0.6 * i / layers)
        pen.polygon([(0.5 - half, bottom), (0.5 + half, bottom), (0.5, bottom - 0.85 / layers)], leaf)


def _round_tree(pen: Pen, rng: Random, leaf: Colour, bark: Colour) -> None:
    pen.box(0.44, 0.5, 0.56, 1.0, bark)
    for _ in range(rng.randint(4, 6)):
        r = rng.uniform(0.16, 0.24)
        x, y = rng.uniform(0.32, 0.68), rng.uniform(0.24, 0.48)
        pen.disc(x, y, r, r, shade(leaf, rng.uniform(0.9, 1.15)))


def _palm(pen: Pen, rng: Random, leaf: Colour, bark: Colour) -> None:
    bend = rng.uniform(-0.1, 0.1)
    pen.line([(0.5 - bend, 1.0), (0.5 - bend * 0.3, 0.65), (0.5, 0.3)], 0.07, bark)
    for degrees in (-200, -165, -125, -80, -40, -5, 25):
        a = math.radians(degrees + rng.uniform(-8, 8))
        tip = (0.5 + 0.42 * math.cos(a), 0.32 + 0.3 * math.sin(a) + 0.12)
        middle = (0.5 + 0.25 * math.cos(a), 0.22 + 0.22 * math.sin(a))
        pen.polygon([(0.5, 0.34), middle, tip, (middle[0], middle[1] + 0.1)], leaf)


def flower(pen: Pen, rng: Random) -> None:
    """Petals about a centre on a stem with leaves, or a tulip."""
    petal = colour(rng, (0.75, 1.18), (0.4, 0.95), (0.7, 1.0))
    green = colour(rng, (0.25, 0.4), (0.5, 0.9), (0.35, 0.7))
    pen.line([(0.5, 0.35), (0.5, 1.0)], 0.05, green)
    pen.disc(0.62, 0.8, 0.13, 0.05, green)
    if rng.random() < 0.5:
        pen.disc(0.38, 0.72, 0.13, 0.05, green)
    rng.choice((_petals, _petals, _tulip))(pen, rng, petal)


def _petals(pen: Pen, rng: Random, petal: Colour) -> None:
    count, r = rng.randint(5, 8), rng.uniform(0.09, 0.12)
    for i in range(count):
        a = 2 * math.pi * i / count
        pen.disc(0.5 + 0.18 * math.cos(a), 0.3 + 0.18 * math.sin(a), r, r, petal)
    pen.disc(0.5, 0.3, 0.11, 0.11, colour(rng, (0.08, 0.16), (0.6, 1.0), (0.6, 1.0)))


def _tulip(pen: Pen, _: Random, petal: Colour) -> None:
    pen.disc(0.5, 0.3, 0.18, 0.2, petal, (0, 180))
    pen.polygon(
        [(0.32, 0.31), (0.32, 0.08), (0.42, 0.2), (0.5, 0.04), (0.58, 0.2), (0.68, 0.08), (0.68, 0.31)], petal
    )


def mushroom(pen: Pen, rng: Random) -> None:
    """A domed cap, with or without spots, on a thick stem."""
    cap = colour(rng, (0.0, 0.13), (0.35, 0.95), (0.4, 0.9))
    stem = colour(rng, (0.08, 0.14), (0.05, 0.3), (0.75, 1.0))
    half, foot = rng.uniform(0.09, 0.14), rng.uniform(0.02, 0.07)
    pen.polygon(
        [(0.5 - half, 0.5), (0.5 + half, 0.5), (0.5 + half + foot, 0.95), (0.5 - half - foot, 0.95)], stem
    )
    pen.disc(0.5, 0.52, rng.uniform(0.36, 0.46), rng.uniform(0.32, 0.44), cap, (180, 360))
    if rng.random() < 0.65:
        for x, y in ((0.3, 0.42), (0.5, 0.28), (0.68, 0.4), (0.47, 0.44)):
            r = rng.uniform(0.03, 0.06)
            pen.disc(x, y, r, r, (250, 245, 235))
