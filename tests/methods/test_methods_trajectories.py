"""Whole trainings, step by step, against the released procedures written out slowly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import slow_training as slow
from onelabel.labels.table import LabelTable
from onelabel.methods.base import Batch, Context, Method
from onelabel.methods.registry import catalogue, create
from onelabel.methods.role import ROLEMethod, initial_logits

COLE, GR = 1e-5, 1e-7
BETA, ALPHA = (0.0, 10.0, -2.0, -8.0), (0.5, 2.0, 0.8, 0.5)
K = 1.7


def table_of(problem: slow.Problem) -> LabelTable:
    ids = [f"{row}.jpg" for row in range(len(problem.z))]
    return LabelTable.from_dense(ids, [f"c{i}" for i in range(problem.z.shape[1])], problem.z)


def context_of(problem: slow.Problem, **facts: Any) -> Context:
    return Context(table_of(problem), len(problem.epochs), 3, problem.lr, K, **facts)


class Trained:
    """A torch head in float64, trained through the interface of methods."""

    def __init__(self, method: Method, problem: slow.Problem, context: Context | None = None) -> None:
        self.method, self.problem = method, problem
        self.x, self.z = torch.from_numpy(problem.x), torch.from_numpy(problem.z)
        self.weight = torch.tensor(problem.weight, requires_grad=True)
        self.bias = torch.tensor(problem.bias, requires_grad=True)
        self.optimiser = torch.optim.Adam([self.weight, self.bias], lr=problem.lr)
        self.trail: list[np.ndarray] = []
        self.views: list[str] = []
        method.start(context or context_of(problem))

    def run(self) -> list[np.ndarray]:
        for epoch, batches in enumerate(self.problem.epochs, 1):
            self.method.start_epoch(epoch)
            for rows in batches:
                self.step(torch.from_numpy(rows))
            self.method.end_epoch(self.score_all)
        return self.trail

    def step(self, rows: Tensor) -> None:
        pseudo = torch.from_numpy(self.problem.pseudo)[rows]
        logits = self.x[rows] @ self.weight + self.bias
        value = self.method.loss(Batch(rows, self.z[rows], logits, pseudo=pseudo))
        self.optimiser.zero_grad()
        torch.autograd.backward(value)
        self.optimiser.step()
        self.trail.append(torch.cat([self.weight, self.bias[None]]).detach().numpy().copy())

    def score_all(self, view: str) -> Iterator[tuple[Tensor, Tensor]]:
        self.views.append(view)
        with torch.no_grad():
            for rows in torch.split(torch.randperm(len(self.x)), 7):
                yield rows, torch.sigmoid(self.x[rows] @ self.weight + self.bias)


def assert_same_trail(found: list[np.ndarray], wanted: list[np.ndarray], tolerance: float) -> None:
    assert len(found) == len(wanted) > 20
    for step, (ours, theirs) in enumerate(zip(found, wanted, strict=True)):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance, err_msg=f"step {step}")
    assert np.abs(wanted[-1] - wanted[0]).max() > 0.05, "the training moved nothing"


def role(linear: int) -> Callable[[slow.Problem], slow.Procedure]:
    return lambda problem: slow.ROLE(initial_logits(table_of(problem), 3).numpy(), K, linear, COLE)


def gpr(problem: slow.Problem) -> slow.Procedure:
    guides = slow.Guides(problem.pseudo, 0.7, 0.4, 0.9, 0.05, K)
    return slow.GPR(guides, np.array(BETA), np.array(ALPHA), 0.01, 1.5, 0, GR)


def gr(linear: int) -> Callable[[slow.Problem], slow.Procedure]:
    return lambda _: slow.GR(np.array(BETA), np.array(ALPHA), 0.01, 1.0, linear, GR)


SHAPE: dict[str, Any] = {"beta": BETA, "alpha": ALPHA, "eps": GR}
CASES: dict[str, tuple[str, dict[str, Any], Callable[[slow.Problem], slow.Procedure], float]] = {
    "em": ("em", {"alpha": 0.2, "eps": COLE}, lambda _: slow.EM(0.2, COLE), 1e-10),
    "em-apl, VOC": (
        "em-apl", {"alpha": 0.2, "beta": 0.02, "warmup_epoch": 5, "eps": COLE},
        lambda _: slow.EMAPL(0.2, 0.02, 0.9, 5, COLE), 1e-6,
    ),
    "em-apl, CUB": (
        "em-apl", {"alpha": 0.01, "beta": 0.4, "warmup_epoch": 3, "eps": COLE, "as_released": True},
        lambda _: slow.EMAPL(0.01, 0.4, 0.9, 3, COLE), 1e-6,
    ),
    "em-apl, from the first epoch": (
        "em-apl", {"beta": 0.9, "neg_proportion": 0.5, "warmup_epoch": 1, "eps": COLE},
        lambda _: slow.EMAPL(0.1, 0.9, 0.5, 1, COLE), 1e-6,
    ),
    "ll-r": ("ll-r", {"delta": 2.0}, lambda _: slow.LargeLoss("R", 2.0), 1e-10),
    "ll-ct": ("ll-ct", {"delta": 2.0}, lambda _: slow.LargeLoss("Ct", 2.0), 1e-10),
    "ll-cp": ("ll-cp", {"delta": 4.0}, lambda _: slow.LargeLoss("Cp", 4.0), 1e-10),
    "ll-cp, as released": (
        "ll-cp", {"delta": 10.0, "as_released": True},
        lambda _: slow.LargeLoss("Cp", 10.0, strict=True), 1e-10,
    ),
    "role": ("role", {"eps": COLE}, role(0), 1e-5),
    "role-li": ("role-li", {"eps": COLE, "linear_epochs": 4}, role(4), 1e-5),
    "gr": ("gr", SHAPE, gr(0), 1e-10),
    "gr, linear start": ("gr", SHAPE | {"linear_epochs": 3}, gr(3), 1e-10),
    "gpr": ("gpr", SHAPE | {"q3": 1.5}, gpr, 1e-10),
    "splc": ("splc", {}, lambda _: slow.SPLC(), 1e-10),
    "vlpl": (
        "vlpl", {"alpha": 0.2, "gamma": 0.0, "eps": COLE},
        lambda problem: slow.VLPL(problem.pseudo, 0.2, COLE), 1e-10,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_step_is_that_of_the_released_procedure(case: str, seed: int) -> None:
    name, params, procedure, tolerance = CASES[case]
    problem = slow.make_problem(seed)
    found = Trained(create(name, **params), problem).run()
    assert_same_trail(found, slow.slow_train(procedure(problem), problem), tolerance)


def test_every_method_with_state_or_schedule_has_a_trajectory() -> None:
    covered = {name for name, *_ in CASES.values()}
    assert {entry.name for entry in catalogue() if entry.state} <= covered
    assert {"ll-r", "ll-ct", "splc", "gr", "gpr"} <= covered


@pytest.mark.parametrize(
    ("case", "change"),
    [
        ("em-apl, VOC", {"warmup_epoch": 4}),
        ("em-apl, CUB", {"neg_proportion": 0.5}),
        ("ll-r", {"delta": 4.0}),
        ("ll-cp", {"as_released": True}),
        ("role", {"lr_multiplier": 1.0}),
        ("role-li", {"linear_epochs": 5}),
        ("gr", {"linear_epochs": 1}),
        ("gpr", {"expected": 1.0}),
        ("splc", {"warmup": 2}),
    ],
)
def test_another_setting_is_another_trajectory(case: str, change: dict[str, Any]) -> None:
    name, params, procedure, tolerance = CASES[case]
    problem = slow.make_problem()
    found = Trained(create(name, **params | change), problem).run()
    with pytest.raises(AssertionError, match="step"):
        assert_same_trail(found, slow.slow_train(procedure(problem), problem), tolerance)


def test_role_ends_with_the_estimates_of_the_released_procedure() -> None:
    problem = slow.make_problem()
    method, procedure = ROLEMethod(eps=COLE), role(0)(problem)
    Trained(method, problem).run()
    slow.slow_train(procedure, problem)
    assert isinstance(procedure, slow.ROLE)
    np.testing.assert_allclose(method.estimates().numpy(), slow.sigmoid(procedure.phi), atol=1e-5)


@pytest.mark.parametrize(("as_released", "view"), [(False, "eval"), (True, "train")])
def test_em_apl_asks_for_scores_from_its_warm_up_on(as_released: bool, view: str) -> None:
    problem = slow.make_problem(epochs=6)
    trained = Trained(create("em-apl", warmup_epoch=4, as_released=as_released), problem)
    trained.run()
    assert trained.views == [view] * 3
