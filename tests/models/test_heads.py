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


# -- BoostLU ---


def boosted_slowly(head: LinearHead, maps: np.ndarray) -> np.ndarray:
    """Kim et al. (2023): a 1 × 1 convolution, α M where M > 0, the mean over the positions."""
    weight, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
    images, _, height, width = maps.shape
    logits = np.zeros((images, len(bias)))
    for n, c in np.ndindex(logits.shape):
        for y, x in np.ndindex(height, width):
            score = sum(weight[c] * maps[n, :, y, x]) + bias[c]
            logits[n, c] += (head.boost * score if score > 0 else score) / (height * width)
    return logits


@pytest.mark.parametrize("boost", [1.0, 5.0, 2.5])
def test_boostlu_is_the_published_map(boost: float) -> None:
    torch.manual_seed(0)
    head = LinearHead(4, 3, boost, maps=True).double()
    torch.nn.init.normal_(head.bias)
    maps = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    np.testing.assert_allclose(head(maps).detach().numpy(), boosted_slowly(head, maps.numpy()), atol=1e-12)


def test_boostlu_is_that_of_a_convolution_with_its_gradient() -> None:
    torch.manual_seed(1)
    head, maps = LinearHead(4, 3, boost=5.0).double(), torch.randn(2, 4, 3, 3, dtype=torch.float64)
    conv = torch.nn.Conv2d(4, 3, 1).double()
    with torch.no_grad():
        conv.weight.copy_(head.weight[:, :, None, None])
        assert conv.bias is not None
        conv.bias.copy_(head.bias)
    scores = conv(maps)
    wanted = torch.where(scores > 0, scores * 5, scores).mean(dim=(2, 3))
    torch.testing.assert_close(head(maps), wanted)
    mix = torch.randn(2, 3, dtype=torch.float64)
    (ours,) = torch.autograd.grad((head(maps) * mix).sum(), head.weight)
    (theirs,) = torch.autograd.grad((wanted * mix).sum(), conv.weight)
    torch.testing.assert_close(ours, theirs[:, :, 0, 0])


def test_pooled_features_are_one_position_and_keep_the_order_of_the_images() -> None:
    torch.manual_seed(2)
    plain = LinearHead(6, 3)
    boosted = LinearHead(6, 3, boost=5.0)
    boosted.load_state_dict(plain.state_dict())
    features = torch.randn(20, 6)
    torch.testing.assert_close(boosted(features), boosted(features[:, :, None, None]))
    assert torch.equal(boosted(features).argsort(dim=0), plain(features).argsort(dim=0))
    torch.testing.assert_close(
        boosted(features), torch.where(plain(features) > 0, 5 * plain(features), plain(features))
    )


def test_a_plain_head_reads_maps_as_their_mean() -> None:
    head, maps = LinearHead(4, 3), torch.randn(2, 4, 5, 6)
    torch.testing.assert_close(head(maps), head(maps.mean(dim=(2, 3))))


def test_a_boosted_head_is_described_and_a_plain_one_as_ever() -> None:
    assert LinearHead(4, 3).describe() == {"kind": "linear", "dim": 4}
    assert LinearHead(4, 3, 5, maps=True).describe() == {
        "kind": "linear",
        "dim": 4,
        "boost": 5.0,
        "maps": True,
    }
    assert set(LinearHead(4, 3, 5).state_dict()) == {"weight", "bias"}
    assert "boost=5" in repr(LinearHead(4, 3, 5)) and "boost" not in repr(LinearHead(4, 3))


@pytest.mark.parametrize("boost", [0.5, -5.0, float("nan"), float("inf")])
def test_a_boost_without_meaning_is_refused(boost: float) -> None:
    with pytest.raises(OneLabelError, match="boost of a head must be 1 or more"):
        LinearHead(4, 3, boost)
