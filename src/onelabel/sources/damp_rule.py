"""DAMP, the pseudo-labels of AEVLP: from the scores of all views of an image to its pseudo-labels."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from onelabel.io.errors import OneLabelError

Bottom = Literal["absent", "unknown"]


def damp_scores(scores: Tensor, labels: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """Combine the scores of the whole image and of its tiles.

    With S⁰ the scores of the whole image, a, b and m the largest, smallest and mean score of a class over the
    tiles, and η = min(largest S⁰ over the observed positives, η₀), which is 0 for an image without any:
    A = a where a > η, else b. The positive score is ½(S⁰ + A), the negative score ½(S⁰ + m).

    Source: Tran et al. (2025), https://arxiv.org/abs/2508.20381; ``get_pseudo_labels`` in ``utils.py`` of
    https://github.com/Fsoft-AIC/AEVLP (0bad82a).

    Args:
        scores: (B, V, C) in [0, 1], the whole image first; V at least 2.
        labels: (B, C), +1 observed present, 0 unknown, -1 observed absent.
        eta: η₀, from 0 to 1; with 0 it is always the largest tile.

    Returns:
        Positive scores (B, C) and negative scores (B, C).

    Raises:
        OneLabelError: there are no tiles.

    Example:
        >>> scores = torch.tensor([[[0.6, 0.4], [0.9, 0.1], [0.7, 0.3]]])
        >>> damp_scores(scores, torch.tensor([[1, 0]]), eta=0.5)
        (tensor([[0.7500, 0.2500]]), tensor([[0.7000, 0.3000]]))
    """
    if scores.shape[1] < 2:
        raise OneLabelError(
            "DAMP compares the whole image with tiles and the store has the whole image alone: embed again "
            "with --views grid:4"
        )
    whole, tiles = scores[:, 0], scores[:, 1:]
    smallest, largest = tiles.amin(dim=1), tiles.amax(dim=1)
    known = torch.where(labels == 1, whole, torch.zeros_like(whole)).amax(dim=1, keepdim=True)
    tile = torch.where(largest > known.clamp(max=eta), largest, smallest)
    return (whole + tile) / 2, (whole + tiles.mean(dim=1)) / 2


def damp_labels(
    positive: Tensor,
    negative: Tensor,
    *,
    threshold: float = 0.5,
    top_k: int | None = None,
    negatives: float = 0.0,
    bottom: Bottom = "absent",
    erase: bool = False,
) -> Tensor:
    """Decide pseudo-labels from the two scores of :func:`damp_scores`.

    +1 for classes of the κ largest positive scores that are at least θ. The ⌊ν·C⌋ classes of smallest
    negative score become -1 (``bottom="absent"``, the paper) or 0 (``"unknown"``, the released code);
    a positive among them stays (``erase=False``) or is overwritten (True: the paper's figure and the code).
    Of equal scores the earlier class comes first.

    Source: as :func:`damp_scores`.

    Args:
        positive: (B, C).
        negative: (B, C).
        threshold: θ, above 0 and at most 1; inclusive.
        top_k: κ, 1 or more; None for all classes.
        negatives: ν, from 0 to 1.
        bottom: what the classes of smallest negative score become.
        erase: whether they lose a positive pseudo-label.

    Returns:
        (B, C) int8.

    Example:
        >>> positive, negative = torch.tensor([[0.9, 0.6, 0.1]]), torch.tensor([[0.8, 0.1, 0.2]])
        >>> damp_labels(positive, negative, top_k=2, negatives=0.67).tolist()
        [[1, 1, -1]]
        >>> damp_labels(positive, negative, top_k=2, negatives=0.67, bottom="unknown", erase=True).tolist()
        [[1, 0, 0]]
    """
    check_settings(threshold, top_k, negatives, bottom)
    classes = positive.shape[1]
    pseudo = (positive >= threshold).to(torch.int8)
    if top_k is not None and top_k < classes:
        last = torch.argsort(positive, dim=1, descending=True, stable=True)[:, top_k:]
        pseudo = pseudo.scatter(1, last, 0)
    count = int(negatives * classes)
    if not count:
        return pseudo
    lowest = torch.argsort(negative, dim=1, stable=True)[:, :count]
    low = torch.zeros_like(pseudo).scatter(1, lowest, 1)
    marked = -low if bottom == "absent" else torch.zeros_like(low)
    return torch.where((low == 1) & ((pseudo == 0) | erase), marked, pseudo)


def check_settings(threshold: float, top_k: int | None, negatives: float, bottom: str) -> None:
    """Check the ranges of the settings of :func:`damp_labels`.

    Raises:
        OneLabelError: names the setting and its range.
    """
    if not 0 < threshold <= 1:
        raise OneLabelError(f"threshold must be above 0 and at most 1, not {threshold}")
    if top_k is not None and top_k < 1:
        raise OneLabelError(f"top_k must be 1 or more, not {top_k}")
    if not 0 <= negatives <= 1:
        raise OneLabelError(f"the share of negatives must be from 0 to 1, not {negatives}")
    if bottom not in ("absent", "unknown"):
        raise OneLabelError(f"bottom must be absent or unknown, not {bottom!r}")
