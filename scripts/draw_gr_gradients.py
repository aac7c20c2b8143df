"""Draw docs/pictures/gr-gradients.png: ``python scripts/draw_gr_gradients.py``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from onelabel.losses import functional as F
from onelabel.losses.gr_parts import gr_schedule

TARGET = Path(__file__).parents[1] / "docs" / "pictures" / "gr-gradients.png"
POINTS, EPOCHS = 401, 8
SMALL, COCO = (0.0, 2.0, -2.0, -2.0), (0.0, 10.0, -2.0, -8.0)
WEIGHT = (0.5, 2.0, 0.8, 0.5)
# Colours that colour-blind eyes tell apart; dashes say the same without colour.
BLACK, ORANGE, BLUE = (40, 40, 40), (213, 94, 0), (0, 114, 178)
GREEN, PINK, GOLD, GREY = (0, 140, 105), (190, 90, 150), (200, 140, 0), (150, 150, 150)
SCALE = 2  # drawn larger, then reduced: smooth lines

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Curve:
    """A loss of an unknown entry, and how its line looks; ``dash`` is (drawn, left out) in pixels."""

    label: str
    loss: Loss
    colour: tuple[int, int, int]
    dash: tuple[int, int] = (1, 0)


def gr_at(epoch: int, beta: tuple[float, float, float, float]) -> Loss:
    state = gr_schedule(epoch, EPOCHS, beta=beta, alpha=WEIGHT)
    return lambda logits, labels: F.gr(logits, labels, **state._asdict())


EARLIER = (
    Curve("an", F.an, BLACK),
    Curve("an-ls, smoothing 0.1", F.an_ls, GREY, (10, 5)),
    Curve("focal, gamma 2", F.focal, GOLD, (4, 4)),
    Curve("hill", F.hill, GREEN),
    Curve("splc, tau 0.6", F.splc, PINK, (14, 4)),
    Curve("em, alpha 0.2", lambda logits, labels: F.em(logits, labels, alpha=0.2), BLUE),
)
LATER = (
    Curve("an", F.an, GREY, (10, 5)),
    Curve("gr, epoch 1 of 8", gr_at(1, SMALL), GOLD),
    Curve("gr, epoch 4", gr_at(4, SMALL), ORANGE),
    Curve("gr, epoch 8", gr_at(8, SMALL), BLACK),
    Curve("gr, epoch 4, w to 10, b to -8", gr_at(4, COCO), BLUE, (4, 4)),
    Curve("gr, epoch 8, w to 10, b to -8", gr_at(8, COCO), BLUE),
)


@dataclass(frozen=True)
class Panel:
    """A title, curves, where the panel begins, and its range: ``first``, ``last`` in units of ``step``."""

    title: str
    curves: tuple[Curve, ...]
    left: int
    first: int
    last: int
    step: float

    def place(self, p: float, value: float) -> tuple[float, float]:
        """Return where a point lies in the large picture."""
        share = (self.last - value / self.step) / (self.last - self.first)
        return (self.left + LEFT + p * PLOT_WIDTH) * SCALE, (TOP + share * PLOT_HEIGHT) * SCALE


def slope(loss: Loss) -> tuple[list[float], list[float]]:
    """Return p and the derivative in the logit of the loss of an unknown entry."""
    p = torch.linspace(0.001, 0.999, POINTS, dtype=torch.float64)
    logits = torch.logit(p)[:, None].requires_grad_()
    entries = loss(logits, torch.zeros(POINTS, 1, dtype=torch.int8))
    (gradient,) = torch.autograd.grad(entries.sum(), logits)
    return p.tolist(), gradient[:, 0].tolist()


WIDTH, PLOT_HEIGHT, LEFT, TOP, LEGEND = 560, 380, 64, 44, 104
PLOT_WIDTH = WIDTH - LEFT - 20
HEIGHT = TOP + PLOT_HEIGHT + 54 + LEGEND


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * SCALE)


EARLIER_PANEL = Panel(
    "Losses before GR: derivative in the logit", EARLIER, left=0, first=-1, last=6, step=0.2
)
LATER_PANEL = Panel(
    "GR: derivative in the logit, on another scale", LATER, left=WIDTH, first=-3, last=5, step=0.05
)


def draw_axes(draw: ImageDraw.ImageDraw, panel: Panel) -> None:
    for tick in range(panel.first, panel.last + 1):
        (x, y), end = panel.place(0.0, tick * panel.step), panel.place(1.0, tick * panel.step)
        draw.line([(x, y), end], fill=(225, 225, 225) if tick else BLACK, width=SCALE)
        value = f"{tick * panel.step:.2f}"
        draw.text((x - 8 * SCALE, y), value, fill=BLACK, font=font(13), anchor="rm")
    bottom = panel.first * panel.step
    for tick in range(0, 11, 2):
        x, y = panel.place(tick / 10, bottom)
        draw.line([(x, y), (x, y + 5 * SCALE)], fill=BLACK, width=SCALE)
        draw.text((x, y + 8 * SCALE), f"{tick / 10:.1f}", fill=BLACK, font=font(13), anchor="ma")
    draw.text(((panel.left + LEFT) * SCALE, 12 * SCALE), panel.title, fill=BLACK, font=font(16))
    x, y = panel.place(0.5, bottom)
    below = "predicted probability p of an unknown label"
    draw.text((x, y + 28 * SCALE), below, fill=BLACK, font=font(13), anchor="ma")


def draw_dashed(
    draw: ImageDraw.ImageDraw, points: Sequence[tuple[float, float]], curve: Curve, width: float
) -> None:
    drawn, gap = (part * SCALE for part in curve.dash)
    travelled = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if gap == 0 or travelled % (drawn + gap) < drawn:
            draw.line([(x0, y0), (x1, y1)], fill=curve.colour, width=round(width * SCALE))
        travelled += ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5


def draw_panel(draw: ImageDraw.ImageDraw, panel: Panel) -> None:
    draw_axes(draw, panel)
    for row, curve in enumerate(panel.curves):
        points = [panel.place(*point) for point in zip(*slope(curve.loss), strict=True)]
        draw_dashed(draw, [(x, y) for x, y in points if y >= TOP * SCALE], curve, 2.5)
        x = (panel.left + LEFT + row % 2 * PLOT_WIDTH / 2) * SCALE
        y = (TOP + PLOT_HEIGHT + 66 + row // 2 * 28) * SCALE
        sample = [(x + step * SCALE, y) for step in range(0, 41, 2)]
        draw_dashed(draw, sample, curve, 2.5)
        draw.text((x + 48 * SCALE, y), curve.label, fill=BLACK, font=font(13), anchor="lm")


def picture() -> Image.Image:
    """Return the picture."""
    image = Image.new("RGB", (2 * WIDTH * SCALE, HEIGHT * SCALE), "white")
    draw = ImageDraw.Draw(image)
    for panel in (EARLIER_PANEL, LATER_PANEL):
        draw_panel(draw, panel)
    return image.resize((2 * WIDTH, HEIGHT), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    picture().save(TARGET, optimize=True)
