"""The VLPL rule against values of the released code, a slow reference, and its properties."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from onelabel.io.errors import OneLabelError
from onelabel.sources.vlpl import most_positives, vlpl_rule

COSINES = arrays(
    np.float64, st.tuples(st.integers(1, 4), st.integers(1, 12)), elements=st.floats(-1, 1, width=32)
)


def released_cosines(archive: Any, texts: Any, case: str, dtype: type[Any]) -> torch.Tensor:
    images = torch.from_numpy(archive[f"{case}/image_embeds"].astype(dtype))
    images = images / images.norm(dim=1, keepdim=True)
    words = torch.from_numpy(texts[str(archive[f"{case}/text"])].astype(dtype))
    return torch.matmul(images, words.T)


@pytest.mark.parametrize("bits", [32, 64])
def test_equals_the_released_code(golden: Path, bits: int) -> None:
    """Origin: VLPL ed09b59, models.py, through the archive's own list of runs."""
    archive = np.load(golden / "pseudo_vlpl.npz", allow_pickle=False)
    texts = np.load(golden / "text_features.npz", allow_pickle=False)
    dtype = np.float32 if bits == 32 else np.float64
    seen = set()
    for run in map(str, archive["runs"]):
        cosines = released_cosines(archive, texts, run.split("/")[0], dtype)
        settings = {
            "temperature": float(archive[f"{run}/temp"]),
            "threshold": float(archive[f"{run}/threshold"]),
        }
        fraction = float(archive[f"{run}/partial"])
        pseudo, probability = vlpl_rule(cosines, **settings, negative_fraction=fraction)
        np.testing.assert_array_equal(pseudo, archive[f"{run}/pseudo_f{bits}"], run)
        # Rounding of the cosines, divided by the temperature, is the error of the exponents.
        tolerance = 4 * float(np.finfo(dtype).eps) * float(cosines.abs().max()) / settings["temperature"]
        np.testing.assert_allclose(probability.numpy(), archive[f"{run}/sim_f{bits}"], rtol=0, atol=tolerance)
        without = vlpl_rule(cosines, **settings)[0]
        np.testing.assert_array_equal(without, archive[f"{run}/pseudo_pos_only_f{bits}"], run)
        assert probability.dtype == cosines.dtype
        seen.add((fraction > 0, bool((pseudo == 1).any())))
    assert seen >= {(True, True), (False, True)}  # the archive does exercise both branches


def reference(row: NDArray[np.float64], temperature: float, threshold: float, fraction: float) -> list[int]:
    scale = [math.exp((value - row.max()) / temperature) for value in row]
    pseudo = [1 if value / math.fsum(scale) > threshold else 0 for value in scale]
    order = sorted(range(len(row)), key=lambda c: (row[c], c))
    for c in order[: int(fraction * len(row))]:
        pseudo[c] = -1
    return pseudo


@given(COSINES, st.floats(0.01, 1), st.floats(0.01, 0.99), st.floats(0, 1))
def test_equals_a_slow_reference(
    cosines: NDArray[np.float64], temperature: float, threshold: float, fraction: float
) -> None:
    pseudo, probability = vlpl_rule(
        torch.from_numpy(cosines),
        temperature=temperature, threshold=threshold, negative_fraction=fraction,
    )  # fmt: skip
    for n, row in enumerate(cosines):
        expected = reference(row, temperature, threshold, fraction)
        clear = (abs(probability[n] - threshold) > 1e-9).numpy() | (np.array(expected) == -1)
        np.testing.assert_array_equal(pseudo[n].numpy()[clear], np.array(expected)[clear])


@given(COSINES, st.floats(0.02, 0.9))
def test_no_image_has_more_positives_than_the_threshold_admits(
    cosines: NDArray[np.float64], threshold: float
) -> None:
    pseudo, _ = vlpl_rule(torch.from_numpy(cosines), temperature=1.0, threshold=threshold)
    assert int((pseudo == 1).sum(dim=1).max()) <= most_positives(threshold)


def test_the_bound_is_reached() -> None:
    for threshold, most in [(0.3, 3), (0.1, 9), (0.01, 99), (0.5, 1), (0.34, 2)]:
        assert most_positives(threshold) == most
        assert int((vlpl_rule(torch.zeros(1, most), threshold=threshold)[0] == 1).sum()) == most
        assert int((vlpl_rule(torch.zeros(1, most + 1), threshold=threshold)[0] == 1).sum()) == 0


def test_the_threshold_is_strict() -> None:
    cosines = torch.zeros(1, 2, dtype=torch.float64)  # both probabilities are exactly 0.5
    assert vlpl_rule(cosines, threshold=0.5)[0].tolist() == [[0, 0]]
    assert vlpl_rule(cosines, threshold=0.4999)[0].tolist() == [[1, 1]]


def test_negatives_override_positives() -> None:
    pseudo, _ = vlpl_rule(torch.tensor([[0.9, 0.1]]), negative_fraction=1.0)
    assert pseudo.tolist() == [[-1, -1]]


def test_negatives_are_told_apart_where_probabilities_underflow() -> None:
    """At τ = 0.01 both small classes have probability 0 in float32; the smaller cosine is the negative."""
    cosines = torch.tensor([[3.0, 0.2, 0.1]])
    pseudo, probability = vlpl_rule(cosines, negative_fraction=0.34)
    assert probability[0, 1] == probability[0, 2] == 0
    assert pseudo.tolist() == [[1, 0, -1]]


def test_half_precision_is_widened_and_the_input_kept() -> None:
    cosines = torch.tensor([[0.3, 0.29, 0.2]]).half()
    before = cosines.clone()
    probability = vlpl_rule(cosines, negative_fraction=0.5)[1]
    assert probability.dtype == torch.float32
    assert torch.equal(cosines, before)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("temperature", 0.0), ("temperature", -1.0), ("temperature", math.inf), ("temperature", math.nan),
        ("threshold", 0.0), ("threshold", 1.0), ("threshold", math.nan),
        ("negative_fraction", -0.1), ("negative_fraction", 1.1), ("negative_fraction", math.nan),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(setting: str, value: float) -> None:
    with pytest.raises(OneLabelError, match=setting.split("_")[0]):
        vlpl_rule(torch.zeros(1, 2), **{setting: value})
