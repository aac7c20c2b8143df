"""Fine-tuning with pseudo-labels: of AEVLP from a store of tiles, of a file, and several templates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from onelabel.cli import main
from onelabel.demo.tiny_clip import tiny_clip
from onelabel.labels.readers import load_labels
from workshop import COLOURS, Workshop


@pytest.fixture(scope="module")
def tiles(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stores") / "tiles"
    command = ["embed", str(workshop.single), "--images", str(workshop.photos), "--vlm", tiny_clip()]
    assert main([*command, "--views", "grid:2", "--workers", "0", "--out", str(out)]) == 0
    return out


def fine_tune(workshop: Workshop, out: Path, *options: str) -> bytes:
    """Fine-tune for two epochs; return the weights of the model."""
    basics = [
        "train",
        str(workshop.single),
        "--images",
        str(workshop.photos),
        "--epochs",
        "2",
        "--lr",
        "1e-3",
    ]
    backbone = ["--backbone", workshop.backbone, "--workers", "0", "--select", "full"]
    assert main([*basics, *backbone, *options, "--out", str(out)]) == 0
    return (out / "bundle" / "model.safetensors").read_bytes()


def test_aevlp_from_a_store_of_tiles(
    workshop: Workshop, tiles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aevlp = ["--method", "aevlp", "--vlm-store", str(tiles), "--source.temperature", "0.05"]
    loose = [*aevlp, "--source.threshold", "0.2"]
    guided = fine_tune(workshop, tmp_path / "run", *loose)
    assert "no limit on the pseudo-labels of an image" in capsys.readouterr().out
    assert json.loads((tmp_path / "run/metrics.json").read_text())
    assert yaml.safe_load((tmp_path / "run/config.yaml").read_text())["source"]["name"] == "damp"
    assert fine_tune(workshop, tmp_path / "same", *loose) == guided
    assert fine_tune(workshop, tmp_path / "none", *aevlp, "--source.threshold", "1.0") != guided
    assert (
        main(["predict", str(tmp_path / "run"), str(workshop.photos), "--out", str(tmp_path / "t.csv")]) == 0
    )


def test_a_file_of_another_program(workshop: Workshop, tmp_path: Path) -> None:
    ids = list(load_labels(workshop.single).table.ids)
    models = []
    for name, value in (("present", 1), ("silent", 0)):
        file = tmp_path / f"{name}.npz"
        pseudo = np.full((len(ids), len(COLOURS)), value, np.int8)
        np.savez(file, ids=ids[::-1], classes=list(COLOURS), pseudo=pseudo)
        models.append(fine_tune(workshop, tmp_path / name, "--method", "gpr", "--source", str(file)))
    assert models[0] != models[1]


def test_a_file_that_misses_a_photo_is_refused_before_anything_is_written(
    workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = list(load_labels(workshop.single).table.ids)[1:]
    np.savez(tmp_path / "t.npz", ids=ids, classes=list(COLOURS), pseudo=np.zeros((len(ids), 4), np.int8))
    basics = [
        "train",
        str(workshop.single),
        "--images",
        str(workshop.photos),
        "--backbone",
        workshop.backbone,
    ]
    options = ["--method", "gpr", "--source", str(tmp_path / "t.npz"), "--out", str(tmp_path / "run")]
    assert main([*basics, *options]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "run").exists()


def test_several_templates_are_averaged(workshop: Workshop, tiles: Path, tmp_path: Path) -> None:
    """From the command line as from a file; and they are not the same as one of them."""
    file = tmp_path / "templates.txt"
    file.write_text("a photo of a {}.\na drawing of a {}.\n", encoding="utf-8")
    basics = ["pseudo", str(workshop.single), "--source", str(tiles), "--rule", "vlpl"]
    given = {"one": "a photo of a {}.", "row": "a photo of a {}.|a drawing of a {}.", "text": str(file)}
    scores = {}
    for name, template in given.items():
        out = ["--name", name, "--folder", str(tmp_path / "sets"), "--template", template]
        assert main([*basics, *out]) == 0
        with np.load(tmp_path / "sets" / name / "opinions.npz") as found:
            scores[name] = found["score"]
    np.testing.assert_array_equal(scores["row"], scores["text"])
    assert (scores["row"] != scores["one"]).any()
