"""Settings and recipes: what cannot work is refused when it is put together."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import pytest
from torch import Tensor

from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.methods.base import Context, Method
from onelabel.training.parts import Parts
from onelabel.training.recipe import Recipe, make_recipe, usual_source
from onelabel.training.settings import Settings

LAST = Settings(select="last", seed=3, epochs=4, lr=0.5)


def parts(val: bool = False) -> Parts:
    labels = np.eye(4, dtype=np.int8)
    train = LabelTable.from_dense(list("abcd"), ["w", "x", "y", "z"], labels)
    return Parts(train, LabelTable.from_dense(list("ef"), train.class_ids, labels[:2]) if val else None, ())


@pytest.mark.parametrize("name", ["epochs", "batch_size", "lr", "head_lr_multiplier", "weight_decay", "seed"])
@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_settings_out_of_range_are_named(name: str, value: float) -> None:
    with pytest.raises(OneLabelError, match=f"--{name.replace('_', '-')} must be"):
        Settings(**cast(Any, {name: value}))


@pytest.mark.parametrize("name", ["lr", "head_lr_multiplier"])
def test_rates_that_float32_cannot_hold_are_refused(name: str) -> None:
    with pytest.raises(OneLabelError, match=r"must be above 0 and at most 1e\+10, not 1e\+38"):
        Settings(**cast(Any, {name: 1e38}))


@pytest.mark.parametrize("name", ["epochs", "batch_size", "lr", "head_lr_multiplier"])
def test_zero_is_out_of_range_where_nothing_would_be_learnt(name: str) -> None:
    with pytest.raises(OneLabelError, match=f"--{name.replace('_', '-')} must be"):
        Settings(**cast(Any, {name: 0}))
    assert (Settings(seed=0).seed, Settings(weight_decay=0).weight_decay) == (0, 0)


class Watcher(Method):
    def start(self, context: Context) -> None:
        self.context = context


class Tags:
    def start(self, table: LabelTable) -> None:
        self.table = table

    def pseudo(self, index: Tensor, labels: Tensor, mirrored: Tensor, epoch: int) -> tuple[Tensor, Tensor]:
        raise AssertionError(f"nobody trains: {index}, {labels}, {mirrored}, {epoch}")


def test_method_and_source_start_on_the_training_rows() -> None:
    given, watcher, tags = parts(val=True), Watcher(), Tags()
    Recipe(given, watcher, LAST, tags, expected_positives=1.5)
    assert watcher.context.table is given.train and tags.table is given.train
    assert (watcher.context.epochs, watcher.context.seed) == (4, 3)
    assert (watcher.context.learning_rate, watcher.context.expected_positives) == (0.5, 1.5)


def test_a_method_on_pseudo_labels_needs_a_source() -> None:
    class Hungry(Watcher):
        needs_source = True

    with pytest.raises(OneLabelError, match="there is no source"):
        Recipe(parts(), Hungry(), LAST)


def test_a_recipe_that_cannot_choose_is_refused_before_anything_starts() -> None:
    watcher = Watcher()
    with pytest.raises(OneLabelError, match="--select observed needs validation images"):
        Recipe(parts(), watcher, Settings())
    assert not hasattr(watcher, "context")


def test_what_is_recorded_of_a_method() -> None:
    made = make_recipe(parts(), {"name": "em", "alpha": 0.2}, LAST)
    assert made.described == {"name": "em", "alpha": 0.2} and made.source is None


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ({"name": "me"}, {}, r"unknown method 'me' \(did you mean 'em'\?\)"),
        ({"name": "em", "alhpa": 1}, {}, r"no parameter 'alhpa' \(did you mean 'alpha'\?\)"),
        ({"name": "an"}, {"vlm_store": "store"}, "method 'an' uses no pseudo-labels"),
        ({"name": "an"}, {"source": {"name": "vlpl"}}, "method 'an' uses no pseudo-labels"),
        ({"name": "vlpl"}, {}, "--vlm-store STORE"),
        ({"name": "em-pl"}, {"vlm_store": "store"}, "--source"),
        ({"name": "role"}, {}, "--expected-positives"),
    ],
)
def test_what_does_not_fit_together(method: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(OneLabelError, match=message):
        make_recipe(parts(), method, LAST, **options)


def test_the_source_of_a_preset() -> None:
    assert usual_source("vlpl", None, None) == {"name": "vlpl"}
    assert usual_source("em", None, None) is None and usual_source("my.module:Method", None, None) is None
    given = {"name": "file", "path": "tags.csv"}
    assert usual_source("vlpl", given, None) == given
    assert usual_source("vlpl", None, {"name": "threshold", "positive": 0.5}) == {"name": "vlpl"}
    assert usual_source("vlpl", None, {"name": "damp"}) is None, "a rule on cosines is a source of its own"
