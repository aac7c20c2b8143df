"""What a method must do, checked by training a small head with it.

Example:
    >>> from onelabel.methods.registry import create
    >>> check_method(lambda: create("em-apl"))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.methods.base import Batch, Context, Method

IMAGES, CLASSES, DIM, EPOCHS, RATE = 20, 5, 4, 4, 0.5
LARGEST = 100.0  # |logit| up to which value and gradient are finite

Create = Callable[[], Method]
State = dict[str, Tensor]
Rows = Sequence[Tensor]


@dataclass(frozen=True)
class Problem:
    """A training set in which the features of an image tell its classes.

    Args:
        table: one known positive per image, and a few known negatives.
        features: (N, D).
        pseudo: (N, C) int8, mostly right.
        facts: further fields of the context.
    """

    table: LabelTable
    features: Tensor
    pseudo: Tensor
    facts: Mapping[str, Any]

    def context(self) -> Context:
        given: dict[str, Any] = {"expected_positives": 2.0, "learning_rate": 0.01} | dict(self.facts)
        return Context(self.table, EPOCHS, **given)

    def batch(self, rows: Tensor, logits: Tensor) -> Batch:
        labels = torch.from_numpy(self.table.rows(rows.numpy()))
        pseudo = self.pseudo[rows]
        score = torch.full(pseudo.shape, 0.5)
        mirrored = torch.zeros(len(rows), dtype=torch.bool)
        return Batch(rows, labels, logits, mirrored, None, None, pseudo, score, self.features[rows])


def check_method(create: Create, *, order_free: bool = True, **facts: Any) -> None:
    """Check that a method keeps the promises of :class:`~onelabel.methods.base.Method`.

    The loss is a finite scalar in float32 with a finite gradient, also for half-precision logits up to ±100;
    inputs stay as they were; two runs are equal; per-image state goes by row: the order of the images in a
    batch does not matter, nor padding, nor rows that are left out; the order of the batches does not matter
    as long as the scores stay; a run that is saved after any epoch and continued by a fresh method gives the
    same numbers to the last bit; a saved state is a copy, is refused where it does not belong, and is neither
    parameter nor buffer.

    Args:
        create: makes the method, fresh, with the same parameters each time.
        order_free: False for a method that takes a step with each batch, such as ``role``: the published
            result depends on the order of the batches then, and this is not checked.
        facts: fields of :class:`~onelabel.methods.base.Context`, such as ``expected_positives``.

    Raises:
        AssertionError: a promise is broken; the message says which.

    Example:
        >>> from onelabel.methods.registry import create
        >>> check_method(partial(create, "role"), order_free=False, expected_positives=1.5)
    """
    problem = _problem(facts)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        for check in (*CHECKS, *([_order_of_batches] if order_free else [])):
            torch.manual_seed(0)
            check(create, problem)


def _problem(facts: Mapping[str, Any]) -> Problem:
    draw = torch.Generator().manual_seed(7)
    features = torch.randn(IMAGES, DIM, generator=draw)
    truth = features @ torch.randn(DIM, CLASSES, generator=draw)
    labels = torch.zeros(IMAGES, CLASSES, dtype=torch.int8)
    labels[torch.arange(IMAGES), truth.argmax(dim=1)] = 1
    labels[::6, :] = torch.where(truth[::6] < -1.0, -1, labels[::6]).to(torch.int8)
    noisy = truth + 0.3 * torch.randn(truth.shape, generator=draw)
    pseudo = (noisy > 0.7).to(torch.int8) - (noisy < -1.5).to(torch.int8)
    pseudo = torch.where(labels == 0, pseudo, 0).to(torch.int8)
    ids, names = [f"{row}.jpg" for row in range(IMAGES)], [f"c{column}" for column in range(CLASSES)]
    return Problem(LabelTable.from_dense(ids, names, labels.numpy()), features, pseudo, facts)


class _Run:
    """A head trained by gradient descent; with ``rate`` 0 its scores stay."""

    def __init__(self, create: Create, problem: Problem, rate: float = RATE) -> None:
        self.method, self.problem, self.rate = create(), problem, rate
        self.weight = 0.3 * torch.randn(DIM, CLASSES, generator=torch.Generator().manual_seed(5))
        self.method.start(problem.context())

    def epoch(self, number: int, batches: Rows, pad: int = 0) -> list[float]:
        """Train one epoch; return the loss of each batch."""
        self.method.start_epoch(number)
        losses = [self.step(rows, pad) for rows in batches]
        self.method.end_epoch(partial(self.scores, batches))
        return losses

    def step(self, rows: Tensor, pad: int = 0) -> float:
        """Train on one batch, to which ``pad`` rows without meaning are added."""
        valid = torch.arange(len(rows) + pad) < len(rows) if pad else None
        rows = torch.cat([rows, rows.new_zeros(pad)])
        weight = self.weight.clone().requires_grad_()
        batch = replace(self.problem.batch(rows, self.problem.features[rows] @ weight), valid=valid)
        value = _loss(self.method, batch)
        (gradient,) = torch.autograd.grad(value, weight)
        self.weight = self.weight - self.rate * gradient
        return float(value.detach())

    def scores(self, batches: Rows, view: str) -> Iterator[tuple[Tensor, Tensor]]:
        """``score_all`` of :meth:`Method.end_epoch`."""
        assert view in ("eval", "train"), f"scores asked for with view {view!r}"
        for rows in batches:
            yield rows, torch.sigmoid(self.problem.features[rows] @ self.weight)


def _loss(method: Method, batch: Batch) -> Tensor:
    """Compute the loss, and check what must hold for any batch."""
    given = {field.name: getattr(batch, field.name) for field in fields(batch)}
    before = {name: tensor.detach().clone() for name, tensor in given.items() if tensor is not None}
    value = method.loss(batch)
    changed = [name for name, tensor in before.items() if not torch.equal(tensor, given[name].detach())]
    assert not changed, f"the loss changes its inputs: {', '.join(changed)}"
    assert torch.is_grad_enabled(), "the loss leaves gradients switched off"
    assert value.shape == (), f"the loss has shape {tuple(value.shape)}; it must be a scalar"
    assert value.dtype == torch.float32, f"the loss of {batch.logits.dtype} is computed in {value.dtype}"
    assert torch.isfinite(value), f"the loss of {batch.logits.dtype} is not finite"
    assert value.requires_grad, "the loss has no gradient"
    return value


def _batches(rows: Tensor | None = None, size: int = 6) -> Rows:
    everything = torch.randperm(IMAGES, generator=torch.Generator().manual_seed(2))
    return torch.split(everything if rows is None else rows, size)


def _train(create: Create, problem: Problem, batches: Rows, pad: int = 0) -> tuple[list[float], State]:
    run = _Run(create, problem)
    losses = [loss for epoch in range(1, EPOCHS + 1) for loss in run.epoch(epoch, batches, pad)]
    return losses, run.method.state()


def _require_same(found: tuple[list[float], State], wanted: tuple[list[float], State], what: str) -> None:
    _require_close(torch.tensor(found[0]), torch.tensor(wanted[0]), f"{what} changes the loss")
    assert found[1].keys() == wanted[1].keys(), f"{what} changes the names of the state"
    for name, tensor in wanted[1].items():
        _require_close(found[1][name], tensor, f"{what} changes the state {name!r}")


def _require_close(found: Tensor, wanted: Tensor, message: str) -> None:
    same = found.shape == wanted.shape and torch.allclose(found, wanted, rtol=1e-3, atol=1e-5)
    assert same, f"{message}: {found.flatten()[:8].tolist()} in place of {wanted.flatten()[:8].tolist()}"


def _finite(create: Create, problem: Problem) -> None:
    wide = torch.linspace(-LARGEST, LARGEST, IMAGES * CLASSES)[torch.randperm(IMAGES * CLASSES)]
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        run = _Run(create, problem)
        run.epoch(1, _batches())
        for epoch in range(2, EPOCHS + 1):
            run.method.start_epoch(epoch)
            logits = wide.reshape(IMAGES, CLASSES).to(dtype).requires_grad_()
            with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
                value = _loss(run.method, problem.batch(torch.arange(IMAGES), logits))
            (gradient,) = torch.autograd.grad(value, logits)
            assert torch.isfinite(gradient).all(), f"the gradient for {dtype} is not finite"


def _same_twice(create: Create, problem: Problem) -> None:
    first, second = (_train(create, problem, _batches()) for _ in range(2))
    assert first[0] == second[0], "two runs differ"
    assert all(torch.equal(first[1][name], second[1][name]) for name in first[1]), "two runs differ"


def _order_in_batches(create: Create, problem: Problem) -> None:
    other = [rows.flip(0) for rows in _batches()]
    wanted = _train(create, problem, _batches())
    _require_same(_train(create, problem, other), wanted, "the order of the images in a batch")


def _order_of_batches(create: Create, problem: Problem) -> None:
    results = []
    for step in (1, -1):
        run = _Run(create, problem, rate=0.0)
        losses = [run.epoch(epoch, _batches()[::step])[::step] for epoch in range(1, EPOCHS + 1)]
        results.append(([loss for epoch in losses for loss in epoch], run.method.state()))
    _require_same(results[1], results[0], "the order of the batches")


def _padding(create: Create, problem: Problem) -> None:
    _require_same(
        _train(create, problem, _batches(), pad=3), _train(create, problem, _batches()), "padding of a batch"
    )


def _skipped_rows(create: Create, problem: Problem) -> None:
    """Every third row, from the last one down: a place in the batch is never the row."""
    batches = _batches(torch.arange(IMAGES - 1, -1, -3), 4)
    other = [rows.flip(0) for rows in batches]
    wanted = _train(create, problem, batches)
    _require_same(_train(create, problem, other), wanted, "with rows left out, the order of the images")


def _continues(create: Create, problem: Problem) -> None:
    for saved_after in range(1, EPOCHS):
        run, again = _Run(create, problem), _Run(create, problem)
        for epoch in range(1, saved_after + 1):
            run.epoch(epoch, _batches())
        state, again.weight = run.method.state(), run.weight
        kept = {name: tensor.clone() for name, tensor in state.items()}
        rest = range(saved_after + 1, EPOCHS + 1)
        wanted = [run.epoch(epoch, _batches()) for epoch in rest]
        same = all(torch.equal(kept[name], state[name]) for name in kept)
        assert same, "a saved state changes while training goes on: return a copy"
        again.method.load_state(state)
        found = [again.epoch(epoch, _batches()) for epoch in rest]
        assert found == wanted, f"saved after epoch {saved_after} and continued, the losses differ"
        ends = run.method.state(), again.method.state()
        assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0]), (
            "the continued state differs"
        )


def _plain_state(create: Create, problem: Problem) -> None:
    run = _Run(create, problem)
    held = [name for name, _ in [*run.method.named_parameters(), *run.method.named_buffers()]]
    assert not held, f"per-image state must be plain tensors, not parameters or buffers: {', '.join(held)}"
    try:
        run.method.load_state({"of another method": torch.zeros(1)})
    except OneLabelError:
        return
    raise AssertionError("load_state takes the state of another method")


CHECKS = (
    _finite,
    _same_twice,
    _order_in_batches,
    _padding,
    _skipped_rows,
    _continues,
    _plain_state,
)
