"""Which entries asymmetric pseudo-labelling labels at the end of an epoch."""

from __future__ import annotations

import torch
from torch import Tensor


def apl_counts(unknown: Tensor, *, proportion: float = 0.9, epochs: int, warmup: int) -> Tensor:
    """How many entries of each class get a soft label in each epoch from ``warmup`` on.

    ``n = int(proportion · u / (epochs - warmup))``, u being the unknown entries of the class at the start.

    Source: Zhou et al. (2022), https://arxiv.org/abs/2203.16219, `aysmmetric_pseudo_labeling`; proportion
    0.9, warmup 5 (NUS-WIDE 4, CUB 3) of 10 epochs.

    Args:
        unknown: (classes,) integers, u.
        proportion: share of the unknown entries to label by the end.
        epochs: length of the training.
        warmup: first epoch, counted from 1, at whose end entries are labelled; less than ``epochs``.

    Returns:
        (classes,) int64.

    Example:
        >>> apl_counts(torch.tensor([100, 7]), epochs=10, warmup=5).tolist()
        [18, 1]
    """
    return (proportion * unknown.double() / (epochs - warmup)).to(torch.int64)


def apl_select(probs: Tensor, unknown: Tensor, counts: Tensor) -> Tensor:
    """The entries to label now: of each class the ``counts`` unknown images with the lowest probability.

    Equal probabilities are taken in the order of the images, so the result does not depend on how they were
    visited (the released code sorts them unstably). Needs the memory of one class at a time.

    Args:
        probs: (images, classes).
        unknown: (images, classes) bool, entries that may be labelled.
        counts: (classes,) from :func:`apl_counts`; a class with fewer unknown entries is labelled completely.

    Returns:
        (images, classes) bool.

    Example:
        >>> probs = torch.tensor([[0.3], [0.1], [0.2]])
        >>> apl_select(probs, torch.tensor([[True], [True], [True]]), torch.tensor([2])).tolist()
        [[False], [True], [True]]
    """
    chosen = torch.zeros_like(unknown)
    for column, count in enumerate(counts.tolist()):
        candidates = unknown[:, column].nonzero().squeeze(1)
        order = probs[candidates, column].argsort(stable=True)
        chosen[candidates[order[:count]], column] = True
    return chosen
