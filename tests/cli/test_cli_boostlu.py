"""``train --boostlu``: on features and on photos, to the model that comes out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from onelabel.cli import main
from onelabel.models.bundle_read import load_bundle
from workshop import Workshop

BOOST = ["--boostlu", "5", "--method", "ll-ct", "--select", "full", "--epochs", "2"]


def test_a_boosted_head_on_features(workshop: Workshop, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main([*workshop.basics, *BOOST, "--out", str(run)]) == 0
    assert "boostlu: 5" in (run / "config.yaml").read_text()
    head = load_bundle(run).head
    assert (head.boost, head.maps) == (5.0, False)


def test_a_boosted_network_predicts_what_was_validated(workshop: Workshop, tmp_path: Path) -> None:
    run = tmp_path / "run"
    photos = ["--images", str(workshop.photos), "--backbone", workshop.backbone, "--lr", "1e-3"]
    assert main(["train", str(workshop.single), *photos, *BOOST, "--out", str(run)]) == 0
    bundle = load_bundle(run)
    assert (bundle.head.boost, bundle.head.maps) == (5.0, True)
    with np.load(run / "predictions.npz") as kept:
        found = dict(bundle.predict([workshop.photos / name for name in kept["ids"].tolist()]))
        wanted = 1 / (1 + np.exp(-kept["logits"].astype(np.float64)))
    np.testing.assert_allclose(np.stack(list(found.values())), wanted, atol=1e-5)
    manifest = json.loads((run / "bundle" / "bundle.json").read_text())
    assert manifest["head"]["boost"] == 5.0


def test_a_network_without_maps_is_refused_before_a_run_folder(
    workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import timm

    network = timm.create_model("test_vit", pretrained=False)
    timm.models.save_for_hf(network, str(tmp_path / "vit"), safe_serialization=True)
    photos = ["--images", str(workshop.photos), "--backbone", f"local-dir:{tmp_path / 'vit'}"]
    assert main(["train", str(workshop.single), *photos, *BOOST, "--out", str(tmp_path / "run")]) == 2
    assert "BoostLU needs the feature maps of the backbone" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
