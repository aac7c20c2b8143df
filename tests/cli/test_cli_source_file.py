"""``--source FILE.npz``: pseudo-labels of any origin, with every loss that takes some."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from onelabel.cli import main
from onelabel.labels.readers import load_labels
from onelabel.methods.registry import catalogue
from workshop import COLOURS, Workshop

GUIDED = [entry.name for entry in catalogue() if entry.needs_pseudo and not entry.source]


@pytest.fixture(scope="module")
def tags(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An opinion on every photo, in another order of photos and classes."""
    return write(tmp_path_factory.mktemp("tags") / "tags.npz", list(load_labels(workshop.single).table.ids))


def write(path: Path, ids: list[str]) -> Path:
    pseudo = np.random.default_rng(0).integers(-1, 2, (len(ids), len(COLOURS)))
    np.savez(path, ids=ids[::-1], classes=list(COLOURS)[::-1], pseudo=pseudo)
    return path


def source_of(run: Path) -> Any:
    return yaml.safe_load((run / "config.yaml").read_text())["source"]


@pytest.mark.parametrize("method", GUIDED)
def test_a_file_guides_every_loss_that_takes_pseudo_labels(
    workshop: Workshop, tags: Path, tmp_path: Path, method: str
) -> None:
    run = tmp_path / "run"
    basics = [*workshop.basics, "--select", "full", "--method", method]
    assert main([*basics, "--source", str(tags), "--out", str(run)]) == 0
    assert source_of(run) == {"name": "file", "path": str(tags)}
    named = ["--source", "file", "--source.path", str(tags), "--out", str(tmp_path / "named")]
    assert main([*basics, *named]) == 0
    assert main(["train", "--config", str(run / "config.yaml"), "--out", str(tmp_path / "again")]) == 0
    models = [
        (tmp_path / name / "bundle" / "model.safetensors").read_bytes() for name in ("run", "named", "again")
    ]
    assert models[0] == models[1] == models[2]


def test_another_file_is_another_model(workshop: Workshop, tags: Path, tmp_path: Path) -> None:
    with np.load(tags) as found:
        np.savez(
            tmp_path / "none.npz", ids=found["ids"], classes=found["classes"], pseudo=0 * found["pseudo"]
        )
    models = []
    for name, file in (("guided", tags), ("alone", tmp_path / "none.npz")):
        options = [
            "--method",
            "gpr",
            "--source",
            str(file),
            "--select",
            "last",
            "--out",
            str(tmp_path / name),
        ]
        assert main([*workshop.basics, *options]) == 0
        models.append((tmp_path / name / "bundle" / "model.safetensors").read_bytes())
    assert models[0] != models[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["gpr"], "trains on pseudo-labels: give --source FILE.npz, or --source vlpl"),
        (["gpr", "--source", "none.npz"], "there is no file none.npz of pseudo-labels"),
        (["gpr", "--source", "file"], "give --source FILE.csv or FILE.npz"),
        (["gpr", "--source", "vlpl"], "source 'vlpl' reads embeddings: give --vlm-store STORE"),
        (["gpr", "--source", "TAGS", "--vlm-store", "CLIP"], "source 'file' reads no embeddings"),
        (["an", "--source", "TAGS"], "method 'an' uses no pseudo-labels"),
        (["gpr", "--source", "FEW"], "few.npz has nothing for"),
    ],
)
def test_what_does_not_fit_is_one_line_and_leaves_no_run(
    workshop: Workshop,
    tags: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    few = write(tmp_path / "few.npz", list(load_labels(workshop.single).table.ids)[:3])
    real = {"TAGS": str(tags), "CLIP": str(workshop.clip_store), "FEW": str(few)}
    given = [real.get(option, option) for option in options]
    assert (
        main([*workshop.basics, "--select", "last", "--out", str(tmp_path / "run"), "--method", *given]) == 2
    )
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "run").exists()


def test_a_run_never_replaces_the_file_it_reads(
    workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main([*workshop.basics, "--method", "an", "--select", "last", "--out", str(run)]) == 0
    tags = write(run / "tags.npz", list(load_labels(workshop.single).table.ids))
    options = ["--method", "gpr", "--source", str(tags), "--out", str(run), "--overwrite"]
    assert main([*workshop.basics, *options]) == 2
    assert "would replace" in capsys.readouterr().err
    assert tags.is_file()
