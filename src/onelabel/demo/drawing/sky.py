"""Sun, cloud and star."""

from __future__ import annotations

import math
from random import Random

from onelabel.demo.drawing.pen import Pen, colour, shade


def sun(pen: Pen, rng: Random) -> None:
    """A disc with rays, as triangles or lines; some suns are low and red."""
    fill = colour(rng, (0.02, 0.16), (0.6, 1.0), (0.85, 1.0))
    rays, inner, wide = rng.randint(8, 13), rng.uniform(0.24, 0.32), rng.random() < 0.5
    for i in range(rays):
        a, half = 2 * math.pi * i / rays, math.pi / rays * (0.7 if wide else 0.35)
        outer = rng.uniform(0.42, 0.5)
        points = [(a - half, inner * 1.1), (a + half, inner * 1.1), (a, outer)]
        pen.polygon([(0.5 + r * math.cos(t), 0.5 + r * math.sin(t)) for t, r in points], shade(fill, 0.95))
    pen.disc(0.5, 0.5, inner, inner, fill)


def cloud(pen: Pen, rng: Random) -> None:
    """Overlapping puffs on a flat base, white to dark grey."""
    fill = colour(rng, (0.55, 0.7), (0.0, 0.2), (0.55, 1.0))
    puffs = rng.randint(3, 5)
    low = rng.uniform(0.6, 0.7)
    for i in range(puffs):
        x = 0.2 + 0.6 * i / (puffs - 1)
        r = rng.uniform(0.16, 0.2) if i in (0, puffs - 1) else rng.uniform(0.2, 0.28)
        pen.disc(x, low - r * 0.6, r, r * 0.9, fill)
    pen.box(0.15, low - 0.15, 0.85, low + 0.03, fill)


def star(pen: Pen, rng: Random) -> None:
    """A star of four to six points, sharp or blunt, of any light colour."""
    fill = colour(rng, (0.0, 1.0), (0.0, 0.8), (0.8, 1.0))
    points, inner = rng.choice((4, 5, 5, 5, 6)), rng.uniform(0.17, 0.25)
    radii = (0.5, inner)
    corners = [(math.pi * i / points - math.pi / 2, radii[i % 2]) for i in range(2 * points)]
    pen.polygon([(0.5 + r * math.cos(a), 0.5 + r * math.sin(a)) for a, r in corners], fill)
