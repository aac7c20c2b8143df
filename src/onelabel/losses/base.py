"""What every loss module shares: checks without host synchronisation, weights, reduction."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from onelabel.io.errors import OneLabelError

Reduction = Literal["mean", "sum", "none"]


class Loss(nn.Module):
    """Base of all losses: a per-entry function, a weight per entry, a reduction.

    A subclass stores its parameters as public attributes and writes :meth:`entries`; one that adds a term
    over the whole batch writes :meth:`batch_term`, one with a schedule :meth:`start_epoch`.

    Args:
        reduction: ``"mean"`` is the sum over all entries divided by (images × classes), always, whatever is
            known and whatever the weights; ``"sum"``; ``"none"`` gives (images, classes).
        eps: constant inside the logarithms, ``-log(p + eps)``; 0 is exact, the released codes use 1e-5 or
            1e-7.

    Raises:
        OneLabelError: unknown reduction or negative ``eps``.
    """

    def __init__(self, reduction: Reduction = "mean", eps: float = 0.0) -> None:
        super().__init__()
        if reduction not in get_args(Reduction):
            raise OneLabelError(f"reduction {reduction!r} is none of {', '.join(get_args(Reduction))}")
        require(eps=(eps, 0.0, 1.0))
        self.reduction = reduction
        self.eps = eps

    def entries(self, *args: Any, **kwargs: Any) -> Tensor:
        """The loss of each entry, (images, classes): ``entries(logits, labels, **inputs)``."""
        raise NotImplementedError

    def batch_term(self, *_args: Any, **_kwargs: Any) -> Tensor | None:
        """A scalar over the whole batch that is added to the mean; called as :meth:`entries` is."""
        return None

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Move schedules to ``epoch`` (counted from 1) of ``epochs``; nothing without a schedule."""

    def forward(
        self, logits: Tensor, labels: Tensor, weight: Tensor | None = None, **inputs: Tensor
    ) -> Tensor:
        """The reduced loss.

        Args:
            logits: (images, classes), any floating type; computed in float32 unless float64 is given.
            labels: (images, classes), signed integers: +1 present, 0 unknown, -1 absent.
            weight: factor of each entry's loss, broadcast to (images, classes); terms over the batch have
                none.
            inputs: what the loss needs beside these, by name, such as ``pseudo``.

        Returns:
            A scalar, or (images, classes) with ``reduction="none"``, whose mean is the mean loss.

        Raises:
            OneLabelError: shapes or types that do not fit. Values are not looked at, for that would make the
                host wait for the device.
        """
        entries = self.entries(logits, labels, **inputs)
        if weight is not None:
            check_weight(weight, logits)
            entries = entries * weight
        term = self.batch_term(logits, labels, **inputs)
        return reduce(entries, term, self.reduction)

    def extra_repr(self) -> str:
        shown = {
            key: value for key, value in vars(self).items() if not key.startswith("_") and key != "training"
        }
        return ", ".join(f"{key}={value!r}" for key, value in shown.items())


def reduce(entries: Tensor, term: Tensor | None, reduction: str) -> Tensor:
    """Reduce entries so that ``mean`` = ``sum`` / (images × classes) = mean of ``none``, term included."""
    if reduction == "none":
        return entries if term is None else entries + term
    if reduction == "sum":
        return entries.sum() if term is None else entries.sum() + entries.numel() * term
    mean = entries.mean()
    return mean if term is None else mean + term


def prepare(logits: Tensor, labels: Tensor, *others: Tensor) -> Tensor:
    """Check shapes and types, and return the logits in float32 (float64 stays), also under autocast.

    ``others`` are label tensors too, such as pseudo-labels.

    Raises:
        OneLabelError: logits that are not (images, classes) floating point, or labels of another shape, or
            not of a signed integer type (bool and unsigned types cannot say -1, floats hide soft labels).

    Example:
        >>> prepare(torch.zeros(2, 3), torch.zeros(2, 3))
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: labels are torch.float32; give int8: +1 present, 0 unknown, -1
        absent
    """
    if logits.dim() != 2 or not logits.is_floating_point():
        raise OneLabelError(
            f"logits are {logits.dtype} of shape {tuple(logits.shape)}; give floating point (images, classes)"
        )
    for tensor in (labels, *others):
        if tensor.shape != logits.shape:
            raise OneLabelError(
                f"labels of shape {tuple(tensor.shape)} do not fit logits of shape {tuple(logits.shape)}"
            )
        if tensor.dtype not in (torch.int8, torch.int16, torch.int32, torch.int64):
            raise OneLabelError(f"labels are {tensor.dtype}; give int8: +1 present, 0 unknown, -1 absent")
    return in_float32(logits)


def in_float32(values: Tensor) -> Tensor:
    """Half precision to float32; float32 and float64 as they are."""
    return values if values.dtype in (torch.float32, torch.float64) else values.float()


def check_weight(weight: Tensor, logits: Tensor) -> None:
    """Refuse a weight that does not broadcast to the shape of the logits."""
    sizes = zip(reversed(weight.shape), reversed(logits.shape), strict=False)
    if weight.dim() > logits.dim() or any(given not in (1, wanted) for given, wanted in sizes):
        raise OneLabelError(
            f"weight of shape {tuple(weight.shape)} does not fit logits of shape {tuple(logits.shape)}"
        )


def require(**bounds: tuple[float, float, float]) -> None:
    """Check parameters: ``require(alpha=(value, low, high))``, bounds included.

    Raises:
        OneLabelError: a value out of its bounds, or not a number.

    Example:
        >>> require(rho=(1.5, 0.0, 1.0))
        Traceback (most recent call last):
        onelabel.io.errors.OneLabelError: rho is 1.5; it must lie between 0.0 and 1.0
    """
    for name, (value, low, high) in bounds.items():
        if not low <= value <= high:
            raise OneLabelError(f"{name} is {value}; it must lie between {low} and {high}")
