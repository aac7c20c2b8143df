"""Large loss: rejection (LL-R), temporary (LL-Ct) and permanent (LL-Cp) correction of the largest losses."""

from __future__ import annotations

from torch import Tensor

from onelabel.losses.base import Loss, Reduction, prepare, require
from onelabel.losses.large_loss import clean_rate, large_losses
from onelabel.losses.slopes import joined, total
from onelabel.losses.terms import as_float, assumed, complement, neg_log


def ll_r(
    logits: Tensor, labels: Tensor, *, fraction: float = 0.0, as_released: bool = False, eps: float = 0.0
) -> Tensor:
    """Large loss rejection (LL-R): assume negative, without the unknown entries of largest loss.

    ``large: 0``, else ``+1: -log p``, ``0 and -1: -log(1-p)``; large as in
    :func:`~onelabel.losses.large_loss.large_losses`.

    Source: Kim et al. (2022), https://arxiv.org/abs/2206.03740, `compute_batch_loss`. ``fraction`` is
    ``1 - clean_rate(epoch, delta)``, 0 in epoch 1.

    Args:
        logits: (images, classes).
        labels: (images, classes), +1 present, 0 unknown, -1 absent.
        fraction: share of all entries to reject.
        as_released: as in :func:`~onelabel.losses.large_loss.large_losses`.
        eps: constant inside the logarithms.

    Returns:
        (images, classes).

    Raises:
        OneLabelError: shapes or types that do not fit.

    Example:
        >>> import torch
        >>> labels = torch.tensor([[1, 0, 0]], dtype=torch.int8)
        >>> ll_r(torch.tensor([[0.0, 1.0, 0.0]]), labels, fraction=0.1)
        tensor([[0.6931, 0.0000, 0.6931]])
    """
    large = large_losses(logits, labels, fraction=fraction, as_released=as_released)
    logits = prepare(logits, labels)
    sign = assumed(labels, logits)
    return total(logits, (complement(as_float(large, logits)), neg_log(logits, sign, eps)))


def ll_ct(
    logits: Tensor, labels: Tensor, *, fraction: float = 0.0, as_released: bool = False, eps: float = 0.0
) -> Tensor:
    """Large loss correction, temporary (LL-Ct): as :func:`ll_r`, but a large loss gets the other target.

    Source, arguments and errors as :func:`ll_r`.

    Example:
        >>> import torch
        >>> labels = torch.tensor([[1, 0, 0]], dtype=torch.int8)
        >>> ll_ct(torch.tensor([[0.0, 1.0, 0.0]]), labels, fraction=0.1)
        tensor([[0.6931, 0.3133, 0.6931]])
    """
    large = large_losses(logits, labels, fraction=fraction, as_released=as_released)
    logits = prepare(logits, labels)
    sign = assumed(labels, logits)
    return joined(logits, neg_log(logits, sign * (1.0 - 2.0 * as_float(large, logits)), eps))


def ll_cp(
    logits: Tensor, labels: Tensor, *, fraction: float = 0.0, as_released: bool = False, eps: float = 0.0
) -> Tensor:
    """Large loss correction, permanent (LL-Cp): the entries of :func:`ll_ct`; who trains keeps the flips.

    ``fraction`` is ``delta / 100`` from epoch 2 on. The entries of
    :func:`~onelabel.losses.large_loss.large_losses` become +1 for good, with ``strict=True`` as released.
    Since July 2022 the released code takes a path on which LL-Cp is LL-Ct.

    Source, arguments and errors as :func:`ll_r`.

    Example:
        >>> import torch
        >>> labels = torch.tensor([[1, 0, 0]], dtype=torch.int8)
        >>> ll_cp(torch.tensor([[0.0, 1.0, 0.0]]), labels, fraction=0.1)
        tensor([[0.6931, 0.3133, 0.6931]])
    """
    return ll_ct(logits, labels, fraction=fraction, as_released=as_released, eps=eps)


class LLR(Loss):
    """Module of :func:`ll_r`; ``fraction`` follows :func:`clean_rate` through :meth:`start_epoch`.

    Until the first call it is as in epoch 1, plain assume negative.

    Args:
        delta: Δ, per cent of all entries of a batch that are given up in addition in each epoch. The authors
            name, in issue 4 of their repository, 0.2 on VOC and 0.4 elsewhere for LL-R; 0.2 on VOC, COCO and
            NUS-WIDE and 0.4 on CUB for LL-Ct.
        as_released: as in :func:`~onelabel.losses.large_loss.large_losses`: where K is larger than the number
            of unknown entries, known ones are altered too.
        eps: constant inside the logarithms.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """

    def __init__(
        self,
        delta: float = 0.2,
        as_released: bool = False,
        eps: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction, eps)
        require(delta=(delta, 0.0, 100.0))
        self.delta, self.as_released = delta, as_released
        self.fraction = 0.0

    def start_epoch(self, epoch: int, epochs: int) -> None:
        del epochs
        self.fraction = 1.0 - clean_rate(epoch, self.delta)

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ll_r(logits, labels, fraction=self.fraction, as_released=self.as_released, eps=self.eps)


class LLCt(LLR):
    """Module of :func:`ll_ct`; see :class:`LLR`."""

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ll_ct(logits, labels, fraction=self.fraction, as_released=self.as_released, eps=self.eps)


class LLCp(LLR):
    """Module of :func:`ll_cp`, ``fraction = delta / 100`` from epoch 2 on; :meth:`flips` are for the caller
    to keep.

    Args:
        delta: Δ, per cent of all entries of a batch that are corrected; 0.1 on VOC, 0.2 elsewhere.
        as_released: what becomes permanent is strictly above the K-th largest loss; and as for :class:`LLR`.
        eps: constant inside the logarithms.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """

    def __init__(
        self,
        delta: float = 0.1,
        as_released: bool = False,
        eps: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(delta, as_released, eps, reduction)

    def start_epoch(self, epoch: int, epochs: int) -> None:
        del epochs
        self.fraction = self.delta / 100 if epoch > 1 else 0.0

    def flips(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The entries that become +1 for good: (images, classes) bool."""
        return large_losses(
            logits, labels, fraction=self.fraction, strict=self.as_released, as_released=self.as_released
        )

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ll_cp(logits, labels, fraction=self.fraction, as_released=self.as_released, eps=self.eps)
