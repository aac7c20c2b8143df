"""The steps of ``onelabel ablate`` once its options are checked; they import torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from onelabel.cli.choices import METHOD, SOURCE, complete
from onelabel.io.errors import OneLabelError
from onelabel.labels.table import LabelTable
from onelabel.recipes.ablation_run import Asked, part_to_score, run_study
from onelabel.recipes.ablation_train import Bench, Photos
from onelabel.training.parts import divide
from onelabel.training.settings import Settings
from onelabel.vlm.features import open_features

_SHARED = ("batch_size", "head_lr_multiplier", "head_init", "select", "mirror")


def start(given: Mapping[str, Any], table: LabelTable) -> int:
    """Run a study; return the exit code: 0, or 1 if some cells failed.

    Args:
        given: the options of the command, ``axes`` and ``wanted_seeds``.
        table: the labels.

    Raises:
        OneLabelError: something does not fit together.
    """
    parts = divide(table, None, given["val_fraction"], given["split_seed"])
    for note in parts.notes:
        if "are not used" not in note:  # the test images are, here
            print(f"note: {note}")
    test = part_to_score(table)
    if test is None and parts.val is None:
        raise OneLabelError(
            "there are no images to score on: no split begins with test, and no validation images"
        )
    if test is None:
        print("note: no split begins with test: the figures are those of the images that choose the epoch")
    if given["source"] is None:
        raise OneLabelError(
            f"method {given['method']['name']!r} brings no pseudo-labels, and the studies are about them: "
            "give --source vlpl, or leave --method out"
        )
    bench = Bench(
        parts, test, complete(METHOD, given["method"]), complete(SOURCE, given["source"]), _settings(given),
        given["vlm_store"], given["template"],
    )  # fmt: skip
    name = given["name"] or Path(given["labels"]).stem
    beside = tuple(filter(None, (given["beside"] or "").split(",")))
    asked = Asked(given["study"], given["axes"], given["wanted_seeds"], name, beside, given["out"])
    return 1 if run_study(asked, bench, _network(given)) else 0


def _settings(given: Mapping[str, Any]) -> Settings:
    epochs, lr = (25, 1e-3) if given["backbone"] is None else (10, 1e-5)
    epochs = epochs if given["epochs"] is None else given["epochs"]
    lr = lr if given["lr"] is None else given["lr"]
    return Settings(epochs=epochs, lr=lr, **{key: given[key] for key in _SHARED})


def _network(given: Mapping[str, Any]) -> Any:
    if given["backbone"] is None:
        return open_features(given["features"])
    if given["precision"] == "16" and not torch.accelerator.is_available():
        raise OneLabelError("--precision 16 needs a GPU and there is none: use bf16 or 32")
    return Photos(
        given["backbone"], given["images"], given["photo_size"], given["precision"], given["workers"],
        given["max_pixels"],
    )  # fmt: skip
