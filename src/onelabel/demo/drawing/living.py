"""Fish, bird and person."""

from __future__ import annotations

from random import Random

from onelabel.demo.drawing.pen import INK, Colour, Pen, colour, shade


def fish(pen: Pen, rng: Random) -> None:
    """A body with tail, fin and eye, plain or striped."""
    fill = colour(rng)
    fat, tail = rng.uniform(0.15, 0.24), rng.uniform(0.14, 0.22)
    pen.polygon([(0.68, 0.5), (0.97, 0.5 - tail), (0.9, 0.5), (0.97, 0.5 + tail)], shade(fill, 0.8))
    pen.polygon([(0.35, 0.5 - fat * 0.8), (0.5, 0.42 - fat), (0.62, 0.5 - fat * 0.7)], shade(fill, 0.75))
    pen.disc(0.42, 0.5, 0.38, fat, fill)
    if rng.random() < 0.4:
        for x in (0.4, 0.52, 0.64):
            pen.line([(x, 0.5 - fat * 0.7), (x, 0.5 + fat * 0.7)], 0.05, shade(fill, 0.65))
    pen.disc(0.2, 0.46, 0.05, 0.05, (255, 255, 255))
    pen.disc(0.2, 0.46, 0.025, 0.025, INK)


def bird(pen: Pen, rng: Random) -> None:
    """A bird that sits, or one that flies with spread wings."""
    fill = colour(rng, (0.0, 1.0), (0.1, 0.9), (0.25, 0.95))
    rng.choice((_sitting, _flying))(pen, rng, fill)


def _sitting(pen: Pen, rng: Random, fill: Colour) -> None:
    beak = colour(rng, (0.05, 0.14), (0.7, 1.0), (0.7, 1.0))
    for x in (0.48, 0.58):
        pen.line([(x, 0.7), (x - 0.03, 0.95)], 0.03, beak)
    pen.polygon([(0.7, 0.5), (1.0, 0.42 + rng.uniform(0, 0.2)), (0.98, 0.7), (0.68, 0.66)], shade(fill, 0.8))
    pen.disc(0.53, 0.58, 0.27, 0.19, fill)
    pen.disc(0.29, 0.36, 0.15, 0.15, fill)
    pen.polygon([(0.17, 0.32), (0.0, 0.39), (0.17, 0.43)], beak)
    pen.disc(0.58, 0.55, 0.19, 0.11, shade(fill, 0.7), (0, 180))
    pen.disc(0.26, 0.33, 0.035, 0.035, INK)


def _flying(pen: Pen, rng: Random, fill: Colour) -> None:
    lift, sweep = rng.uniform(0.05, 0.3), rng.uniform(0.0, 0.12)
    for side in (-1, 1):
        tip, elbow = (0.5 + side * 0.5, lift + 0.12), (0.5 + side * 0.25, lift)
        pen.polygon([(0.5, 0.45), elbow, tip, (0.5 + side * (0.25 - sweep), lift + 0.22), (0.5, 0.62)], fill)
    pen.disc(0.5, 0.55, 0.09, 0.2, shade(fill, 0.85))
    pen.polygon([(0.5, 0.66), (0.4, 0.86), (0.6, 0.86)], shade(fill, 0.75))
    pen.polygon([(0.46, 0.37), (0.54, 0.37), (0.5, 0.25)], (235, 160, 40))


def person(pen: Pen, rng: Random) -> None:
    """Head, hair, clothes, arms and legs; trousers or a dress."""
    skin = colour(rng, (0.04, 0.09), (0.25, 0.6), (0.4, 0.98))
    top, bottom = colour(rng), colour(rng, (0.0, 1.0), (0.2, 0.9), (0.2, 0.8))
    spread, raised = rng.uniform(0.04, 0.14), rng.choice((-0.2, 0.2, 0.22))
    for side in (-1, 1):
        pen.line([(0.5 + side * 0.06, 0.6), (0.5 + side * (0.06 + spread), 0.98)], 0.09, bottom)
        hand = raised if side < 0 else 0.2
        pen.line([(0.5 + side * 0.08, 0.37), (0.5 + side * 0.25, 0.37 + hand)], 0.07, skin)
    if rng.random() < 0.4:
        pen.polygon([(0.42, 0.32), (0.58, 0.32), (0.7, 0.75), (0.3, 0.75)], top)
    else:
        pen.box(0.37, 0.31, 0.63, 0.63, top)
    pen.disc(0.5, 0.18, 0.14, 0.15, skin)
    pen.disc(0.5, 0.15, 0.15, 0.13, colour(rng, (0.0, 0.14), (0.2, 0.9), (0.1, 0.8)), (180, 360))
