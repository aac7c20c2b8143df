"""The whole evaluation, as JSON and as text."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from onelabel.evaluation import evaluate, mean_average_precision, pu_auc
from onelabel.io.errors import OneLabelError

RANDOM = np.random.default_rng(0)
IDS = [f"class {c}" for c in range(6)]
COMPLETE = np.where(RANDOM.random((40, 6)) < 0.3, 1, -1).astype(np.int8)
SINGLE = np.where(np.arange(6) == np.argmax(COMPLETE, axis=1)[:, None], 1, 0).astype(np.int8)
SCORES = (COMPLETE + RANDOM.standard_normal(COMPLETE.shape)).astype(np.float32)


def test_complete_labels_give_every_metric_and_no_note() -> None:
    found = evaluate(SCORES, COMPLETE, IDS, thresholds=0.0)
    content = found.to_dict()
    result = mean_average_precision(SCORES, COMPLETE)
    assert (content["map"], content["map_classes"]) == (result.value, 6)
    assert content["map_published"] == pytest.approx(result.value)
    assert content["pu_auc"] is None
    assert content["notes"] == [] and "Note" not in found.table()
    assert [row["class"] for row in content["per_class"]] == IDS
    assert [row["ap"] for row in content["per_class"]] == result.ap.tolist()
    assert all(row["unknown"] == 0 for row in content["per_class"])
    for text in (
        f"mAP {100 * result.value:.2f} over 6 of 6",
        "CF1",
        "OF1",
        "Top 5",
        "0 for every class, not fitted",
    ):
        assert text in found.table()


def test_positives_alone_give_no_map_no_f1_no_top_k_and_say_so() -> None:
    found = evaluate(SCORES, SINGLE, IDS, thresholds=0.5)
    content = found.to_dict()
    assert content["map"] is None and content["map_published"] is None and content["map_classes"] == 0
    assert [content["f1"][name] for name in ("CP", "CF1", "OP", "OR", "OF1")] == [None] * 5
    assert [top["precision"] for top in content["top_k"]] == [None] * 3
    assert content["pu_auc"] == pu_auc(SCORES, SINGLE).value
    assert content["f1"]["observed_recall"] > 0 and content["f1"]["predicted_per_image"] > 0
    table = found.table()
    assert "mAP not defined" in table and "No image is known to lack a class" in table and "pu_auc" in table
    for absent in ("CF1", "OF1", "Top 1", "map_published", "calibrated", "nan"):
        assert absent not in table


def test_partly_known_labels_say_which_classes_are_left_out() -> None:
    labels = np.where(RANDOM.random(COMPLETE.shape) < 0.5, COMPLETE, 0).astype(np.int8)
    labels[:, 0] = SINGLE[:, 0]
    labels[:, 1] = np.minimum(labels[:, 1], 0)
    notes = " ".join(evaluate(SCORES, labels, IDS).notes)
    assert "1 of 6 classes have known positives and no known negative" in notes
    assert "1 of 6 classes have no known positive" in notes
    assert "known entries alone" in notes


def test_nothing_known_is_said() -> None:
    found = evaluate(SCORES, np.zeros_like(COMPLETE), IDS, thresholds=0.5)
    assert "nothing can be measured" in found.table()
    assert found.to_dict()["f1"]["observed_recall"] is None


@pytest.mark.parametrize("labels", [COMPLETE, SINGLE, COMPLETE * 0, COMPLETE[:0]])
def test_the_dict_is_strict_json(labels: NDArray[np.int8]) -> None:
    found = evaluate(SCORES[: len(labels)], labels, IDS, thresholds=np.full(6, 0.5))
    content = found.to_dict()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert found.table()


def test_thresholds_carry_where_they_came_from() -> None:
    assert evaluate(SCORES, COMPLETE, IDS).to_dict()["f1"] is None
    given = evaluate(SCORES, COMPLETE, IDS, np.zeros(6), thresholds_source="fitted on val.csv")
    assert given.to_dict()["f1"]["thresholds_source"] == "fitted on val.csv"
    assert "fitted on val.csv" in given.table()
    assert given.to_dict()["per_class"][2]["threshold"] == 0.0


def test_the_table_lists_the_lowest_ap_first_and_says_how_many_more() -> None:
    found = evaluate(SCORES, COMPLETE, IDS)
    lines = found.table(classes=2).splitlines()
    worst = np.argsort(found.mean_ap.ap)[:2]
    assert [line.split("  ")[0] for line in lines[-3:-1]] == [IDS[c] for c in worst]
    assert lines[-1] == "… and 4 more classes"


def test_top_k_stays_within_the_number_of_classes() -> None:
    assert [top.k for top in evaluate(SCORES[:, :3], COMPLETE[:, :3], IDS[:3]).top] == [1, 3]


def test_a_broken_score_is_named_by_class() -> None:
    scores = SCORES.copy()
    scores[7, 3] = np.nan
    with pytest.raises(OneLabelError, match=r"image 7 .* for class 'class 3' is nan"):
        evaluate(scores, COMPLETE, IDS)


def test_ids_must_fit_the_columns() -> None:
    with pytest.raises(OneLabelError, match="5 class ids for 6 columns"):
        evaluate(SCORES, COMPLETE, IDS[:5])
