"""The DAMP rule against values of the released code, a slow reference, and its properties."""

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

from golden_archive import Archive, Run
from onelabel.io.errors import OneLabelError
from onelabel.sources.damp_rule import damp_labels, damp_scores

Scores = NDArray[np.float64]
SCORES = arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.integers(2, 6), st.integers(2, 9)),
    elements=st.floats(0, 1).map(lambda value: round(value, 2)),
)


def views(cosines: torch.Tensor, grid: int) -> torch.Tensor:
    """(B, V, C) from the released order: all whole images, then the first tile of all images, and so on."""
    return cosines.reshape(grid * grid + 1, -1, cosines.shape[1]).transpose(0, 1)


def compare(run: Run, bits: int) -> None:
    dtype = torch.float64 if bits == 64 else torch.float32
    cosines = views(run.tensor("logits").to(dtype), int(run["grid_size"]))
    labels, scores = run.tensor("labels"), torch.softmax(cosines / run.number("temp"), dim=-1)
    positive, negative = damp_scores(scores, labels, run.number("eta"))
    settings: dict[str, Any] = {
        "threshold": run.number("threshold"), "top_k": int(run["top_k"]),
        "negatives": run.number("negative_ratio"), "bottom": "unknown",
    }  # fmt: skip
    where = f"{run.case}/{run.variant}"
    released = damp_labels(positive, negative, erase=True, **settings)
    np.testing.assert_array_equal(released, run[f"pseudo_f{bits}"], where)
    # What the code returns first, and trains on nowhere: nothing erased, earlier labels kept.
    history = run["history"]
    fresh = damp_labels(positive, negative, **settings).numpy()
    np.testing.assert_array_equal(np.where(history == 0, fresh, history), run[f"acc_f{bits}"], where)
    atol = 1e-12 if bits == 64 else 2e-5
    np.testing.assert_allclose(positive, run["sim_final_f64"], rtol=0, atol=atol, err_msg=where)
    np.testing.assert_allclose(negative, run["sim_avg_f64"], rtol=0, atol=atol, err_msg=where)
    if bits == 64:
        inner(run, scores, positive)


def inner(run: Run, scores: torch.Tensor, positive: torch.Tensor) -> None:
    """The threshold η of each image and the choice between the largest and the smallest tile."""
    assert int(run["num_classes"]) == scores.shape[2]
    largest, smallest = scores[:, 1:].amax(dim=1), scores[:, 1:].amin(dim=1)
    gamma = run.tensor("gamma") == 1
    assert torch.equal(gamma, largest > run.tensor("eta_f64")[:, None])
    chosen = torch.where(gamma, largest, smallest)
    torch.testing.assert_close(positive, (scores[:, 0] + chosen) / 2, rtol=0, atol=1e-15)


def test_equals_the_released_code(golden: Path) -> None:
    """Origin: AEVLP 0bad82a, utils.py, through the archive's own list of runs."""
    if not (golden / "pseudo_damp.npz").is_file():
        pytest.skip("pseudo_damp.npz is not in this folder")
    archive = Archive(golden / "pseudo_damp.npz")
    for run in archive.runs():
        compare(run, 32)
        compare(run, 64)
    assert not archive.unread, sorted(archive.unread)[:5]


def test_equals_the_predecessor_with_a_strict_threshold(golden: Path) -> None:
    """Origin: grloss_spml 93c4830: a fixed η, no limit on the rank, a threshold that must be exceeded."""
    if not (golden / "pseudo_fixed9.npz").is_file():
        pytest.skip("pseudo_fixed9.npz is not in this folder")
    archive = Archive(golden / "pseudo_fixed9.npz")
    for run in archive.runs():
        for bits, dtype in ((32, torch.float32), (64, torch.float64)):
            scores = torch.softmax(views(run.tensor("logits").to(dtype), 3) / run.number("temp"), dim=-1)
            # An observed class of score 1 leaves η₀ as it is.
            known = torch.cat([torch.ones(len(scores), 10, 1, dtype=dtype), scores], dim=2)
            labels = torch.zeros(known.shape[0], known.shape[2]).index_fill(1, torch.tensor(0), 1)
            positive, negative = damp_scores(known, labels, run.number("eta"))
            threshold = math.nextafter(run.number("threshold"), 1)
            if bits == 32:
                threshold = float(np.nextafter(np.float32(run.number("threshold")), np.float32(1)))
            found = damp_labels(positive, negative, threshold=threshold)[:, 1:]
            np.testing.assert_array_equal(found, run[f"pseudo_f{bits}"], f"{run.case}/{run.variant}")
    assert not archive.unread, sorted(archive.unread)[:5]


