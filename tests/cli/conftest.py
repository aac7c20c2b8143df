"""The workshop of the commands, built once, and a desk with copies of its files."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from desk import Desk
from onelabel.cli import main
from onelabel.labels.readers import load_labels, save_labels
from workshop import Workshop, build_workshop


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Workshop:
    """Photos, labels, networks and stores; no test may change them."""
    return build_workshop(tmp_path_factory.mktemp("work shop ü"), tiny_clip)


@pytest.fixture(scope="session")
def cupboard(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that the commands of ``BASICS`` read, under short names."""
    folder = tmp_path_factory.mktemp("cupboard")
    shutil.copytree(workshop.photos, folder / "photos")
    shutil.copy(workshop.full, folder / "full.csv")
    shutil.copy(workshop.single, folder / "labels.csv")
    table = load_labels(workshop.single).table
    save_labels(replace(table.part("train"), splits=None, split_names=()), folder / "single.csv")
    save_labels(replace(table.part("val"), splits=None, split_names=()), folder / "val.csv")
    shutil.copytree(workshop.backbone.partition(":")[2], folder / "net")
    shutil.copytree(workshop.clip.partition(":")[2], folder / "clip")
    shutil.copytree(workshop.features, folder / "features")
    shutil.copytree(workshop.clip_store, folder / "clip-store")
    run = [*workshop.basics, "--method", "an", "--select", "full", "--out", str(folder / "run")]
    assert main(run) == 0
    return folder


@pytest.fixture
def desk(
    cupboard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Desk:
    """A copy of the cupboard, which is the current folder."""
    shutil.copytree(cupboard, tmp_path / "desk", copy_function=os.link)
    monkeypatch.chdir(tmp_path / "desk")
    return Desk(tmp_path / "desk", capsys)
