"""Names, parameters, third-party losses, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from onelabel import losses
from onelabel.io.errors import OneLabelError
from onelabel.losses import functional
from onelabel.losses.base import Loss

LABELS = torch.tensor([[1, 0, -1]], dtype=torch.int8)


class Mine(Loss):
    """A third party's loss, in a file of its own."""

    def entries(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return functional.an(logits, labels)


def test_the_catalogue_has_the_losses_of_the_field() -> None:
    field = """bce bce-ls an an-ls an-nls wan l1r l2r epr pr focal asl hill splc entmin em em-apl ll-r ll-ct
        ll-cp role gr em-pl em-pl-asl an-pl gr-pl gpr"""
    names = [entry.name for entry in losses.catalogue()]
    assert set(field.split()) <= set(names) and len(names) == len(set(names))


@pytest.mark.parametrize("entry", losses.catalogue(), ids=lambda entry: entry.name)
def test_every_entry_is_complete(entry: losses.LossInfo) -> None:
    assert entry.summary and len(entry.summary) < 60
    if entry.paper:
        assert entry.paper.url.startswith("https://") and entry.paper.year >= 2017
    found = losses.load(entry.name)
    assert getattr(losses, entry.class_name) is found
    assert found.__module__ == entry.module
    function = getattr(functional, entry.function)
    for piece in ("Source", "Example:"):
        assert piece in function.__doc__, f"{entry.function}: no {piece}"


def test_the_catalogue_does_not_import_torch() -> None:
    code = "import sys, onelabel.losses as l; l.info('em'); l.catalogue(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("emm", {}, r"unknown loss 'emm' .did you mean 'em'.*known: an, "),
        ("em", {"alfa": 1.0}, r"no parameter 'alfa' .did you mean 'alpha'"),
        ("em", {"alpha": -1.0}, "alpha is -1.0; it must lie between 0.0 and inf"),
        ("em", {"alpha": float("nan")}, "alpha is nan"),
        ("epr", {}, "loss 'epr' needs expected="),
        ("an-ls", {"smoothing": 1.1}, "smoothing is 1.1"),
        ("gr", {"alpha": (0.5, 0.0, 0.8, 0.5)}, "first sigma is 0.0"),
        ("asl", {"gamma_neg": 0.5}, "gamma_neg is 0.5"),
        ("no_such_module:Thing", {}, "cannot import 'Thing' from 'no_such_module'"),
        ("onelabel.losses.em:Nothing", {}, "cannot import 'Nothing'"),
        ("collections:OrderedDict", {}, "no subclass of"),
    ],
)
def test_mistakes_are_named(name: str, params: dict[str, object], message: str) -> None:
    with pytest.raises(OneLabelError, match=message):
        losses.create(name, **params)


def test_a_third_partys_loss() -> None:
    loss = losses.create(f"{__name__}:Mine", reduction="sum")
    assert isinstance(loss, Mine)
    assert float(loss(torch.zeros(1, 3), LABELS)) == pytest.approx(3 * 0.693147, abs=1e-5)


def test_unknown_attributes() -> None:
    with pytest.raises(AttributeError, match="Nothing"):
        _ = losses.Nothing
    with pytest.raises(AttributeError, match="nothing"):
        _ = functional.nothing
    assert {"em", "gr_schedule"} <= set(dir(functional))


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (torch.zeros(3), LABELS, r"logits are torch.float32 of shape \(3,\)"),
        (torch.zeros(1, 3, dtype=torch.int8), LABELS, "logits are torch.int8"),
        (torch.zeros(2, 3), LABELS, r"shape \(1, 3\) do not fit logits of shape \(2, 3\)"),
        (torch.zeros(1, 3), LABELS.float(), "labels are torch.float32; give int8"),
        (torch.zeros(1, 3), LABELS > 0, "labels are torch.bool"),
        (torch.zeros(1, 3), LABELS.to(torch.uint8), "labels are torch.uint8"),
    ],
)
@pytest.mark.parametrize("name", ["an", "em", "gr", "ll-ct", "l1r", "pr"])
def test_inputs_that_do_not_fit(name: str, logits: torch.Tensor, labels: torch.Tensor, message: str) -> None:
    with pytest.raises(OneLabelError, match=message):
        losses.create(name)(logits, labels)


def test_further_inputs_that_do_not_fit() -> None:
    logits = torch.zeros(1, 3)
    with pytest.raises(OneLabelError, match="labels are"):
        losses.create("an-pl")(logits, LABELS, pseudo=LABELS.float())
    with pytest.raises(OneLabelError, match="soft is"):
        losses.create("em-apl")(logits, LABELS, soft=LABELS)
    with pytest.raises(OneLabelError, match="do not fit"):
        losses.create("role", expected=1.0)(logits, LABELS, estimator_logits=torch.zeros(2, 3))
    with pytest.raises(TypeError, match="pseudo"):
        losses.create("em-pl")(logits, LABELS)


@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (3,), (1,), (2, 3), ()])
def test_weights_are_broadcast_to_the_entries(shape: tuple[int, ...]) -> None:
    weight = torch.rand(shape)
    loss, logits, labels = losses.create("an", reduction="none"), torch.randn(2, 3), LABELS.expand(2, 3)
    assert torch.equal(loss(logits, labels, weight), loss(logits, labels) * weight)


@pytest.mark.parametrize("shape", [(2, 4), (3, 3), (1, 2, 3), (2,)])
def test_weights_that_do_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(OneLabelError, match="weight of shape"):
        losses.create("an")(torch.randn(2, 3), LABELS.expand(2, 3), torch.ones(shape))


def test_wide_integers_are_labels_too() -> None:
    logits = torch.randn(1, 3)
    for kind in (torch.int16, torch.int32, torch.int64):
        assert torch.equal(functional.em(logits, LABELS.to(kind)), functional.em(logits, LABELS))
