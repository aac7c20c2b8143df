"""Large loss with permanent correction, as a method: the flipped labels are remembered."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from onelabel.losses.base import Reduction
from onelabel.losses.ll import LLCp
from onelabel.methods.base import Batch, Context, Method, require_scalar, require_state


class LLCpMethod(Method):
    """LL-Cp: :func:`~onelabel.losses.ll.ll_cp`, with flipped entries present for good from the next epoch on.

    From epoch 2 on, the ``K = ceil(B·C·Δ/100)`` largest assumed-negative losses of each global batch of B
    images are corrected, and remembered. Each image is seen once in an epoch, so that "from the next epoch
    on" is "at once"; it is also what the released code does, whose loader workers see the change when the
    next epoch forks them.

    Memory: 8 bytes per flipped entry, sorted keys ``row · C + class``; at most about ``8·(T-1)·N·C·Δ/100``
    bytes after T epochs, 0.072·N·C for T = 10 and Δ = 0.1. The flips of a batch are looked up on the CPU,
    once per batch: their number is not known beforehand when losses tie, so a device has to be waited for;
    the labels and losses of a batch, B × C numbers, are best kept on the CPU altogether.

    Source: Kim et al. (2022), https://arxiv.org/abs/2206.03740; code snucml/LargeLossMatters (5025d16).
    Published: Δ = 0.1 on VOC, 0.2 on COCO, NUS-WIDE and CUB (authors, issue 4 of that repository). There the
    entries strictly above the K-th largest loss become permanent, K - 1 of them without ties:
    ``as_released``; here all that were corrected do. Since July 2022 that code takes a path on which LL-Cp is
    LL-Ct; this is the earlier LL-Cp.

    Args:
        delta: Δ, per cent of all entries corrected in a batch.
        as_released: see above.
        eps: constant inside the logarithms.
        reduction: "mean" or "sum".

    Raises:
        OneLabelError: a parameter out of range.

    Example:
        >>> from onelabel.labels.table import LabelTable
        >>> table = LabelTable.from_dense(["a", "b"], ["cat", "dog"], [[1, 0], [0, 1]])
        >>> method = LLCpMethod(delta=25)
        >>> method.start(Context(table, epochs=3))
        >>> method.start_epoch(2)
        >>> labels = torch.tensor([[1, 0], [0, 1]], dtype=torch.int8)
        >>> method.loss(Batch(torch.arange(2), labels, torch.tensor([[2.0, 1.0], [-1.0, 2.0]])))
        tensor(0.2201)
        >>> method.state()["flipped"]
        tensor([1])
    """

    def __init__(
        self,
        delta: float = 0.1,
        as_released: bool = False,
        eps: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.criterion = LLCp(delta, as_released, eps, reduction)
        require_scalar(self.criterion)

    def start(self, context: Context) -> None:
        self.epochs, self.classes = context.epochs, context.table.num_classes
        self.flipped = torch.empty(0, dtype=torch.int64)
        self.fresh: list[Tensor] = []

    def start_epoch(self, epoch: int) -> None:
        self.criterion.start_epoch(epoch, self.epochs)
        self.flipped, self.fresh = self._all(), []

    def loss(self, batch: Batch) -> Tensor:
        batch = batch.kept()
        keys = batch.index.cpu()[:, None] * self.classes + torch.arange(self.classes)
        flipped = _contains(self.flipped, keys).to(batch.labels.device)
        labels = torch.where(flipped & (batch.labels == 0), 1, batch.labels).to(batch.labels.dtype)
        self.fresh.append(keys[self.criterion.flips(batch.logits, labels).cpu()])
        value: Tensor = self.criterion(batch.logits, labels, batch.weight)
        return value

    def state(self) -> dict[str, Tensor]:
        return {"flipped": self._all()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        require_state(state, {"flipped": (-1,)})
        self.flipped, self.fresh = state["flipped"].clone(), []

    def _all(self) -> Tensor:
        keys: Tensor = torch.unique(torch.cat([self.flipped, *self.fresh]))
        return keys


def _contains(ordered: Tensor, keys: Tensor) -> Tensor:
    """Whether each of ``keys`` is in ``ordered``, ascending (M,); shaped as ``keys``."""
    if not len(ordered):
        return torch.zeros_like(keys, dtype=torch.bool)
    place = torch.searchsorted(ordered, keys).clamp(max=len(ordered) - 1)
    return ordered[place] == keys
