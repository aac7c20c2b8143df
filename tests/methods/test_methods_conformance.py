"""The public check over everything registered, and proof that it notices what it should."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from onelabel import losses
from onelabel.labels.table import LabelTable
from onelabel.methods.base import Batch, Context, LossMethod, Method, ScoreAll, require_state
from onelabel.methods.registry import catalogue, create
from onelabel.testing import check_method

NAMES = [entry.name for entry in catalogue()]
STEPS = {"role", "role-li"}
"""Methods whose own optimiser takes a step with each batch: published to depend on the order of batches."""


@pytest.mark.parametrize("name", NAMES)
def test_check_method(name: str) -> None:
    check_method(partial(create, name), order_free=name not in STEPS)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("em-apl", {"warmup_epoch": 0, "neg_proportion": 1.0}),
        ("em-apl", {"warmup_epoch": 3, "as_released": True}),
        ("ll-r", {"delta": 10.0}),
        ("ll-ct", {"delta": 10.0, "as_released": True}),
        ("ll-cp", {"delta": 10.0}),
        ("ll-cp", {"delta": 10.0, "as_released": True}),
        ("role-li", {"linear_epochs": 1, "eps": 1e-5}),
        ("gr", {"linear_epochs": 2}),
        ("gpr", {"beta": (0.0, 10.0, -2.0, -8.0), "expected": 1.5}),
        ("splc", {"warmup": 2, "reduction": "sum"}),
    ],
)
def test_check_method_with_other_parameters(name: str, params: dict[str, Any]) -> None:
    check_method(partial(create, name, **params), order_free=name not in STEPS)


@pytest.mark.parametrize("name", sorted(STEPS))
def test_the_order_of_batches_matters_where_it_is_published_to(name: str) -> None:
    with pytest.raises(AssertionError, match="the order of the batches"):
        check_method(partial(create, name), order_free=True)


@pytest.mark.parametrize("name", [entry.name for entry in catalogue() if entry.state])
def test_a_state_survives_a_file_of_weights(name: str, tmp_path: Path) -> None:
    """As a checkpoint keeps it: nothing is pickled."""
    table = LabelTable.from_dense(["a", "b"], ["cat", "dog"], [[1, 0], [0, 1]])
    methods = [create(name), create(name)]
    for method in methods:
        method.start(Context(table, epochs=4, seed=len(name), expected_positives=1.0))
    batch = Batch(torch.arange(2), torch.from_numpy(table.dense()), torch.randn(2, 2, requires_grad=True))
    for epoch in (1, 2, 3):
        methods[0].start_epoch(epoch)
        methods[0].loss(batch)
        methods[0].end_epoch(lambda _: [(torch.arange(2), torch.rand(2, 2))])
    save_file(methods[0].state(), tmp_path / "state.safetensors")
    methods[1].load_state(load_file(tmp_path / "state.safetensors"))
    assert all(torch.equal(value, methods[1].state()[key]) for key, value in methods[0].state().items())


# -- methods that break a promise, and the message that says so ---


class Remembering(Method):
    """Sound: weighs each image by a running mean of its own loss."""

    def __init__(self) -> None:
        super().__init__()
        self.criterion = losses.create("an", reduction="none")

    def start(self, context: Context) -> None:
        self.memory = torch.zeros(len(context.table))

    def rows(self, batch: Batch) -> Tensor:
        return batch.index

    def loss(self, batch: Batch) -> Tensor:
        batch = batch.kept()
        each: Tensor = self.criterion(batch.logits, batch.labels).mean(dim=1)
        rows = self.rows(batch)
        value = (each * (1.0 + self.memory[rows])).mean()
        self.memory[rows] = 0.5 * self.memory[rows] + 0.5 * each.detach()
        return value

    def state(self) -> dict[str, Tensor]:
        return {"memory": self.memory.clone()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        require_state(state, {"memory": tuple(self.memory.shape)})
        self.memory.copy_(state["memory"])


class ByPlaceInTheBatch(Remembering):
    def rows(self, batch: Batch) -> Tensor:
        return torch.arange(len(batch.index))


class ByOrderOfArrival(Remembering):
    """One number for all images: what came before decides."""

    def rows(self, batch: Batch) -> Tensor:
        return torch.zeros_like(batch.index)

    def loss(self, batch: Batch) -> Tensor:
        value = super().loss(batch)
        self.memory[0] = value.detach()
        return value


class SavesNothing(Remembering):
    def state(self) -> dict[str, Tensor]:
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        require_state(state, {})


class LoadsNothing(Remembering):
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        require_state(state, {"memory": tuple(self.memory.shape)})


class SavesNoCopy(Remembering):
    def state(self) -> dict[str, Tensor]:
        return {"memory": self.memory}


class TakesAnyState(Remembering):
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self.memory = next(iter(state.values())).clone()


class CountsItsEpochs(LossMethod):
    """Its schedule follows a counter of its own, which a continued run does not have."""

    def __init__(self) -> None:
        super().__init__(losses.create("gr"))
        self.count = 0

    def start_epoch(self, epoch: int) -> None:
        del epoch
        self.count += 1
        super().start_epoch(self.count)


class CountsPadding(Remembering):
    def loss(self, batch: Batch) -> Tensor:
        value = super().loss(batch)
        return value * len(batch.kept().index) / len(batch.index)


class StopsTheGradient(LossMethod):
    def loss(self, batch: Batch) -> Tensor:
        return super().loss(batch).detach()


class NeedsEveryRow(Remembering):
    """Its level is the mean over all images, those included that were never seen."""

    def start(self, context: Context) -> None:
        self.memory = torch.full((len(context.table),), torch.nan)
        self.level = 1.0

    def loss(self, batch: Batch) -> Tensor:
        each: Tensor = self.criterion(batch.kept().logits, batch.kept().labels).mean(dim=1)
        self.memory[batch.kept().index] = each.detach()
        return each.mean() * self.level

    def end_epoch(self, score_all: ScoreAll) -> None:
        del score_all
        self.level = float(self.memory.mean())


class KeepsABuffer(Remembering):
    def start(self, context: Context) -> None:
        self.register_buffer("memory", torch.zeros(len(context.table)))


class WritesIntoTheLabels(LossMethod):
    def loss(self, batch: Batch) -> Tensor:
        batch.labels.clamp_(min=0)
        return super().loss(batch)


class DrawsAnyNumbers(LossMethod):
    def loss(self, batch: Batch) -> Tensor:
        return super().loss(batch) * torch.rand(())


class SwitchesGradientsOff(LossMethod):
    def loss(self, batch: Batch) -> Tensor:
        value = super().loss(batch)
        torch.set_grad_enabled(False)
        return value


class Overflows(Method):
    def loss(self, batch: Batch) -> Tensor:
        batch = batch.kept()
        return batch.logits.float().exp().mean()


class ComputesInHalfPrecision(Method):
    def loss(self, batch: Batch) -> Tensor:
        return batch.kept().logits.relu().amax()


class GivesEachImageItsLoss(Remembering):
    def loss(self, batch: Batch) -> Tensor:
        value: Tensor = self.criterion(batch.kept().logits, batch.kept().labels).mean(dim=1)[:1]
        return value


class AsksForAnotherView(LossMethod):
    def end_epoch(self, score_all: ScoreAll) -> None:
        list(score_all("test"))


def an(kind: type[LossMethod]) -> Method:
    return kind(losses.create("an"))


BROKEN: dict[str, tuple[Any, str]] = {
    "place": (ByPlaceInTheBatch, "the order of the images in a batch changes"),
    "arrival": (ByOrderOfArrival, "the order of the batches changes"),
    "saves nothing": (SavesNothing, "saved after epoch 1 and continued, the losses differ"),
    "loads nothing": (LoadsNothing, "saved after epoch 1 and continued, the losses differ"),
    "no copy": (SavesNoCopy, "a saved state changes while training goes on"),
    "any state": (TakesAnyState, "load_state takes the state of another method"),
    "epochs": (CountsItsEpochs, "saved after epoch 1 and continued, the losses differ"),
    "padding": (CountsPadding, "padding of a batch changes the loss"),
    "every row": (NeedsEveryRow, "is not finite"),
    "buffer": (KeepsABuffer, "must be plain tensors.*memory"),
    "labels": (partial(an, WritesIntoTheLabels), "the loss changes its inputs: labels"),
    "random": (partial(an, DrawsAnyNumbers), "two runs differ"),
    "gradients": (partial(an, SwitchesGradientsOff), "leaves gradients switched off"),
    "no gradient": (partial(an, StopsTheGradient), "the loss has no gradient"),
    "overflow": (Overflows, "not finite"),
    "half": (ComputesInHalfPrecision, "is computed in torch.float16"),
    "no scalar": (GivesEachImageItsLoss, "must be a scalar"),
    "view": (partial(an, AsksForAnotherView), "scores asked for with view 'test'"),
}


def test_the_sound_method_passes() -> None:
    check_method(Remembering)


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_promise_is_noticed(fault: str) -> None:
    broken, message = BROKEN[fault]
    with pytest.raises(AssertionError, match=message):
        check_method(broken)
    assert torch.is_grad_enabled(), "the check puts the grad mode back"
