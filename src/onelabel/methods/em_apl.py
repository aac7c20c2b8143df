"""Entropy maximisation with asymmetric pseudo-labels, as a method: soft negatives at the end of epochs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.losses.apl import apl_counts, apl_select
from onelabel.losses.base import Reduction, require
from onelabel.losses.em_apl import EMAPL
from onelabel.methods.base import Batch, Context, Method, ScoreAll, require_scalar, require_state

UNLABELLED = -1.0


class EMAPLMethod(Method):
    """EM + APL: :func:`~onelabel.losses.em_apl.em_apl`, with soft labels written at the end of epochs.

    After each epoch e ≥ T_w every class takes those of its unknown entries that have no soft label yet and
    the lowest probabilities, ``int(θ u / (T - T_w))`` of them with u the unknown entries at the start; their
    probabilities are their soft labels from then on. The soft labels of epoch T are never trained on. An
    observed label is never touched, and rows that are not scored are left alone.

    Memory: one float32 per image and class, 4·N·C bytes; while labels are chosen, 7·N·C more.

    Source: Zhou et al. (2022), https://arxiv.org/abs/2203.16219; code Correr-Zhou/SPML-AckTheUnknown
    (ae1ccaf), `aysmmetric_pseudo_labeling`. Published with T = 10 epochs, θ = 0.9 and eps = 1e-5:

    ========  =====  =====  =====
    data set  α      β      T_w
    ========  =====  =====  =====
    VOC       0.2    0.02   5
    COCO      0.1    0.9    5
    NUS-WIDE  0.1    0.2    4
    CUB       0.01   0.4    3
    ========  =====  =====  =====

    Deviations: the released code scores the training images as they are augmented in training, and an entry
    with a probability of exactly 0 stays unknown there; ``as_released`` does both. It labels nothing at all
    in a run with a single batch per epoch; ours does. It stops early; here that is the training loop's
    affair.

    Args:
        alpha: weight of the entropy.
        beta: weight of soft labels.
        neg_proportion: θ, share of the unknown entries that get a soft label by the end.
        warmup_epoch: T_w, from 0 and less than the number of epochs; None for half of them.
        as_released: see above.
        eps: constant inside the logarithms.
        reduction: "mean" or "sum".

    Raises:
        OneLabelError: a parameter out of range.

    Example:
        >>> table = LabelTable.from_dense(["a", "b"], ["cat", "dog"], [[1, 0], [0, 1]])
        >>> method = EMAPLMethod(neg_proportion=1.0)
        >>> method.start(Context(table, epochs=1))
        >>> method.end_epoch(lambda view: [(torch.arange(2), torch.tensor([[0.9, 0.1], [0.2, 0.8]]))])
        >>> method.state()["soft"]
        tensor([[-1.0000,  0.1000],
                [ 0.2000, -1.0000]])
    """

    def __init__(
        self,
        alpha: float = 0.1,
        beta: float = 0.9,
        neg_proportion: float = 0.9,
        warmup_epoch: int | None = None,
        as_released: bool = False,
        eps: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.criterion = EMAPL(alpha, beta, eps, reduction)
        require_scalar(self.criterion)
        require(neg_proportion=(neg_proportion, 0.0, 1.0), warmup_epoch=(warmup_epoch or 0, 0, float("inf")))
        self.neg_proportion, self.warmup_epoch, self.as_released = neg_proportion, warmup_epoch, as_released
        self.epoch = 0

    def start(self, context: Context) -> None:
        warmup = context.epochs // 2 if self.warmup_epoch is None else self.warmup_epoch
        if warmup >= context.epochs:
            raise OneLabelError(
                f"em-apl writes its first soft labels after epoch {warmup} and the run has {context.epochs}: "
                "lower warmup_epoch or train longer"
            )
        self.table: LabelTable = context.table
        self.first = warmup
        unknown = torch.from_numpy(context.table.counts().unknown)
        self.counts = apl_counts(
            unknown, proportion=self.neg_proportion, epochs=context.epochs, warmup=warmup
        )
        shape = len(context.table), context.table.num_classes
        self.soft = torch.full(shape, UNLABELLED, dtype=torch.float32, device=context.device)

    def start_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def loss(self, batch: Batch) -> Tensor:
        batch = batch.kept()
        soft = self.soft[batch.index.to(self.soft.device)].to(batch.logits.device)
        value: Tensor = self.criterion(batch.logits, batch.labels, batch.weight, soft=soft)
        return value

    def end_epoch(self, score_all: ScoreAll) -> None:
        if self.epoch < self.first:
            return
        probs = torch.full(self.soft.shape, torch.nan)
        for index, chunk in score_all("train" if self.as_released else "eval"):
            probs[index.cpu()] = chunk.detach().float().cpu()
        soft = self.soft.cpu()
        chosen = apl_select(probs, self._candidates(probs, soft), self.counts)
        if self.as_released:
            chosen &= probs > 0.0
        self.soft = torch.where(chosen, probs, soft).to(self.soft.device)

    def _candidates(self, probs: Tensor, soft: Tensor) -> Tensor:
        """The scored entries that are unknown and have no soft label."""
        labels = torch.from_numpy(self.table.rows(np.arange(len(self.table))))
        return (labels == 0) & (soft < 0.0) & ~probs.isnan()

    def state(self) -> dict[str, Tensor]:
        return {"soft": self.soft.clone()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        require_state(state, {"soft": tuple(self.soft.shape)})
        self.soft.copy_(state["soft"])
