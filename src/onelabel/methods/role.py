"""Regularised online label estimation, as a method: the estimator and its optimiser."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.losses.base import Reduction, in_float32, require
from onelabel.losses.role import ROLE, role_initial_logits, role_logits_of
from onelabel.methods.base import Batch, Context, Method, require_linear, require_scalar
from onelabel.methods.dense_adam import DenseAdam
from onelabel.methods.expected import expected_positives

BYTES = 12  # values and two moments, float32
_ROWS_AT_ONCE = 4096


class ROLEMethod(Method):
    """ROLE: :func:`~onelabel.losses.role.role`, with one free logit per image and class as label estimator.

    The estimator starts as :func:`~onelabel.losses.role.role_initial_logits`, with random numbers of the
    run's seed, and is trained by an Adam of its own (:class:`~onelabel.methods.dense_adam.DenseAdam`: in each
    step every row moves, also those of images that are not in the batch) at ``lr_multiplier`` times the
    learning rate of the run. Its step is made inside :meth:`loss`, from the values before the step, for the
    classifier and for itself: the two together are one step of a joint optimiser, as published.

    Memory: 12·N·C bytes for N images and C classes, refused at :meth:`start` where it is more than
    ``max_gigabytes``. Every step reads and writes all of it.

    Source: Cole et al. (2021), https://arxiv.org/abs/2106.09708; code elijahcole/single-positive-multi-label
    (89152d5), `loss_role`, `LabelEstimator`. Published with eps = 1e-5 and the expected number of positives
    1.5 (VOC), 2.9 (COCO), 1.9 (NUS-WIDE), 31.4 (CUB).

    Args:
        expected: expected number of positives per image; by default that of the run,
            ``--expected-positives``.
        lr_multiplier: of the estimator's learning rate, 10 as published.
        max_gigabytes: largest state, in 10⁹ bytes.
        eps: constant inside the logarithms.
        reduction: "mean" or "sum".

    Raises:
        OneLabelError: a parameter out of range.

    Example:
        >>> table = LabelTable.from_dense(["a", "b"], ["cat", "dog"], [[1, 0], [0, 1]])
        >>> method = ROLEMethod(expected=1.0)
        >>> method.start(Context(table, epochs=1, learning_rate=0.01))
        >>> labels, logits = torch.tensor([[1, 0]], dtype=torch.int8), torch.zeros(1, 2, requires_grad=True)
        >>> before = method.estimates()
        >>> method.loss(Batch(torch.tensor([0]), labels, logits)).backward()
        >>> (method.estimates() - before).ne(0)
        tensor([[ True,  True],
                [False, False]])
    """

    def __init__(
        self,
        expected: float | None = None,
        lr_multiplier: float = 10.0,
        max_gigabytes: float = 16.0,
        eps: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        self.criterion = ROLE(expected or 0.0, eps, reduction)
        require_scalar(self.criterion)
        inf = float("inf")
        require(lr_multiplier=(lr_multiplier, 0.0, inf), max_gigabytes=(max_gigabytes, 0.0, inf))
        self.expected, self.lr_multiplier, self.max_gigabytes = expected, lr_multiplier, max_gigabytes

    def start(self, context: Context) -> None:
        expected = expected_positives(self.expected, context)
        assert expected is not None
        self.criterion.expected = expected
        _require_room(len(context.table), context.table.num_classes, self.max_gigabytes)
        logits = initial_logits(context.table, context.seed)
        self.adam = DenseAdam(logits.to(context.device), context.learning_rate * self.lr_multiplier)

    def estimates(self) -> Tensor:
        """Return the estimated probabilities of all images, (N, C) float32, by row of the training table."""
        return torch.sigmoid(self.adam.values)

    def loss(self, batch: Batch) -> Tensor:
        batch = batch.kept()
        index = batch.index.to(self.adam.values.device)
        rows = self.adam.values[index].to(batch.logits.device, in_float32(batch.logits).dtype)
        # Neither side's gradient passes through the other: two evaluations are two halves of one.
        value: Tensor = self.criterion(batch.logits, batch.labels, batch.weight, estimator_logits=rows)
        taught = rows.clone().requires_grad_()
        other = self.criterion(batch.logits.detach(), batch.labels, batch.weight, estimator_logits=taught)
        (gradient,) = torch.autograd.grad(other, taught)
        self.adam.step(index, gradient.to(self.adam.values))
        return value

    def state(self) -> dict[str, Tensor]:
        return self.adam.state()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self.adam.load_state(state)


class ROLELinearInitMethod(ROLEMethod):
    """ROLE + LinearInit: the head alone first, then everything, the estimates carried over.

    Between the phases the estimator starts again from its own probabilities, kept 1e-5 from 0 and 1
    (:func:`~onelabel.losses.role.role_logits_of`), and its Adam from nothing. Two ways to run it:

    * one run: the first ``linear_epochs`` are the linear phase, in which the training loop leaves the
      backbone as it is;
    * two runs, as published: a run of ``role`` on cached features, whose :meth:`~ROLEMethod.estimates` the
      second run gets as ``Context.estimates``, along with the weights of its head; the second run has no
      linear phase.

    Source and memory as :class:`ROLEMethod`. Published: 25 epochs on features of a frozen ResNet-50 with
    learning rate 1e-3 and batches of 16 (CUB: 8), the epoch with the best validation mAP; then 10 epochs end
    to end. With one learning rate for both phases and the last epoch of the first, one run is an
    approximation of that.

    Args:
        linear_epochs: length of the linear phase of one run; None for 5/7 of the run, the published share.
        expected: as for :class:`ROLEMethod`, like those that follow.
        lr_multiplier: of the estimator's learning rate.
        max_gigabytes: largest state.
        eps: constant inside the logarithms.
        reduction: "mean" or "sum".

    Raises:
        OneLabelError: a parameter out of range.

    Example:
        >>> table = LabelTable.from_dense(["a", "b"], ["cat", "dog"], [[1, 0], [0, 1]])
        >>> method = ROLELinearInitMethod(expected=1.0)
        >>> method.start(Context(table, epochs=35))
        >>> method.linear_epochs
        25
        >>> method.start(Context(table, epochs=10, estimates=torch.tensor([[1.0, 0.3], [0.2, 0.9]])))
        >>> method.linear_epochs, method.estimates()
        (0, tensor([[1.0000, 0.3000], [0.2000, 0.9000]]))
    """

    def __init__(
        self,
        linear_epochs: int | None = None,
        expected: float | None = None,
        lr_multiplier: float = 10.0,
        max_gigabytes: float = 16.0,
        eps: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(expected, lr_multiplier, max_gigabytes, eps, reduction)
        require(linear_epochs=(linear_epochs or 0, 0, float("inf")))
        self.asked, self._linear = linear_epochs, 0

    @property
    def linear_epochs(self) -> int:
        """Length of the linear phase; 0 where an earlier run was it."""
        return self._linear

    def start(self, context: Context) -> None:
        super().start(context)
        if context.estimates is not None:
            self._linear = 0
            self._carry(context.estimates)
            return
        self._linear = context.epochs * 5 // 7 if self.asked is None else self.asked
        require_linear(self._linear, context.epochs)

    def start_epoch(self, epoch: int) -> None:
        if epoch == self._linear + 1 and epoch > 1:
            self._carry(self.estimates())

    def _carry(self, estimates: Tensor) -> None:
        if estimates.shape != self.adam.values.shape:
            raise OneLabelError(
                f"the estimates of the earlier run have shape {tuple(estimates.shape)}, this run needs "
                f"{tuple(self.adam.values.shape)}, (images, classes): start from a run on the same images"
            )
        self.adam.values.copy_(role_logits_of(estimates))
        self.adam.restart()


def initial_logits(table: LabelTable, seed: int) -> Tensor:
    """Return the logits (N, C) that the estimator starts from, with the random numbers of ``seed``.

    Example:
        >>> table = LabelTable.from_dense(["a"], ["cat", "dog"], [[1, -1]])
        >>> initial_logits(table, seed=0)
        tensor([[ 5.2933, -5.2933]])
    """
    logits = torch.rand(len(table), table.num_classes, generator=torch.Generator().manual_seed(seed))
    for start in range(0, len(table), _ROWS_AT_ONCE):
        rows = np.arange(start, min(start + _ROWS_AT_ONCE, len(table)))
        logits[rows] = role_initial_logits(torch.from_numpy(table.rows(rows)), logits[rows])
    return logits


def _require_room(images: int, classes: int, gigabytes: float) -> None:
    """Refuse a state that is too large, before it is allocated.

    Raises:
        OneLabelError: names the size.
    """
    size = BYTES * images * classes / 1e9
    if size > gigabytes:
        raise OneLabelError(
            f"role keeps {BYTES} bytes per image and class: {size:.1f} GB for {images} images and {classes} "
            f"classes, more than max_gigabytes = {gigabytes:g}; raise it, or take a method without such state"
        )
