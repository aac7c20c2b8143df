"""Numbers stay numbers: losses, weights and features that are none stop a run, and nothing makes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from interruptions import Bench, C, Loop, N, make_bench
from onelabel.io.errors import OneLabelError
from onelabel.io.ids import IdTable
from onelabel.labels.table import LabelTable
from onelabel.methods.base import Batch
from onelabel.methods.registry import catalogue
from onelabel.models.heads import LinearHead
from onelabel.training.checkpoint import Checkpoints
from onelabel.training.features import FeatureRows
from onelabel.training.threads import threads_for

ALL = [entry.name for entry in catalogue()]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    with threads_for(1):
        yield


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return make_bench(tmp_path_factory.mktemp("bench"))


@pytest.mark.parametrize("loop", ["head", "photos"])
def test_a_loss_that_is_no_number_names_step_and_images(loop: Loop, bench: Bench, tmp_path: Path) -> None:
    recipe = bench.recipe("em")
    plain, seen = recipe.method.loss, []

    def poisoned(batch: Any) -> Tensor:
        seen.append([recipe.parts.train.ids.text(int(row)) for row in batch.index])
        return plain(batch) * (float("nan") if len(seen) == 5 else 1.0)

    recipe.method.loss = poisoned  # type: ignore[method-assign]
    with pytest.raises(OneLabelError) as caught:
        bench.train(loop, recipe, Checkpoints(tmp_path, every=0))
    said = str(caught.value)
    assert f"the loss became nan in epoch 2, step 2, on {', '.join(seen[4])}: lower --lr" in said
    assert "the checkpoint after epoch 1 is intact" in said
    saved = Checkpoints(tmp_path).read()
    assert saved is not None and saved.epoch == 1
    assert all(torch.isfinite(value).all() for value in saved.tensors.values() if value.is_floating_point())


@pytest.mark.parametrize("loop", ["head", "photos"])
def test_weights_that_are_no_numbers_are_not_saved(loop: Loop, bench: Bench, tmp_path: Path) -> None:
    """The last step of epoch 2 spoils the weights; no loss shows it any more."""
    recipe = bench.recipe("em")
    plain, steps = recipe.method.loss, []

    def poisoned(batch: Any) -> Tensor:
        steps.append(1)
        value = plain(batch)
        return value + (batch.logits.sum() * 0).sqrt() * 0 if len(steps) == 6 else value

    recipe.method.loss = poisoned  # type: ignore[method-assign]
    with pytest.raises(
        OneLabelError, match=r"the weights are no finite numbers after step 3 of epoch 2: lower --lr"
    ):
        bench.train(loop, recipe, Checkpoints(tmp_path, every=0))
    saved = Checkpoints(tmp_path).read()
    assert saved is not None and saved.epoch == 1


class SpoiltStore:
    """A store of two rows an image in which one number is none."""

    views, mirrored, dim, path = ("global",), True, 3, Path("features")
    fingerprint: dict[str, str] = {}  # noqa: RUF012 - the protocol asks for this

    def __init__(self, value: float, mirrored: int) -> None:
        self.ids = IdTable.from_strings([f"{n}.png" for n in range(5)])
        self.both = np.zeros((5, 2, self.dim), np.float32)
        self.both[2, mirrored, 1] = value

    def rows(self, index: ArrayLike, mirrored: ArrayLike | None = None) -> NDArray[np.float32]:
        bits = np.zeros(np.shape(index), int) if mirrored is None else np.asarray(mirrored).astype(int)
        found: NDArray[np.float32] = self.both[np.asarray(index), bits][:, None]
        return found


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("mirrored", [0, 1])
def test_features_that_are_no_numbers_are_refused_with_file_row_and_image(
    value: float, mirrored: int
) -> None:
    table = LabelTable.from_dense(["1.png", "2.png"], ["x"], [[1], [1]])
    features = FeatureRows(SpoiltStore(value, mirrored), table)
    with pytest.raises(
        OneLabelError, match=r"features: row 2 \('2\.png'\) holds NaN or infinity: embed again"
    ):
        features.require_finite(mirrored=True)
    FeatureRows(SpoiltStore(value, mirrored), table.take(np.array([0]))).require_finite(mirrored=True)
    if mirrored:
        features.require_finite(mirrored=False)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ALL)
def test_every_method_stays_finite_in_half_precision(name: str, dtype: torch.dtype, bench: Bench) -> None:
    """200 steps of a network whose layers run in ``dtype``, head and loss in float32 as in fine-tuning."""
    recipe = bench.recipe(name, epochs=10)
    table = recipe.parts.train
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    head = LinearHead(4, C)
    photos = torch.randn(N, 3, 6, 6)
    adam = torch.optim.Adam([*body.parameters(), *head.parameters()], lr=0.01)
    for epoch in range(1, 11):
        recipe.method.start_epoch(epoch)
        for _ in range(20):
            index = torch.randperm(N)[:5]
            with torch.autocast("cpu", dtype=dtype):
                features = body(photos[index])
                assert features.dtype == dtype
                with torch.autocast("cpu", enabled=False):
                    logits = head(features.float())
                labels = torch.from_numpy(table.rows(index.numpy()))
                bits = torch.zeros(5, dtype=torch.bool)
                pseudo = (
                    (None, None)
                    if recipe.source is None
                    else recipe.source.pseudo(index, labels, bits, epoch)
                )
                value = recipe.method.loss(Batch(index, labels, logits, bits, None, None, *pseudo))
            adam.zero_grad()
            torch.autograd.backward(value)
            adam.step()
            assert torch.isfinite(value)
        with torch.no_grad():
            scores = torch.sigmoid(head(body(photos)))
        recipe.method.end_epoch(lambda _, scores=scores: [(torch.arange(N), scores)])  # type: ignore[misc]
    assert all(torch.isfinite(weight).all() for weight in (*body.parameters(), *head.parameters()))
    assert all(torch.isfinite(value).all() for value in recipe.method.state().values())
