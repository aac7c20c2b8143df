"""``train`` with an MLP head, an earlier run, averages, stopping rules and another photo size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from desk import BASICS, Desk, words
from onelabel.cli import main
from onelabel.models.bundle_read import load_bundle
from workshop import Workshop

WRONG = [
    ("train", "--stop drop-2 --select last", "--stop drop-2 watches the selection score"),
    ("train", "--stop drop2", "--stop 'drop2': never or no-gain or drop-2"),
    ("train", "--ema 1", "--ema must be below 1, not 1"),
    ("train", "--head mpl", "--head 'mpl': linear or mlp is expected (did you mean 'mlp'?)"),
    ("train", "--head mlp --boostlu 5", "leave --boostlu out"),
    ("train", "--head-width 5", "--head-width is that of --head mlp"),
    ("train", "--photo-size 448", "--photo-size is for fine-tuning"),
    ("train", "--freeze-epochs 1", "--freeze-epochs is for fine-tuning"),
    ("train", "--no-freeze-batchnorm", "--freeze-batchnorm is for fine-tuning"),
    ("train", "--init none", "none holds no trained model"),
    ("train", "--init run --head mlp", "the head of --init is {'kind': 'linear'"),
    ("train", "--init run --features clip-store", "was made with other"),
    ("train --backbone", "--photo-size 0", "--photo-size must be 1 or more, not 0"),
    ("train --backbone", "--photo-size 9999", "--photo-size 9999"),
    ("train --backbone", "--freeze-epochs 1", "--freeze-epochs 1 takes all 1 epochs"),
    ("train --backbone", "--init run --boostlu 5", "the head of --init is"),
]


@pytest.mark.parametrize(("command", "more", "message"), WRONG)
def test_options_that_cannot_be(command: str, more: str, message: str, desk: Desk) -> None:
    assert message in desk.complaint(*words(BASICS[command]), *more.split())


def test_linear_initialisation_with_everything_else(
    workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A head on features, then the whole network from its weights; both predict what they validated."""
    first, second = tmp_path / "head", tmp_path / "whole"
    mlp = ["--head", "mlp", "--head-width", "9", "--method", "em", "--select", "full"]
    assert main([*workshop.basics, *mlp, "--ema", "0.5", "--out", str(first)]) == 0
    assert "all 3 epochs were run" in capsys.readouterr().out
    fine = ["train", str(workshop.single), "--images", str(workshop.photos), "--backbone", workshop.backbone]
    settings = ["--init", str(first), "--photo-size", "96", "--ema", "0.9", "--stop", "no-gain"]
    phases = ["--epochs", "3", "--freeze-epochs", "1", "--no-freeze-batchnorm", "--lr", "1e-3"]
    assert main([*fine, *mlp, *settings, *phases, "--workers", "0", "--out", str(second)]) == 0
    config = yaml.safe_load((second / "config.yaml").read_text(encoding="utf-8"))
    wanted = {"init": str(first), "photo_size": 96, "ema": 0.9, "stop": "no-gain", "head": "mlp"}
    assert {key: config[key] for key in wanted} == wanted
    manifest = json.loads((second / "bundle" / "bundle.json").read_text(encoding="utf-8"))
    assert manifest["backbone"]["preprocessing"] == {
        "size": 96, "resize": "squash", "interpolation": "bilinear", "crop_fraction": 1.0,
        "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
    }  # fmt: skip
    with np.load(second / "predictions.npz") as kept:
        found = dict(load_bundle(second).predict([workshop.photos / name for name in kept["ids"].tolist()]))
        expected = 1 / (1 + np.exp(-kept["logits"].astype(np.float64)))
    np.testing.assert_allclose(np.stack(list(found.values())), expected, atol=1e-5)
