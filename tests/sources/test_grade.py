"""Grading of pseudo-labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from onelabel.sources.grade import grade

THREE = arrays(np.int8, (5, 4), elements=st.integers(-1, 1))


def test_by_hand() -> None:
    labels = [[1, -1, 0], [0, 1, 1], [-1, 0, 0], [1, 0, 0]]
    pseudo = [[1, 1, 0], [0, 1, 1], [1, 0, 0], [0, 0, -1]]
    result = grade(pseudo, labels)
    assert result.recall == 3 / 4  # (0,0), (1,1), (1,2) found, (3,0) not
    assert result.predicted == 5 / 12
    assert result.lift == pytest.approx((3 / 4) / (5 / 12))
    # Class 2 has no known negative, so (1,2) is not judged: (0,0)+ (0,1)- (1,1)+ (2,0)-
    assert (result.precision, result.checked) == (2 / 4, 4)


def test_what_cannot_be_said_is_nan() -> None:
    nothing = grade(np.zeros((2, 2)), np.zeros((2, 2)))
    assert math.isnan(nothing.recall) and math.isnan(nothing.lift) and math.isnan(nothing.precision)
    assert nothing.predicted == 0
    only_positives = grade(np.ones((2, 2)), np.eye(2))
    assert math.isnan(only_positives.precision)  # 1 would be said of any source
    assert only_positives.lift == 1


@given(THREE, THREE)
def test_equals_a_slow_count(pseudo: NDArray[np.int8], labels: NDArray[np.int8]) -> None:
    result = grade(pseudo, labels)
    pairs = list(zip(pseudo.ravel().tolist(), labels.ravel().tolist(), strict=True))
    found = [p == 1 for p, z in pairs if z == 1]
    assert math.isnan(result.recall) if not found else result.recall == pytest.approx(np.mean(found))
    judged = [c for c in range(4) if 1 in labels[:, c] and -1 in labels[:, c]]
    called = [(c, n) for c in judged for n in range(5) if pseudo[n, c] == 1]
    right = [labels[n, c] == 1 for c, n in called if labels[n, c] != 0]
    assert result.checked == len(right)
    assert math.isnan(result.precision) if not right else result.precision == pytest.approx(np.mean(right))


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\(1, 2\).*\(2, 1\)"):
        grade(np.zeros((1, 2)), np.zeros((2, 1)))
