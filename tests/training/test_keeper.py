"""Which epoch is kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from onelabel.evaluation.metrics import mean_average_precision
from onelabel.evaluation.selection import pu_auc
from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.training.keeper import Keeper

SCORES = [
    np.array(rows, np.float32) for rows in ([[0], [1], [2], [3]], [[3], [2], [1], [0]], [[4], [3], [1], [0]])
]


def val(*labels: int) -> LabelTable:
    return LabelTable.from_dense(
        [f"{row}" for row in range(len(labels))], ["a"], [[label] for label in labels]
    )


@pytest.mark.parametrize(("select", "other"), [("observed", 0), ("full", -1)])
def test_the_first_of_the_best_epochs_is_kept(select: str, other: int) -> None:
    keeper = Keeper(select, val(1, other, other, other))
    table = val(1, other, other, other).dense()
    found = []
    for epoch, logits in enumerate(SCORES, start=1):
        found.append(keeper.offer(epoch, {"w": torch.tensor(float(epoch))}, logits))
    if select == "observed":
        assert found == [pu_auc(logits, table).value for logits in SCORES]
    else:
        assert found == [mean_average_precision(logits, table).value for logits in SCORES]
    assert found[1] == found[2], "the second and the third rank alike"
    assert keeper.epoch == keeper.state["w"] == 2 and keeper.score == found[1] == 1.0
    assert keeper.logits is SCORES[1]


def test_last_keeps_the_last_and_compares_nothing() -> None:
    keeper = Keeper("last", val(1, -1, -1, 1))
    for epoch, logits in enumerate(SCORES, start=1):
        assert keeper.offer(epoch, {"w": torch.tensor(epoch)}, logits) is None
    assert keeper.epoch == 3 and keeper.state["w"] == 3 and keeper.logits is SCORES[2]
    assert math.isnan(keeper.score)
    without = Keeper("last", None)
    without.offer(1, {}, None)
    assert without.epoch == 1 and without.logits is None


def test_kept_weights_do_not_change_with_the_network() -> None:
    keeper, weights = Keeper("last", None), torch.zeros(2, requires_grad=True)
    keeper.offer(1, {"w": weights}, None)
    with torch.no_grad():
        weights += 1
    assert keeper.state["w"].tolist() == [0, 0] and not keeper.state["w"].requires_grad


@pytest.mark.parametrize(
    ("select", "labels", "message"),
    [
        ("observed", None, "--select observed needs validation images: give --val FILE or --val-fraction"),
        ("full", None, "--select full needs validation images"),
        ("observed", (1, -1), "They are complete: use --select full"),
        ("observed", (0, 0), "is marked present in one validation image and unknown in another"),
        ("full", (1, 0), "--select full needs fully labelled validation images"),
        ("full", (1, 1), "present in one validation image and absent in another"),
        ("best", (1, -1), "unknown --select 'best'"),
    ],
)
def test_labels_that_cannot_answer_are_refused_before_the_first_epoch(
    select: str, labels: tuple[int, ...] | None, message: str
) -> None:
    with pytest.raises(OneLabelError, match=message):
        Keeper(select, None if labels is None else val(*labels))
