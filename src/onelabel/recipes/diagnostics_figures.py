"""The three figures of the diagnostics, after Figures 3 to 5 of Chen et al. (2024)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onelabel.recipes.diagnostics_draw import save_figure
from onelabel.recipes.diagnostics_k import KEstimate, chance_missing
from onelabel.recipes.diagnostics_missing import MissingLabels
from onelabel.report.draw import BLUE, GREEN, INK, ORANGE
from onelabel.report.text import shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAME = 28
_SHOWN = 60


def draw_diagnostics(folder: Path, found: MissingLabels, k: KEstimate | None) -> list[Path]:
    """Write the three figures into a folder; return the files.

    Args:
        folder: where to.
        found: the numbers.
        k: the estimate of the run's loss, or None.

    Raises:
        OneLabelError: the extra ``report`` is not installed.
    """
    rows = min(len(found.class_ids), _SHOWN)
    return [
        *save_figure(folder / "separation", lambda figure: separation(figure, found), (5.2, 3.8)),
        *save_figure(
            folder / "missing-per-class", lambda figure: per_class(figure, found), (5.2, 1.0 + 0.2 * rows)
        ),
        *save_figure(folder / "share-missing", lambda figure: share_missing(figure, found, k), (5.2, 3.8)),
    ]


def separation(figure: Figure, found: MissingLabels) -> None:
    """Draw the distributions of both, one above the other: the true negatives are far more."""
    upper, lower = figure.subplots(2, 1, sharex=True)
    parts = (
        (upper, found.missing_counts, GREEN, "missing positives", found.missing_quantiles),
        (lower, found.absent_counts, ORANGE, "true negatives", found.absent_quantiles),
    )
    for axes, counts, colour, name, quantiles in parts:
        axes.stairs(counts, found.edges, fill=True, color=colour, label=f"{counts.sum():,} {name}")
        axes.axvline(quantiles[2], color=INK, linestyle=":", linewidth=1, label=f"median {quantiles[2]:.2f}")
        axes.set_ylabel("entries")
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8, borderaxespad=0.2)
    lower.set(xlabel="predicted probability", xlim=(0, 1))


def per_class(figure: Figure, found: MissingLabels) -> None:
    """Draw how many positives of each class are missing, most first, beside those that were observed."""
    order = np.argsort(-found.missing, kind="stable")[:_SHOWN]
    axes, rows = figure.subplots(), np.arange(len(order))
    axes.barh(rows, found.missing[order], height=0.65, color=GREEN, label="missing positives")
    axes.barh(
        rows, found.observed[order], left=found.missing[order], height=0.65, color=BLUE, hatch="////",
        edgecolor="white", label="observed positives",
    )  # fmt: skip
    axes.set_yticks(rows, [shorten(found.class_ids[c], _NAME) for c in order])
    axes.set_ylim(len(order) - 0.4, -0.6)
    more = len(found.class_ids) - len(order)
    axes.set_xlabel("images" + (f" (and {more} classes with fewer missing)" if more else ""))
    axes.grid(axis="x")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8, borderaxespad=0.2)


def share_missing(figure: Figure, found: MissingLabels, k: KEstimate | None) -> None:
    """Draw FN / (FN + TN) in each bin, K of the loss, and the curve if positives are observed at random."""
    axes, middles = figure.subplots(), (found.edges[:-1] + found.edges[1:]) / 2
    line = np.linspace(0, 1, 201)
    axes.plot(middles, found.share_missing, "o", markersize=3, color=BLUE, label="FN / (FN + TN)")
    if k is not None:
        label = f"K = sigmoid({k.w:.3g} p {k.b:+.3g}), {k.source}"
        axes.plot(line, k.curve(line), color=ORANGE, label=label)
    if np.isfinite(found.observed_share):
        label = f"observed at random, {found.observed_share:.0%} of positives"
        axes.plot(line, chance_missing(line, found.observed_share), "--", color=GREEN, label=label)
    axes.set(
        xlabel="predicted probability", ylabel="share of missing positives", xlim=(0, 1), ylim=(-0.02, 1.02)
    )
    axes.grid()
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=1, fontsize=8, borderaxespad=0.2)
