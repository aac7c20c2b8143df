"""Umbrella, cup, clock and key."""

from __future__ import annotations

import math
from random import Random

from onelabel.demo.drawing.pen import INK, Pen, colour, shade


def umbrella(pen: Pen, rng: Random) -> None:
    """A canopy in panels with a scalloped edge, on a shaft with or without a hook."""
    first = colour(rng)
    second = first if rng.random() < 0.4 else colour(rng, (0.0, 1.0), (0.0, 0.9), (0.7, 1.0))
    panels, height = rng.choice((3, 4, 5)), rng.uniform(0.36, 0.44)
    pen.line([(0.5, 0.05), (0.5, 0.86)], 0.035, INK)
    if rng.random() < 0.7:
        pen.arc(0.43, 0.86, 0.07, 0.035, INK, (0, 180))
    for i in range(panels):
        start, stop = 180 + 180 * i / panels, 180 + 180 * (i + 1) / panels
        fill = (first, second)[i % 2]
        pen.polygon([(0.5, 0.5), *_rim(start, stop, height)], fill)
        left, right = 0.5 + 0.47 * math.cos(math.radians(start)), 0.5 + 0.47 * math.cos(math.radians(stop))
        pen.disc((left + right) / 2, 0.5, (right - left) / 2, 0.05, fill)


def _rim(start: float, stop: float, height: float) -> list[tuple[float, float]]:
    angles = [math.radians(start + (stop - start) * i / 6) for i in range(7)]
    return [(0.5 + 0.47 * math.cos(a), 0.5 + height * math.sin(a)) for a in angles]


def cup(pen: Pen, rng: Random) -> None:
    """A mug or a tea cup with a handle, sometimes with steam or a saucer."""
    fill = colour(rng, (0.0, 1.0), (0.0, 0.9), (0.55, 1.0))
    foot, top = rng.uniform(0.0, 0.14), rng.uniform(0.28, 0.4)
    pen.arc(0.72, (top + 0.9) / 2, 0.16, 0.07, shade(fill, 0.8), (-100, 100))
    if rng.random() < 0.4:
        pen.disc(0.44, 0.9, 0.44, 0.07, shade(fill, 0.85))
    pen.polygon([(0.14, top), (0.72, top), (0.72 - foot, 0.9), (0.14 + foot, 0.9)], fill)
    pen.disc(0.43, top, 0.29, 0.06, shade(fill, 0.75))
    pen.disc(0.43, top + 0.01, 0.24, 0.04, (95, 60, 35))
    if rng.random() < 0.5:
        for x in (0.33, 0.5):
            wave = [(x + 0.03 * math.sin(i), top - 0.08 - 0.035 * i) for i in range(6)]
            pen.line(wave, 0.03, (225, 225, 230))
    if rng.random() < 0.4:
        pen.box(0.17 + foot / 2, 0.56, 0.69 - foot / 2, 0.66, colour(rng))


def clock(pen: Pen, rng: Random) -> None:
    """A round or square dial with hands and hour marks; some are alarm clocks with bells and feet."""
    rim = colour(rng, (0.0, 1.0), (0.2, 0.9), (0.25, 0.85))
    face = colour(rng, (0.0, 1.0), (0.0, 0.15), (0.88, 1.0))
    if rng.random() < 0.35:
        for x in (0.25, 0.75):
            pen.disc(x, 0.17, 0.12, 0.1, shade(rim, 0.8))
            pen.line([(x, 0.85), (x + 0.1 * (1 if x > 0.5 else -1), 0.99)], 0.06, shade(rim, 0.8))
    if rng.random() < 0.75:
        pen.disc(0.5, 0.53, 0.43, 0.43, rim)
        pen.disc(0.5, 0.53, 0.35, 0.35, face)
    else:
        pen.box(0.1, 0.13, 0.9, 0.93, rim)
        pen.box(0.18, 0.21, 0.82, 0.85, face)
    for hour in range(0, 12, rng.choice((1, 3))):
        pen.line([_dial(hour, 0.28), _dial(hour, 0.33)], 0.035, INK)
    pen.line([(0.5, 0.53), _dial(rng.uniform(0, 12), 0.17)], 0.06, INK)
    pen.line([(0.5, 0.53), _dial(rng.uniform(0, 12), 0.27)], 0.04, INK)


def _dial(hour: float, radius: float) -> tuple[float, float]:
    a = math.tau * hour / 12
    return 0.5 + radius * math.sin(a), 0.53 - radius * math.cos(a)


def key(pen: Pen, rng: Random) -> None:
    """A ring, a shaft and a bit of two or three teeth; metal, or painted."""
    metal = (0.08, 0.15) if rng.random() < 0.6 else (0.0, 1.0)
    fill = colour(rng, metal, (0.1, 0.8), (0.4, 0.95))
    ring, width = rng.uniform(0.13, 0.19), rng.uniform(0.06, 0.09)
    pen.arc(0.04 + ring, 0.5, ring, width, fill)
    pen.line([(0.04 + 2 * ring, 0.5), (0.97, 0.5)], width, fill)
    teeth = rng.randint(2, 3)
    for i in range(teeth):
        x = 0.94 - 0.11 * i
        pen.line([(x, 0.5), (x, 0.5 + rng.uniform(0.12, 0.2))], width * 0.9, fill)