def reference(scores: Scores, labels: NDArray[np.int8], eta: float, **more: Any) -> list[list[int]]:
    """One image after the other, one class after the other."""
    out = []
    for views, known in zip(scores, labels, strict=True):
        whole, tiles = views[0], views[1:]
        observed = [whole[c] for c in range(len(whole)) if known[c] == 1]
        limit = min(max(observed, default=0.0), eta)
        classes = range(len(whole))
        positive = []
        for c in classes:
            tile = max(tiles[:, c]) if max(tiles[:, c]) > limit else min(tiles[:, c])
            positive.append((whole[c] + tile) / 2)
        negative = [(whole[c] + math.fsum(tiles[:, c]) / len(tiles)) / 2 for c in classes]
        best = sorted(classes, key=lambda c: (-positive[c], c))[: more["top_k"]]
        pseudo = [1 if c in best and positive[c] >= more["threshold"] else 0 for c in classes]
        lowest = sorted(classes, key=lambda c: (round(negative[c], 9), c))
        for c in lowest[: int(more["negatives"] * len(whole))]:
            if pseudo[c] == 0 or more["erase"]:
                pseudo[c] = -1 if more["bottom"] == "absent" else 0
        out.append(pseudo)
    return out


@given(
    SCORES, st.integers(0, 99), st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0.005, 0.31, 0.77]),
    st.sampled_from([None, 1, 3]), st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from(["absent", "unknown"]),
    st.booleans(),
)  # fmt: skip
def test_equals_a_slow_reference(
    scores: Scores, seed: int, eta: float, threshold: float, top_k: int | None, negatives: float,
    bottom: Any, erase: bool,
) -> None:  # fmt: skip
    labels = np.random.default_rng(seed).integers(-1, 2, (len(scores), scores.shape[2])).astype(np.int8)
    labels[0] = 0
    more = {
        "threshold": threshold, "top_k": top_k, "negatives": negatives, "bottom": bottom, "erase": erase
    }  # fmt: skip
    positive, negative = damp_scores(torch.from_numpy(scores), torch.from_numpy(labels), eta)
    found = damp_labels(positive, negative.round(decimals=9), **more)
    assert found.dtype == torch.int8
    assert found.tolist() == reference(scores, labels, eta, **more)


def test_an_observed_class_that_the_model_misses_makes_the_largest_tile_count() -> None:
    """η is the smaller of η₀ and the observed score: a case in which both orders matter."""
    scores = torch.tensor([[[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]]])
    seen = damp_scores(scores, torch.tensor([[1, 0]]), 0.5)[0]
    missed = damp_scores(scores, torch.tensor([[0, 1]]), 0.5)[0]
    assert seen[0, 1] == pytest.approx((0.1 + 0.2) / 2)
    assert missed[0, 1] == pytest.approx((0.1 + 0.4) / 2)
    absent = damp_scores(scores, torch.tensor([[-1, 0]]), 0.5)[0]
    assert torch.equal(absent, missed), "-1 is not observed present"


def test_the_threshold_is_inclusive() -> None:
    positive = torch.tensor([[0.5, 0.4999]])
    assert damp_labels(positive, positive, threshold=0.5).tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": 0.0}, "threshold"), ({"threshold": 1.1}, "threshold"),
        ({"threshold": math.nan}, "threshold"), ({"top_k": 0}, "top_k"), ({"negatives": -0.1}, "negatives"),
        ({"negatives": 1.1}, "negatives"), ({"bottom": "gone"}, "bottom"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(OneLabelError, match=message):
        damp_labels(torch.zeros(1, 2), torch.zeros(1, 2), **settings)


def test_whole_images_alone_are_refused() -> None:
    with pytest.raises(OneLabelError, match="--views grid:4"):
        damp_scores(torch.zeros(1, 1, 2), torch.zeros(1, 2), 0.3)
