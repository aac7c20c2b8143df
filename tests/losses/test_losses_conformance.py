"""The public check over everything registered, and proof that it notices what it should."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from onelabel import losses
from onelabel.io.errors import OneLabelError
from onelabel.losses import functional
from onelabel.losses.base import Loss, prepare
from onelabel.testing.losses import NoHostSync, check_loss

NAMES = [entry.name for entry in losses.catalogue()]
FACTS = {"expected": 1.5}  # what the loss must be told about the data
EXTRA = ("pseudo", "soft", "estimator_logits")


def create(name: str, **params: Any) -> Loss:
    parameters = inspect.signature(losses.load(name)).parameters.values()
    needed = {p.name: FACTS[p.name] for p in parameters if p.default is p.empty}
    return losses.create(name, **needed, **params)


def arguments(
    name: str, function: Callable[..., Tensor], device: str = "cpu"
) -> tuple[list[Tensor], dict[str, Any]]:
    """Logits, labels, further inputs, and the keywords without default."""
    torch.manual_seed(3)
    labels = torch.randint(-1, 2, (6, 5), dtype=torch.int8)
    extra = {"pseudo": torch.randint(-1, 2, (6, 5), dtype=torch.int8)}
    extra |= {"soft": torch.rand(6, 5) * 2 - 1, "estimator_logits": torch.randn(6, 5)}
    given = [torch.randn(6, 5), labels, *(extra[need] for need in losses.info(name).needs)]
    needed = inspect.signature(function).parameters
    facts = {key: value for key, value in FACTS.items() if key in needed}
    if "fraction" in needed:
        facts["fraction"] = 0.2
    return [tensor.to(device) for tensor in given], facts


@pytest.mark.parametrize("name", NAMES)
def test_check_loss(name: str) -> None:
    check_loss(create(name))


@pytest.mark.parametrize(
    "name", [e.name for e in losses.catalogue() if hasattr(losses.load(e.name), "start_epoch")]
)
def test_check_loss_in_a_later_epoch(name: str) -> None:
    loss = create(name)
    loss.start_epoch(6, 8)
    check_loss(loss)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("asl", {"detach_weight": False}),
        ("asl", {"gamma_pos": 0.0, "gamma_neg": 0.0, "margin": 0.0}),
        ("hill", {"margin": 0.0, "gamma": 0.0}),
        ("splc", {"warmup": 0}),
        ("em-pl", {"gamma": 0.3, "rho": 1.0}),
        ("gpr", {"expected": 2.0, "q3": 1.5}),
        ("ll-r", {"as_released": True}),
    ],
)
def test_check_loss_with_other_parameters(name: str, params: dict[str, Any]) -> None:
    check_loss(create(name, **params))


@pytest.mark.parametrize("name", NAMES)
def test_functional_runs_without_data_and_compiles(name: str) -> None:
    function = getattr(functional, losses.info(name).function)
    given, facts = arguments(name, function)
    with NoHostSync():  # type: ignore[no-untyped-call]
        wanted = function(*given, **facts)
    assert function(*[tensor.to("meta") for tensor in given], **facts).is_meta
    found, _ = compare_compiled(name, "aot_eager")
    torch.testing.assert_close(found, wanted)


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NAMES)
def test_functional_compiles_with_inductor(name: str) -> None:
    compare_compiled(name, "inductor")


def compare_compiled(name: str, backend: str) -> tuple[Tensor, Tensor]:
    """Value and gradient of the compiled function, compared with those of the function."""
    function = getattr(functional, losses.info(name).function)
    given, facts = arguments(name, function)
    torch.compiler.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled: Callable[..., Tensor] = torch.compile(function, fullgraph=True, backend=backend)
        results = [value_and_gradient(each, given, facts) for each in (compiled, function)]
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-6)
    return results[0]


def value_and_gradient(
    function: Callable[..., Tensor], given: list[Tensor], facts: dict[str, Any]
) -> tuple[Tensor, Tensor]:
    logits = given[0].clone().requires_grad_()
    value = function(logits, *given[1:], **facts)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    return value.detach(), gradient


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", NAMES)
def test_no_synchronisation_on_a_gpu(name: str) -> None:
    function = getattr(functional, losses.info(name).function)
    given, facts = arguments(name, function, "cuda")
    given[0].requires_grad_()
    torch.cuda.set_sync_debug_mode("error")
    try:
        function(*given, **facts).sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", NAMES)
def test_module_and_function_have_the_same_defaults(name: str) -> None:
    module = inspect.signature(losses.load(name)).parameters
    function = inspect.signature(getattr(functional, losses.info(name).function)).parameters
    assert {"reduction", "eps"} <= set(module)
    for key in set(module) & set(function):
        assert module[key].default == function[key].default, key
    assert list(function)[2 : 2 + len(losses.info(name).needs)] == list(losses.info(name).needs)


@pytest.mark.parametrize("name", NAMES)
def test_a_negative_eps_or_a_misspelt_reduction_is_refused(name: str) -> None:
    with pytest.raises(OneLabelError, match="eps is -1"):
        create(name, eps=-1.0)
    with pytest.raises(OneLabelError, match="'avg' is none of mean, sum, none"):
        create(name, reduction="avg")


class Clamped(Loss):
    """The most copied mistake of the field."""

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        logits = prepare(logits, labels)
        likelihood = torch.sigmoid(torch.where(labels > 0, logits, -logits))
        return -torch.log(likelihood.clamp(min=1e-8))


class BySubtraction(Loss):
    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        p = torch.sigmoid(prepare(logits, labels))
        return torch.where(labels > 0, -torch.log(p + 1e-30), -torch.log(1 - p + 1e-30))


class ByMask(Loss):
    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        logits = prepare(logits, labels)
        found = torch.zeros_like(logits)
        found[labels > 0] = torch.nn.functional.softplus(-logits[labels > 0])
        found[labels <= 0] = torch.nn.functional.softplus(logits[labels <= 0])
        return found


class SwitchesGradients(Loss):
    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        torch.set_grad_enabled(True)
        logits = prepare(logits, labels)
        return torch.nn.functional.softplus(torch.where(labels > 0, -logits, logits))


class InPlace(Loss):
    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        logits = prepare(logits, labels.clamp_(min=0))
        return torch.nn.functional.softplus((1 - 2 * labels) * logits)


class IgnoresNegatives(Loss):
    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return (labels > 0) * torch.nn.functional.softplus(-prepare(logits, labels))


class DividesByKnown(Loss):
    def forward(
        self, logits: Tensor, labels: Tensor, weight: Tensor | None = None, **inputs: Tensor
    ) -> Tensor:
        entries = super().forward(logits, labels, weight, **inputs)
        return (
            entries * labels.numel() / labels.abs().sum().clamp(min=1)
            if self.reduction == "mean"
            else entries
        )

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.bce(logits, labels)


class SaturatesEarly(Loss):
    """Squares the rounded p, whose slope in float32 is 0 from a logit of 17 upwards."""

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.bce(logits, labels) + torch.sigmoid(prepare(logits, labels)).square()


class PositionMatters(Loss):
    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.an(logits, labels) * torch.arange(1.0, logits.shape[1] + 1.0, device=logits.device)


class HalfPrecision(Loss):
    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        return torch.nn.functional.softplus(torch.where(labels > 0, -logits, logits))


class Remembers(Loss):
    calls = 0

    def entries(self, logits: Tensor, labels: Tensor) -> Tensor:
        self.calls += 1
        return functional.an(logits, labels) * self.calls


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Clamped, "has a derivative of exactly 0"),
        (BySubtraction, "derivative|not finite"),
        (ByMask, "makes the host wait"),
        (SwitchesGradients, "grad mode"),
        (InPlace, "changed in place|push"),
        (IgnoresNegatives, "-1 does not push|exactly 0"),
        (DividesByKnown, "mean is not that of none"),
        (SaturatesEarly, r"derivative lost in float32 at logits .*; write it .* terms.probability"),
        (PositionMatters, "permuting"),
        (HalfPrecision, "not in float32"),
        (Remembers, "."),
    ],
)
def test_a_broken_loss_is_noticed(broken: type[Loss], message: str) -> None:
    try:
        with pytest.raises(AssertionError, match=message):
            check_loss(broken())
    finally:
        torch.set_grad_enabled(True)


def test_an_input_that_nobody_can_make_is_asked_for() -> None:
    class Needs(Loss):
        def entries(self, logits: Tensor, labels: Tensor, depth: Tensor) -> Tensor:
            return functional.an(logits, labels) + 0.0 * depth

    with pytest.raises(AssertionError, match=r"give inputs=.'depth'"):
        check_loss(Needs())


def test_check_loss_leaves_the_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    check_loss(create("an"))
    assert torch.equal(before, torch.random.get_rng_state())
