"""Grading of pseudo-labels."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from onelabel.io.errors import OneLabelError
from onelabel.sources.grade import grade
from onelabel.sources.grade_text import grade_lines

THREE = arrays(np.int8, (6, 3), elements=st.integers(-1, 1))
NAMES = ["cat", "dog", "cow"]


def table(*rows: list[int]) -> NDArray[np.int8]:
    return np.array(rows, np.int8)


def test_by_hand() -> None:
    observed = table([1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 0, 0])
    decision = table([1, 1, 0], [0, 1, 1], [1, 0, 0], [-1, 0, -1])
    found = grade(decision, observed, NAMES)
    assert found.observed.tolist() == [2, 1, 1]
    assert found.recall.tolist() == [0.5, 1, 1]
    assert found.predicted.tolist() == [0.5, 0.5, 0.25]
    assert found.lift.tolist() == [1, 2, 4]
    assert found.denied.tolist() == [0.5, 0, 0] and found.absent.tolist() == [0.25, 0, 0.25]
    assert (found.overall_recall, found.overall_predicted) == (3 / 4, 5 / 12)
    assert found.overall_lift == pytest.approx((3 / 4) / (5 / 12))
    assert found.no_better_than(1.0) == ("cat",) and found.no_better_than(2.0) == ("cat", "dog")
    assert found.no_better_than(0.9) == ()
    assert math.isnan(found.checked.class_precision), "nothing is known to be absent"


def test_against_checked_labels_by_hand() -> None:
    observed = table([1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0])
    decision = table([1, 1, 0], [1, 1, 1], [1, 0, 0], [0, 0, 1])
    checked = table([1, 1, -1], [-1, 1, 1], [1, 1, 0], [1, -1, -1])
    found = grade(decision, observed, NAMES, checked)
    # cat: the first image is observed; of 1 2 3: called 1 (wrong), 2 (right); missed 3
    # dog: of 0 2 3: called 0 (right); missed 2. cow: called 1 (right), 3 (wrong); 2 is not known
    np.testing.assert_allclose(found.checked.precision, [0.5, 1, 0.5])
    np.testing.assert_allclose(found.checked.recall, [0.5, 0.5, 1])
    np.testing.assert_allclose(found.checked.f1, [0.5, 2 / 3, 2 / 3])
    assert found.checked_images == 4
    assert found.checked.overall_precision == 3 / 5 and found.checked.overall_recall == 3 / 5
    text = "\n".join(grade_lines(found.to_dict(), show=2))
    assert "CP 66.7  CR 66.7  CF1 66.7  OP 60.0  OR 60.0  OF1 60.0" in text
    assert "... and 1 classes more" in text and "cow" not in text, "its lift is not known: last"


def test_what_cannot_be_said_is_nan_and_none() -> None:
    nothing = grade(np.zeros((2, 3), np.int8), np.zeros((2, 3), np.int8), NAMES)
    assert (
        np.isnan(nothing.recall).all() and np.isnan(nothing.lift).all() and math.isnan(nothing.overall_lift)
    )
    assert nothing.no_better_than(9.0) == ()
    found = nothing.to_dict()
    assert found["recall"] is None and found["lift"] is None and found["CF1"] is None
    assert "NaN" not in json.dumps(found)
    assert "precision not known" in "\n".join(grade_lines(found, show=3))
    only_positives = grade(np.ones((3, 3), np.int8), np.eye(3, dtype=np.int8), NAMES)
    assert math.isnan(only_positives.checked.class_precision)  # 1 would be said of any source
    assert only_positives.lift.tolist() == [1, 1, 1]


@given(THREE, THREE, THREE)
def test_equals_a_slow_count(
    decision: NDArray[np.int8], observed: NDArray[np.int8], checked: NDArray[np.int8]
) -> None:
    found = grade(decision, observed, NAMES, checked)
    for c in range(3):
        rows = list(
            zip(decision[:, c].tolist(), observed[:, c].tolist(), checked[:, c].tolist(), strict=True)
        )
        hits = [d == 1 for d, o, _ in rows if o == 1]
        assert found.observed[c] == len(hits)
        np.testing.assert_allclose(found.recall[c], sum(hits) / len(hits) if hits else math.nan)
        called = sum(d == 1 for d, _, _ in rows) / 6
        assert found.predicted[c] == pytest.approx(called)
        lift = found.recall[c] / called if called else math.nan
        np.testing.assert_allclose(found.lift[c], lift)
        judged = [(d == 1, t) for d, o, t in rows if o == 0 and t != 0]
        right, wrong = judged.count((True, 1)), judged.count((True, -1))
        known = {t for _, t in judged}
        if known == {1, -1}:
            assert found.checked.precision[c] == (right / (right + wrong) if right + wrong else 0)
        else:
            assert math.isnan(found.checked.precision[c])


def test_shapes_must_agree() -> None:
    with pytest.raises(OneLabelError, match=r"\(1, 2\).*\(2, 1\)"):
        grade(np.zeros((1, 2), np.int8), np.zeros((2, 1), np.int8), ["cat"])
