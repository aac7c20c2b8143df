"""Asking a source once for every image: unmirrored, and without telling it what it is graded on."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels.table import LabelTable
from onelabel.sources.base import STATIC
from onelabel.sources.damp import DampSource
from onelabel.sources.vlpl import VlplSource
from onelabel.training import pseudo
from onelabel.training.opening import Wanted
from onelabel.training.pseudo import ask, make_set, training_rows

IDS, CLASSES = [f"{n}.jpg" for n in range(5)], ("cat", "dog", "cow")
TABLE = LabelTable.from_dense(IDS, CLASSES, [[1, 0, 0], [0, -1, 0], [0, 0, 0], [1, 1, 0], [0, 0, 1]])


class Repeats:
    """Calls present every class of an image of which it is told something, and gives 0.9 as score."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[int], list[bool], int]] = []

    def start(self, table: LabelTable) -> None:
        assert len(table) == len(TABLE)

    def pseudo(self, index: Tensor, labels: Tensor, mirrored: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        self.asked.append((index.tolist(), mirrored.tolist(), epoch))
        told = (labels != 0).any(dim=1, keepdim=True).expand_as(labels)
        return torch.where(labels == 0, told, False).to(torch.int8), told * 0.9


def test_observed_cells_are_answered_without_being_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pseudo, "_ROWS_AT_ONCE", 2)
    source = Repeats()
    found = ask(source, TABLE)
    assert found.decision is not None and found.score is not None
    told = (TABLE.dense() != 0).any(axis=1, keepdims=True)
    wanted = np.where(TABLE.dense() == 0, told, False)
    assert np.array_equal(found.decision, wanted)
    np.testing.assert_allclose(found.score, wanted * 0.9)
    assert found.ids == TABLE.ids and found.class_ids == CLASSES
    assert {epoch for *_, epoch in source.asked} == {STATIC}
    assert not any(bit for _, bits, _ in source.asked for bit in bits)
    assert [rows for rows, *_ in source.asked[::2]] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("kind", ["vlpl", "damp"])
def test_rows_of_mirror_images_are_never_read(kind: str) -> None:
    read: list[NDArray[np.bool_]] = []
    vectors = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)
    views = ("global",) if kind == "vlpl" else ("global", "left", "right")

    def rows(index: ArrayLike, mirrored: ArrayLike | None = None) -> NDArray[np.float32]:
        read.append(np.array(False if mirrored is None else mirrored))
        flipped = np.broadcast_to(np.array(mirrored).reshape(len(np.asarray(index)), -1), (5, len(views)))
        found = vectors[np.asarray(index), : len(views)]
        return np.where(flipped[..., None], -found, found)

    store: Any = SimpleNamespace(
        ids=IdTable.from_strings(IDS), dim=4, views=views, mirrored=True, fingerprint={}, rows=rows
    )
    plain: Any = SimpleNamespace(**vars(store) | {"mirrored": False})
    texts = np.eye(4)[:3]
    answers = []
    for opened in (store, plain):
        source = VlplSource(opened, texts) if kind == "vlpl" else DampSource(opened, texts, threshold=0.1)
        source.start(TABLE)
        answers.append(ask(source, TABLE))
    assert np.array_equal(answers[0].score, answers[1].score)  # type: ignore[arg-type]
    assert np.array_equal(answers[0].decision, answers[1].decision)  # type: ignore[arg-type]
    assert answers[0].decision is not None and answers[0].decision.any()
    assert len(read) >= 2


def test_the_training_images_are_those_that_get_pseudo_labels() -> None:
    splits = np.array([0, 1, 0, 2, 0], np.int8)
    table = replace(TABLE, splits=splits, split_names=("train", "val", "test"))
    train, notes = training_rows(table)
    assert list(train.ids) == ["0.jpg", "2.jpg", "4.jpg"]
    assert notes == ("2 images of other splits get no pseudo-labels",)
    assert training_rows(TABLE) == (TABLE, ())
    with pytest.raises(OneLabelError, match="no split begins with train"):
        training_rows(replace(table, split_names=("test", "val"), splits=splits % 2))


def test_checked_labels_are_matched_by_id_and_class(tmp_path: Any) -> None:
    np.savez(tmp_path / "t.npz", ids=IDS, classes=CLASSES, pseudo=np.ones((5, 3), int))
    order = [4, 2, 1]
    truth = np.array([[1, 1, -1], [-1, -1, 1], [1, 1, 1]], np.int8)  # of cow, dog, cat
    checked = LabelTable.from_dense(
        [*(IDS[n] for n in order), "more.jpg"], CLASSES[::-1], [*truth, [1, 1, 1]]
    )
    made = make_set(TABLE, Wanted({"name": str(tmp_path / "t.npz")}), checked=checked)
    # cells not observed: 4: dog +, cat -; 2: cow -, dog -, cat +; 1: cow +, cat +
    assert made.grade.checked_images == 3
    np.testing.assert_allclose(made.grade.checked.precision, [2 / 3, 1 / 2, 1 / 2])
    others = LabelTable.from_dense(["x.jpg"], CLASSES, [[1, 1, 1]])
    with pytest.raises(OneLabelError, match="none of the 1 checked images is among the 5 training images"):
        make_set(TABLE, Wanted({"name": str(tmp_path / "t.npz")}), checked=others)
