"""Adam on a large matrix of which a step's gradient has a few rows: the published, dense kind."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from onelabel.methods.base import require_state

BETAS = 0.9, 0.999
EPS = 1e-8
_CELLS_AT_ONCE = 1 << 20


class DenseAdam:
    """Adam with the result of ``torch.optim.Adam`` on a dense gradient that is 0 in all rows but a few.

    Rows without gradient move too, by what is left of their mean gradient; a sparse ("lazy") Adam, which
    leaves them alone, is another algorithm. The dense gradient is never made: the memory is that of values,
    mean and square, 12 bytes per element in float32.

    Args:
        values: (N, C), taken over and changed in place.
        lr: learning rate.

    Example:
        >>> adam = DenseAdam(torch.zeros(3, 1), lr=0.1)
        >>> adam.step(torch.tensor([1]), torch.tensor([[2.0]]))
        >>> adam.values.flatten()
        tensor([ 0.0000, -0.1000,  0.0000])
        >>> adam.step(torch.tensor([2]), torch.tensor([[-2.0]]))
        >>> adam.values.flatten()
        tensor([ 0.0000, -0.1670,  0.0744])
    """

    def __init__(self, values: Tensor, lr: float) -> None:
        self.values, self.lr = values, lr
        self.restart()

    def restart(self) -> None:
        """Forget the gradients so far."""
        self.mean = torch.zeros_like(self.values)
        self.square = torch.zeros_like(self.values)
        self.steps = 0

    @torch.no_grad()
    def step(self, index: Tensor, gradient: Tensor) -> None:
        """Take one step.

        Args:
            index: (B,) int64, rows that have a gradient; a row that is named twice has the sum.
            gradient: (B, C).
        """
        self.steps += 1
        same = (index[:, None] == index).to(gradient.dtype)
        gradient = same @ gradient
        for moment, beta, new in zip(
            (self.mean, self.square), BETAS, (gradient, gradient.square()), strict=True
        ):
            moment.mul_(beta)
            # A row that is named twice is written twice with one value, not added to twice.
            moment[index] = moment[index] + (1.0 - beta) * new
        self._move()

    def _move(self) -> None:
        """Move all rows, some at a time: what a step needs beside the state stays small."""
        corrections = [1.0 - beta**self.steps for beta in BETAS]
        rows = max(1, _CELLS_AT_ONCE // max(1, self.values.shape[1]))
        for values, mean, square in zip(
            *(torch.split(tensor, rows) for tensor in (self.values, self.mean, self.square)), strict=True
        ):
            scale = square.sqrt().div_(corrections[1] ** 0.5).add_(EPS)
            values.addcdiv_(mean, scale, value=-self.lr / corrections[0])

    def state(self) -> dict[str, Tensor]:
        """Return a copy of values, moments and number of steps."""
        return {
            "values": self.values.clone(),
            "mean": self.mean.clone(),
            "square": self.square.clone(),
            "steps": torch.tensor(self.steps),
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what :meth:`state` returned.

        Raises:
            OneLabelError: the state does not fit.
        """
        shape = tuple(self.values.shape)
        require_state(state, {"values": shape, "mean": shape, "square": shape, "steps": ()})
        for name in ("values", "mean", "square"):
            getattr(self, name).copy_(state[name])
        self.steps = int(state["steps"])
