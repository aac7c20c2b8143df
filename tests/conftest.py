"""Fixtures for every room: reference vectors, real data, and a tiny CLIP-type model made on the spot."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# As many test processes as cores: a thread more in each would only wait. Set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TINY_MODEL: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
TINY_PREPROCESS: dict[str, Any] = {
    "mean": [0.4, 0.5, 0.6],
    "std": [0.2, 0.25, 0.3],
    "interpolation": "bilinear",
    "resize_mode": "squash",
}


def _folder_of(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"set {variable} to run this test")
    folder = Path(value)
    assert folder.is_dir(), f"{variable} is {value!r}, which is not a folder"
    return folder


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of reference vectors; skips the test where ONELABEL_GOLDEN is unset."""
    return _folder_of("ONELABEL_GOLDEN")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data sets; skips the test where ONELABEL_DATA is unset."""
    return _folder_of("ONELABEL_DATA")


@pytest.fixture(scope="session")
def make_clip() -> Callable[..., Path]:
    """``make_clip(folder, seed=0, model=..., preprocess=...)``: write an open_clip folder, random weights."""

    def make(
        folder: Path,
        seed: int = 0,
        model: dict[str, Any] = TINY_MODEL,
        preprocess: dict[str, Any] = TINY_PREPROCESS,
    ) -> Path:
        import open_clip  # type: ignore[import-untyped]
        import torch
        from safetensors.torch import save_file

        config = json.loads(json.dumps(model))
        network = open_clip.CustomTextCLIP if config.pop("custom_text", False) else open_clip.CLIP
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            state = network(**config).state_dict()
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {key: value.contiguous() for key, value in state.items()}, folder / "open_clip_model.safetensors"
        )
        content = {"model_cfg": model, "preprocess_cfg": preprocess}
        (folder / "open_clip_config.json").write_text(json.dumps(content), encoding="utf-8")
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory, make_clip: Callable[..., Path]) -> Path:
    """A folder for ``local-dir:``: a CLIP of two small layers, images of 32 × 32, 32 dimensions, seed 0."""
    return make_clip(tmp_path_factory.mktemp("clip") / "tiny")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest test, so that no process waits for it at the end."""
    items.sort(key=lambda item: "test_tutorial" not in item.nodeid)
