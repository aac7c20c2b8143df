"""House, car and boat."""

from __future__ import annotations

from random import Random

from onelabel.demo.drawing.pen import INK, Colour, Pen, colour, shade

_PANE: Colour = (190, 225, 240)


def house(pen: Pen, rng: Random) -> None:
    """Walls, a pointed or flat-topped roof, a door, windows and sometimes a chimney."""
    wall = colour(rng, (0.0, 1.0), (0.1, 0.6), (0.6, 1.0))
    roof = colour(rng, (0.95, 1.1) if rng.random() < 0.6 else (0.0, 1.0), (0.4, 0.9), (0.3, 0.75))
    eaves, peak = rng.uniform(0.4, 0.5), rng.uniform(0.05, 0.16)
    flat = rng.choice((0.0, 0.0, 0.15))
    if rng.random() < 0.5:
        pen.box(0.68, 0.08, 0.79, eaves, shade(roof, 0.8))
    pen.box(0.12, eaves, 0.88, 0.97, wall)
    pen.polygon([(0.03, eaves), (0.5 - flat, peak), (0.5 + flat, peak), (0.97, eaves)], roof)
    door = rng.choice((0.2, 0.43, 0.62))
    pen.box(door, 0.66, door + 0.16, 0.97, colour(rng, (0.0, 1.0), (0.3, 0.9), (0.25, 0.6)))
    for x in (0.2, 0.43, 0.64):
        if x - door > 0.1 or door - x > 0.1:
            pen.box(x, 0.58, x + 0.15, 0.74, _PANE if rng.random() < 0.8 else (250, 225, 120))


def car(pen: Pen, rng: Random) -> None:
    """A saloon or a van on two wheels."""
    body = colour(rng, (0.0, 1.0), (0.2, 0.95), (0.35, 1.0))
    if rng.random() < 0.65:
        roof = [(0.2, 0.48), (0.32, 0.27), (0.66, 0.27), (0.82, 0.48)]
        panes = [
            [(0.27, 0.47), (0.35, 0.32), (0.48, 0.32), (0.48, 0.47)],
            [(0.52, 0.47), (0.52, 0.32), (0.64, 0.32), (0.74, 0.47)],
        ]
    else:
        roof = [(0.04, 0.48), (0.04, 0.2), (0.76, 0.2), (0.88, 0.48)]
        panes = [
            [(0.12, 0.46), (0.12, 0.28), (0.42, 0.28), (0.42, 0.46)],
            [(0.5, 0.46), (0.5, 0.28), (0.73, 0.28), (0.81, 0.46)],
        ]
    pen.polygon(roof, body)
    pen.polygon([(0.03, 0.48), (0.93, 0.48), (0.98, 0.56), (0.98, 0.7), (0.03, 0.7)], body)
    for pane in panes:
        pen.polygon(pane, _PANE)
    pen.box(0.92, 0.53, 0.98, 0.6, (255, 240, 150))
    for x in (0.25, 0.76):
        pen.disc(x, 0.7, 0.12, 0.12, INK)
        pen.disc(x, 0.7, 0.05, 0.05, (180, 180, 185))


def boat(pen: Pen, rng: Random) -> None:
    """A hull with one or two sails, or a steamer with a funnel."""
    hull = colour(rng, (0.0, 1.0), (0.3, 0.9), (0.25, 0.8))
    if rng.random() < 0.65:
        _sails(pen, rng)
    else:
        _funnel(pen, rng)
    depth = rng.uniform(0.16, 0.24)
    pen.polygon([(0.03, 0.68), (0.97, 0.68), (0.82, 0.68 + depth), (0.18, 0.68 + depth)], hull)
    pen.line([(0.05, 0.7), (0.95, 0.7)], 0.03, shade(hull, 1.3))


def _sails(pen: Pen, rng: Random) -> None:
    sail = colour(rng, (0.0, 1.0), (0.0, 0.5), (0.8, 1.0))
    pen.line([(0.48, 0.05), (0.48, 0.7)], 0.035, (90, 65, 45))
    pen.polygon([(0.52, 0.08), (0.52, 0.62), (rng.uniform(0.8, 0.92), 0.62)], sail)
    if rng.random() < 0.6:
        pen.polygon([(0.44, 0.16), (0.44, 0.62), (rng.uniform(0.12, 0.22), 0.62)], shade(sail, 0.88))


def _funnel(pen: Pen, rng: Random) -> None:
    cabin, funnel = colour(rng, (0.0, 1.0), (0.0, 0.2), (0.8, 1.0)), colour(rng)
    x = rng.uniform(0.38, 0.55)
    pen.box(x, 0.2, x + 0.14, 0.5, funnel)
    pen.box(x, 0.2, x + 0.14, 0.27, INK)
    pen.box(0.24, 0.46, 0.78, 0.69, cabin)
    for window in (0.34, 0.5, 0.66):
        pen.disc(window, 0.57, 0.045, 0.045, (70, 120, 160))
