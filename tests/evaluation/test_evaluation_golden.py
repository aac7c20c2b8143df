"""Values of the published code: every case of ``metrics.npz``, made by Cole's and AEVLP's own functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from onelabel.evaluation import mean_average_precision, pseudo_quality, top_k

Array = NDArray[Any]


def same(found: Array | float, expected: Array | float) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_every_case_of_the_reference_vectors(golden: Path) -> None:
    with np.load(golden / "metrics.npz", allow_pickle=False) as archive:
        content = {name: archive[name] for name in archive.files}
    seen = set()
    for name in content["cases"]:
        case = {key.split("/", 1)[1]: content[key] for key in content if key.startswith(f"{name}/")}
        kind = "quality" if "pseudo" in case else "complete" if "rows_have_ties" in case else "partial"
        {"quality": check_quality, "complete": check_complete, "partial": check_partial}[kind](case)
        seen.add(kind)
    assert seen == {"quality", "complete", "partial"}


def published(ap: Array, labels: Array) -> Array:
    """AP as the published code gives it: 0 without a positive, 1 without a negative."""
    return np.where(np.isnan(ap), (labels > 0).any(axis=0), ap)


def check_complete(case: dict[str, Array]) -> None:
    labels = np.where(case["labels"] == 1, 1, -1).astype(np.int8)
    result = mean_average_precision(case["scores"], labels)
    same(published(result.ap, labels), case["ap"])
    same(100 * result.map_published, case["map"])
    same(100 * result.map_published, case["map_aevlp"])
    if case["rows_have_ties"]:  # there the published values depend on the sorting routine
        return
    ks = [int(key.removeprefix("prec_at_")) for key in case if key.startswith("prec_at_")]
    assert ks
    for k in ks:
        found = top_k(case["scores"], labels, k)
        same(found.row_precision, case[f"row_prec_at_{k}"])
        same(found.row_recall, case[f"row_rec_at_{k}"])
        same(found.precision, case[f"prec_at_{k}"])
        same(found.recall, case[f"rec_at_{k}"])
        same(found.any_present, case[f"top_{k}"])


def check_partial(case: dict[str, Array]) -> None:
    """The file's coding is 1 present, 0 absent, -1 unknown."""
    labels = np.select([case["labels"] == 1, case["labels"] == 0], [1, -1], 0).astype(np.int8)
    result = mean_average_precision(case["scores"], labels)
    any_known = labels.any(axis=0)
    same(published(result.ap, labels)[any_known], case["ap"])
    same(100 * result.map_published, case["map"])


def check_quality(case: dict[str, Array]) -> None:
    """Percent there; f1 is half the usual; nothing to count gives 0, where ours is NaN."""
    truth = np.where(case["true_labels"] == 1, 1, -1).astype(np.int8)
    found = pseudo_quality(case["pseudo"], case["labels"], truth)
    ours = 100 * np.nan_to_num([found.precision, found.recall, found.f1 / 2])
    same(ours, np.array([case["precision"], case["recall"], case["f1"]]))
    nothing = np.zeros_like(case["pseudo"])
    empty = pseudo_quality(nothing, nothing, nothing)
    same(np.nan_to_num([empty.precision, empty.recall, empty.f1]), case["empty"])


def test_a_wrong_value_would_be_seen() -> None:
    labels = np.array([[1], [0]], np.int8)
    case = {
        "scores": np.array([[0.9], [0.1]]),
        "labels": labels,
        "ap": np.array([0.5]),
        "map": np.array(50.0),
    }
    with pytest.raises(AssertionError):
        check_partial(case)
