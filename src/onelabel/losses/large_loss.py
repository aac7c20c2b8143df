"""Which losses are the large ones: the parts of LL-R, LL-Ct and LL-Cp that look at the whole batch.

Source: Kim et al. (2022), https://arxiv.org/abs/2206.03740, code snucml/LargeLossMatters (5025d16).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from onelabel.losses.base import prepare
from onelabel.losses.terms import as_float, complement

FAR = 1e30  # puts the logit of a known entry below all others; finite, for 0 times infinity is not a number


def clean_rate(epoch: int, delta: float) -> float:
    """Share of entries left as they are in ``epoch``, counted from 1: 1, then ``delta`` per cent less each
    epoch.

    By repeated subtraction, as released, because the number of entries is rounded up from it.

    Example:
        >>> clean_rate(1, 0.2), clean_rate(3, 0.2)
        (1.0, 0.996)
    """
    rate = 1.0
    for _ in range(epoch - 1):
        rate -= delta / 100
    return rate


def large_loss_count(entries: int, fraction: float) -> int:
    """K: ``fraction`` of all entries of the batch, known ones counted too, rounded up as released.

    Example:
        >>> large_loss_count(16 * 20, 0.002)
        1
    """
    return min(math.ceil(entries * fraction), entries)


def large_loss_threshold(losses: Tensor, count: int) -> Tensor:
    """The ``count``-th largest loss of the whole batch, a scalar that stays on its device.

    Example:
        >>> large_loss_threshold(torch.tensor([[3.0, 1.0], [2.0, 0.0]]), 2)
        tensor(2.)
    """
    return losses.flatten().topk(count, sorted=True).values[-1]


def large_losses(
    logits: Tensor, labels: Tensor, *, fraction: float, strict: bool = False, as_released: bool = False
) -> Tensor:
    """The unknown entries whose assumed-negative loss is among the K largest of the batch.

    K = :func:`large_loss_count`. Over several processes, give the gathered batch.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        fraction: share of all entries to choose; 0 for none.
        strict: only those strictly above the K-th largest (K - 1 of them without ties), which is what the
            released LL-Cp makes permanent; else at or above it.
        as_released: where K is larger than the number of unknown entries, the released code alters known
            entries as well; by default they are never touched.

    Returns:
        (images, classes) bool.

    Example:
        >>> labels = torch.tensor([[1, 0, 0, 0]], dtype=torch.int8)
        >>> large_losses(torch.tensor([[9.0, 3.0, 1.0, 2.0]]), labels, fraction=0.5)
        tensor([[False,  True, False,  True]])
    """
    logits = prepare(logits, labels).detach()
    known = as_float(labels, logits).abs()
    count = large_loss_count(logits.numel(), fraction)
    if count == 0:
        return torch.zeros_like(labels, dtype=torch.bool)
    if as_released:
        losses = complement(known) * (logits - F.logsigmoid(logits))
        threshold = large_loss_threshold(losses, count)
    else:  # the loss of "absent" rises with the logit, which is not rounded
        losses = torch.sub(logits, known, alpha=FAR)
        threshold = large_loss_threshold(losses, count).clamp(min=-FAR / 2)
    return losses > threshold if strict else losses >= threshold
