"""What a loss must do, checked by value, gradient and the operators it runs.

Example:
    >>> from onelabel import losses
    >>> check_loss(losses.create("an"))
"""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from onelabel.losses.base import Loss

Maker = Callable[[int, int], Tensor]

SATURATED = 40.0  # a logit at which p is 1 to the last bit, also in float64
LARGEST = 100.0  # |logit| up to which value and gradient are finite
REMEDY = (
    "write it in logits: terms.probability(logits, eps) for p (not sigmoid), logsigmoid(logits) for log p, "
    "logsigmoid(-logits) for log(1 - p) (not log)"
)
MEASURABLE = 1e-9  # share of the largest derivative below which float32 may lose one


class NoHostSync(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses operators that make the host wait for the device: sizes or values that depend on data.

    Example:
        >>> with NoHostSync():
        ...     torch.ones(2).nonzero()
        Traceback (most recent call last):
        AssertionError: aten.nonzero.default makes the host wait for the device
    """

    REFUSED = ("nonzero", "_local_scalar_dense", "masked_select", "unique", "equal", "is_nonzero")

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = func._schema.name.removeprefix("aten::")
        by_mask = name.startswith("index") and any(_is_mask(part) for part in _flat(args))
        if name in self.REFUSED or by_mask:
            raise AssertionError(f"{func} makes the host wait for the device")
        return func(*args, **(kwargs or {}))


def _flat(args: Sequence[Any]) -> list[Any]:
    """The arguments, with lists of tensors taken apart."""
    return [part for arg in args for part in (arg if isinstance(arg, list | tuple) else [arg])]


def _is_mask(part: Any) -> bool:
    return isinstance(part, Tensor) and part.dtype in (torch.bool, torch.uint8)


@dataclass(frozen=True)
class Batch:
    """Logits, labels and whatever else a loss takes."""

    logits: Tensor
    labels: Tensor
    inputs: dict[str, Tensor]

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(change(self.logits), change(self.labels), {k: change(v) for k, v in self.inputs.items()})

    def with_logits(self, logits: Tensor) -> Batch:
        return Batch(logits, self.labels, self.inputs)

    def tensors(self) -> list[Tensor]:
        return [self.logits, self.labels, *self.inputs.values()]


def check_loss(loss: Loss, *, inputs: Mapping[str, Maker] | None = None) -> None:
    """Check that a loss keeps the promises of :class:`~onelabel.losses.base.Loss`.

    Value and gradient are finite for ``|logit| ≤ 100`` in float32 and in half precision under autocast, and
    computed in float32; a confident mistake on a known label (logit ±40) has the slope of the formula, and no
    derivative is lost by rounding; known labels push to their side; rows without labels, one image, one class
    and complete labels work; permuted images and classes permute the result; the reductions agree and weights
    apply entry by entry; inputs and grad mode stay as they were; the result is the same twice, after
    ``deepcopy`` and after pickling; the host never waits for the device.

    Args:
        loss: the module to check; it is copied, not changed.
        inputs: how to make inputs of ``entries`` other than ``pseudo``, ``soft`` and ``estimator_logits``:
            name to ``make(images, classes)``.

    Raises:
        AssertionError: a promise is broken; the message says which.

    Example:
        >>> from onelabel import losses
        >>> check_loss(losses.create("gpr"))
    """
    makers = {**MAKERS, **(inputs or {})}
    names = list(inspect.signature(loss.entries).parameters)[2:]
    unknown = [name for name in names if name not in makers]
    assert not unknown, f"give inputs={{{unknown[0]!r}: make(images, classes)}}" if unknown else ""

    def make(images: int, classes: int) -> Batch:
        logits, labels = _distinct_logits(images, classes), _labels(images, classes)
        return Batch(logits, labels, {name: makers[name](images, classes) for name in names})

    for check in CHECKS:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            check(copy.deepcopy(loss), make)


def _distinct_logits(images: int, classes: int) -> Tensor:
    count = images * classes
    return torch.linspace(-6.0, 6.0, count)[torch.randperm(count)].reshape(images, classes)


def _labels(images: int, classes: int) -> Tensor:
    """Mostly unknown; of each row the first class is present and the last absent."""
    labels = (torch.randint(-5, 6, (images, classes)) / 5).trunc().to(torch.int8)
    labels[:, -1] = -1
    labels[:, 0] = 1
    return labels


def _soft(images: int, classes: int) -> Tensor:
    return torch.where(torch.rand(images, classes) < 0.5, -1.0, torch.rand(images, classes))


MAKERS: dict[str, Maker] = {
    "pseudo": _labels,
    "soft": _soft,
    "estimator_logits": lambda images, classes: torch.randn(images, classes),
}
Make = Callable[[int, int], Batch]


def run_loss(loss: Loss, batch: Batch, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Value and gradient; the value is summed where it is not a scalar."""
    logits = batch.logits.detach().clone().requires_grad_()
    value = loss(logits, batch.labels, weight, **batch.inputs)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    return value.detach(), gradient


def _with_reduction(loss: Loss, reduction: Any) -> Loss:
    loss = copy.deepcopy(loss)
    loss.reduction = reduction
    return loss


def _finite(loss: Loss, make: Make) -> None:
    batch = make(8, 6)
    wide = batch.with_logits(batch.logits / 6.0 * LARGEST)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        rounded = wide.with_logits(wide.logits.to(dtype))
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            value, gradient = run_loss(loss, rounded)
        assert torch.isfinite(value).all(), f"the value is not finite in {dtype}"
        assert torch.isfinite(gradient).all(), f"the gradient is not finite in {dtype}"
        assert value.dtype == torch.float32, f"the value is computed in {value.dtype}, not in float32"
        same, _ = run_loss(loss, rounded.with_logits(rounded.logits.float()))
        assert torch.equal(value, same), f"the value in {dtype} is not that of the same logits in float32"


def _slope_of_mistakes(loss: Loss, make: Make) -> None:
    """The derivative in float32 against the slope of the value in float64."""
    batch, step = make(2, 5), 1e-3
    for column, logit in ((0, -SATURATED), (-1, SATURATED)):
        logits = batch.logits.clone()
        logits[0, column] = logit
        _, gradient = run_loss(loss, batch.with_logits(logits))
        ends = [logits.double(), logits.double()]
        ends[0][0, column] -= step
        ends[1][0, column] += step
        low, high = (run_loss(loss, batch.with_logits(end))[0].sum() for end in ends)
        wanted, found = float(high - low) / (2 * step), float(gradient[0, column])
        assert abs(found - wanted) <= 1e-3 * abs(wanted) + 1e-7, (
            f"the derivative at logit {logit} of a label that says the opposite is {found:.3g}; "
            f"the slope of the value there is {wanted:.3g}"
        )


def _no_lost_derivative(loss: Loss, make: Make) -> None:
    batch = make(16, 12)
    for width in (6.0, 20.0, LARGEST):
        logits = batch.logits / 6.0 * width
        _, single = run_loss(loss, batch.with_logits(logits))
        _, double = run_loss(loss, batch.with_logits(logits.double()))
        matters = double.abs() > MEASURABLE * double.abs().max()
        error = (single.double() - double).abs()
        lost = matters & (error > 0.01 * double.abs())
        assert not lost.any(), (
            f"derivative lost in float32 at logits {logits[lost][:3].tolist()}: "
            f"{single[lost][:3].tolist()} in place of {double[lost][:3].tolist()}; {REMEDY}"
        )


def _no_cut_derivative(loss: Loss, make: Make) -> None:
    """Not even a small probability is cut off: float64 still tells 30 from infinity."""
    batch = make(2, 5)
    for size in (10.0, 20.0, 30.0):
        logits = batch.logits.double()
        logits[:, 0], logits[:, -1] = -size, size
        _, gradient = run_loss(loss, batch.with_logits(logits))
        assert (gradient[:, [0, -1]] != 0).all(), f"a mistake at logit ±{size} has a derivative of exactly 0"


def _known_labels_push(loss: Loss, make: Make) -> None:
    batch = make(3, 4)
    _, gradient = run_loss(loss, batch.with_logits(torch.zeros(3, 4)))
    assert (gradient[:, 0] < 0).all(), "a label +1 does not push its logit up"
    assert (gradient[:, -1] > 0).all(), "a label -1 does not push its logit down"


def _corner_cases(loss: Loss, make: Make) -> None:
    full = make(4, 5)
    nothing = torch.zeros_like(full.labels)
    one_row = full.labels.clone()
    one_row[0] = 0
    all_known = torch.where(full.labels == 0, -1, full.labels).to(torch.int8)
    cases = {
        "nothing known": Batch(full.logits, nothing, full.inputs),
        "a row with nothing known": Batch(full.logits, one_row, full.inputs),
        "every entry known": Batch(full.logits, all_known, full.inputs),
        "a batch of one": make(1, 5),
        "one class": make(4, 1),
        "one image and one class": make(1, 1),
    }
    for name, batch in cases.items():
        value, gradient = run_loss(loss, batch)
        assert torch.isfinite(value).all() and torch.isfinite(gradient).all(), f"{name}: not finite"


def _permutations(loss: Loss, make: Make) -> None:
    loss, batch = _with_reduction(loss, "none"), make(6, 7)
    value, gradient = run_loss(loss, batch)
    rows, columns = torch.randperm(6), torch.randperm(7)
    moved = batch.map(lambda tensor: tensor[rows][:, columns])
    for name, found, wanted in zip(
        ("value", "gradient"), run_loss(loss, moved), (value, gradient), strict=True
    ):
        assert torch.allclose(found, wanted[rows][:, columns], rtol=1e-5, atol=1e-6), (
            f"permuting images and classes does not permute the {name}"
        )


def _reductions(loss: Loss, make: Make) -> None:
    batch = make(3, 5)
    value = {how: run_loss(_with_reduction(loss, how), batch)[0] for how in ("none", "mean", "sum")}
    assert value["none"].shape == batch.logits.shape, f'reduction="none" gives {tuple(value["none"].shape)}'
    assert torch.allclose(value["mean"], value["none"].mean(), rtol=1e-4, atol=1e-6), (
        "mean is not that of none"
    )
    assert torch.allclose(value["sum"], value["none"].sum(), rtol=1e-4, atol=1e-5), "sum is not that of none"


def _weights(loss: Loss, make: Make) -> None:
    loss, batch = _with_reduction(loss, "none"), make(3, 5)
    plain, _ = run_loss(loss, batch)
    nothing, _ = run_loss(loss, batch, torch.zeros_like(batch.logits))
    weight = torch.rand_like(batch.logits)
    found, _ = run_loss(loss, batch, weight)
    wanted = nothing + weight * (plain - nothing)
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-5), (
        "a weight does not scale the loss of its entry"
    )
    spread = (nothing - nothing.flatten()[0]).abs().max()
    assert spread == 0, "entries of weight 0 still have a loss of their own"


