"""``onelabel embed --views`` and ``onelabel train --method aevlp``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from onelabel.cli import main
from onelabel.demo.tiny_clip import tiny_clip as demo_clip
from onelabel.vlm.store import EmbeddingStore
from workshop import Workshop


@pytest.fixture(scope="module")
def tiles(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of five views of every photo, pixels as the released code of AEVLP has them."""
    out = tmp_path_factory.mktemp("stores") / "tiles"
    command = ["embed", str(workshop.single), "--images", str(workshop.photos), "--vlm", demo_clip()]
    options = ["--views", "grid:2", "--preprocess", "released-aevlp", "--workers", "0", "--batch-size", "7"]
    assert main([*command, *options, "--out", str(out)]) == 0
    return out


def model(run: Path) -> bytes:
    return (run / "bundle" / "model.safetensors").read_bytes()


def test_the_store_holds_the_views(workshop: Workshop, tiles: Path) -> None:
    store, plain = EmbeddingStore.open(tiles), EmbeddingStore.open(workshop.clip_store)
    assert len(store.views) == 5 and store.mirrored and store.ids == plain.ids
    assert store.fingerprint["views"] == "grid:2" and '"squash"' in store.fingerprint["preprocessing"]


def test_trains_from_the_store_alone(
    workshop: Workshop, tiles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    basics = [*workshop.basics, "--select", "last", "--method", "aevlp", "--vlm-store", str(tiles)]
    loose = ["--source.threshold", "0.3", "--source.temperature", "0.05"]
    assert main([*basics, *loose, "--out", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "no limit on the pseudo-labels of an image" in out
    assert "the loss does without" in out
    found = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert found["source"]["name"] == "damp" and found["method"]["name"] == "aevlp"
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())
    again = ["train", "--config", str(tmp_path / "run" / "config.yaml"), "--out", str(tmp_path / "again")]
    assert main(again) == 0
    assert model(tmp_path / "run") == model(tmp_path / "again")
    variants = {
        "negatives": [*loose, "--source.negatives", "0.5"],
        "seed": [*loose, "--seed", "1", "--source.seed", "0"],
        "bits": [*loose, "--source.seed", "9"],
        "released": [*loose, "--source.as-released", "--source.negatives", "0.5"],
        "limits": [*loose, "--source.top-k", "1", "--expected-positives", "1.5"],
    }
    models = {model(tmp_path / "run")}
    for name, options in variants.items():
        assert main([*basics, *options, "--out", str(tmp_path / name)]) == 0
        models.add(model(tmp_path / name))
    assert len(models) == 1 + len(variants)
    out = capsys.readouterr().out
    assert "at most 1 pseudo-labels per image, as given" in out
    assert "1.5 labels expected per image, as given" in out


def test_cached_cosines_are_kept_and_used(workshop: Workshop, tiles: Path, tmp_path: Path) -> None:
    basics = [*workshop.basics, "--select", "last", "--method", "aevlp", "--vlm-store", str(tiles)]
    for name in ("first", "second"):
        assert main([*basics, "--source.cache", "--out", str(tmp_path / name)]) == 0
    assert model(tmp_path / "first") == model(tmp_path / "second")
    assert len(list(tiles.glob("cosines-*"))) == 1


def test_vlpl_takes_the_whole_image_of_the_same_store(
    workshop: Workshop, tiles: Path, tmp_path: Path
) -> None:
    basics = [*workshop.basics, "--select", "last", "--method", "vlpl", "--vlm-store", str(tiles)]
    assert main([*basics, "--out", str(tmp_path / "run")]) == 0


def test_a_store_of_whole_images_is_refused_before_anything_is_written(
    workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    basics = [*workshop.basics, "--method", "aevlp", "--vlm-store", str(workshop.clip_store)]
    assert main([*basics, "--out", str(tmp_path / "run")]) == 2
    assert "onelabel embed --views grid:4" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--views", "grid:0"], "unknown views 'grid:0'"),
        (["--preprocess", "clip"], "unknown preprocessing 'clip'"),
    ],
)
def test_unknown_names_are_refused(
    workshop: Workshop, tmp_path: Path, option: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["embed", str(workshop.single), "--images", str(workshop.photos), "--vlm", workshop.clip]
    assert main([*command, *option, "--out", str(tmp_path / "store")]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
