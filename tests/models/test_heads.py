"""The head and its bias."""

import numpy as np
import pytest
import torch

from onelabel.io.errors import OneLabelError
from onelabel.models.heads import LinearHead, initialise


def test_is_a_linear_map_in_float64() -> None:
    head = LinearHead(5, 3).double()
    features = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weight, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
    expected = np.array([[sum(w * x for w, x in zip(weight[c], row, strict=True)) + bias[c] for c in range(3)]
                         for row in features.numpy()])  # fmt: skip
    np.testing.assert_allclose(head(features).detach().numpy(), expected, atol=1e-12)


def test_a_new_head_has_bias_zero_and_torchs_own_weights() -> None:
    torch.manual_seed(3)
    head = LinearHead(16, 2)
    torch.manual_seed(3)
    assert torch.equal(head.weight, torch.nn.Linear(16, 2).weight)
    assert torch.equal(head.bias, torch.zeros(2))
    assert head.weight.abs().max() <= 1 / 16**0.5


@pytest.mark.parametrize("prior", [0.01, [0.01, 0.5, 0.9], np.array([0.01, 0.5, 0.9])])
def test_prior_sets_the_probability_at_zero_features(prior: object) -> None:
    head = LinearHead(4, 3)
    weight = head.weight.detach().clone()
    initialise(head, "prior", prior)  # type: ignore[arg-type]
    expected = torch.as_tensor(prior, dtype=torch.float32).expand(3)
    torch.testing.assert_close(torch.sigmoid(head(torch.zeros(1, 4)))[0].detach(), expected)
    assert torch.equal(head.weight, weight)


def test_published_prior() -> None:
    """Focal loss paper, section 3.3: bias = -log((1 - pi) / pi), pi = 0.01."""
    head = LinearHead(4, 1)
    initialise(head, "prior", 0.01)
    assert float(head.bias.detach()) == pytest.approx(-np.log(0.99 / 0.01), rel=1e-6)


def test_zero_undoes_a_prior_and_the_bias_still_learns() -> None:
    head = LinearHead(4, 3)
    initialise(head, "prior", 0.2)
    initialise(head, "zero")
    assert torch.equal(head.bias, torch.zeros(3))
    head(torch.ones(1, 4)).sum().backward()
    assert head.bias.grad is not None
    assert torch.equal(head.bias.grad, torch.ones(3))


@pytest.mark.parametrize(
    ("how", "prior", "message"),
    [
        ("priro", None, "did you mean 'prior'"),
        ("prior", None, "needs the expected share"),
        ("prior", 0.0, "between 0 and 1"),
        ("prior", [0.1, 1.0, 0.1], "between 0 and 1"),
        ("prior", float("nan"), "between 0 and 1"),
        ("prior", [0.1, 0.2], "one number or 3"),
    ],
)
def test_refuses_what_has_no_meaning(how: str, prior: object, message: str) -> None:
    head = LinearHead(4, 3)
    with pytest.raises(OneLabelError, match=message):
        initialise(head, how, prior)  # type: ignore[arg-type]
    assert torch.equal(head.bias, torch.zeros(3))