def _nothing_changed(loss: Loss, make: Make) -> None:
    batch = make(4, 5)
    before, state = [tensor.clone() for tensor in batch.tensors()], repr(loss)
    first, _ = run_loss(loss, batch)
    with torch.no_grad():
        silent = loss(batch.logits.requires_grad_(), batch.labels, **batch.inputs)
        assert not torch.is_grad_enabled(), "grad mode was switched on inside no_grad"
    batch.logits.requires_grad_(False)
    assert torch.is_grad_enabled(), "grad mode was switched off"
    assert not silent.requires_grad, "the loss has a gradient inside no_grad"
    second, _ = run_loss(loss, batch)
    assert torch.equal(first, second), "the result is not the same twice"
    assert all(map(torch.equal, before, batch.tensors())), "an input was changed in place"
    assert repr(loss) == state, "the module changed"


def _copies(loss: Loss, make: Make) -> None:
    batch = make(4, 5)
    value, _ = run_loss(loss, batch)
    again = copy.deepcopy(loss)
    again.load_state_dict(pickle.loads(pickle.dumps(loss.state_dict())))
    for name, other in (("deepcopy", again), ("pickle", pickle.loads(pickle.dumps(loss)))):
        assert torch.equal(run_loss(other, batch)[0], value), f"another result after {name}"
    assert type(loss).__name__ in repr(loss), "repr does not name the class"


def _no_host_sync(loss: Loss, make: Make) -> None:
    batch = make(4, 5)
    with NoHostSync():  # type: ignore[no-untyped-call]
        run_loss(loss, batch)
    value, gradient = run_loss(loss, batch.map(lambda tensor: tensor.to("meta")))
    assert value.is_meta and gradient.shape == batch.logits.shape


CHECKS = (
    _finite,
    _slope_of_mistakes,
    _no_cut_derivative,
    _no_lost_derivative,
    _known_labels_push,
    _corner_cases,
    _permutations,
    _reductions,
    _weights,
    _nothing_changed,
    _copies,
    _no_host_sync,
)
