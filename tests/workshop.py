"""A workshop for the commands: drawn photos, their labels, two tiny networks, and their stores."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image, ImageDraw

from onelabel.cli import main

COLOURS = {
    "red": (230, 30, 30),
    "green": (20, 180, 40),
    "blue thing": (30, 60, 220),
    "gelb ü": (240, 220, 20),
}
IMAGES = 48


@dataclass(frozen=True)
class Workshop:
    """Files that the commands are given; made once, never changed by a test.

    Args:
        root: folder of all others.
        photos: 48 photos in two folders, with blanks and umlauts in some names.
        full: complete labels, wide CSV of 0 and 1 with a column ``split``.
        single: one positive per training image, made by ``onelabel simulate``.
        backbone: ``local-dir:`` of a timm network.
        clip: ``local-dir:`` of a CLIP-type model.
        features: store of the backbone.
        clip_store: store of the CLIP-type model.
    """

    root: Path
    photos: Path
    full: Path
    single: Path
    backbone: str
    clip: str
    features: Path
    clip_store: Path

    @property
    def basics(self) -> list[str]:
        """Arguments of a short training on features, but for method and out."""
        return ["train", str(self.single), "--features", str(self.features), "--epochs", "3"]


def _draw(path: Path, present: list[bool], generator: np.random.Generator) -> None:
    image = Image.fromarray(generator.integers(200, 255, (40, 48, 3), dtype=np.uint8))
    pen = ImageDraw.Draw(image)
    for there, colour in zip(present, COLOURS.values(), strict=True):
        if there:
            x, y = int(generator.integers(0, 30)), int(generator.integers(0, 22))
            pen.rectangle((x, y, x + 16, y + 16), fill=colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _write_photos(photos: Path, labels: Path) -> None:
    generator = np.random.default_rng(5)
    present = generator.random((IMAGES, len(COLOURS))) < 0.45
    present[present.sum(axis=1) == 0, 0] = True
    with labels.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", *COLOURS, "split"])
        for row, marks in enumerate(present):
            name = f"{'old album' if row % 2 else 'neu/größer'}/photo {row}.png"
            _draw(photos / name, marks.tolist(), generator)
            split = "train" if row < 28 else "val" if row < 38 else "test"
            writer.writerow([name, *marks.astype(int), split])


def build_workshop(root: Path, clip: Path) -> Workshop:
    """Draw the photos and run the commands that come before a training.

    Args:
        root: an empty folder.
        clip: folder of a CLIP-type model.
    """
    _write_photos(root / "photos", root / "full.csv")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model("test_resnet", pretrained=False)
    timm.models.save_for_hf(network, str(root / "net"), safe_serialization=True)
    shop = Workshop(
        root, root / "photos", root / "full.csv", root / "single.csv", f"local-dir:{root / 'net'}",
        f"local-dir:{clip}", root / "features", root / "clip store",
    )  # fmt: skip
    embed = ["embed", str(shop.single), "--images", str(shop.photos), "--workers", "0"]
    for command in (
        ["simulate", str(shop.full), "--exhaustive", "--out", str(shop.single)],
        [*embed, "--backbone", shop.backbone, "--out", str(shop.features)],
        [*embed, "--vlm", shop.clip, "--out", str(shop.clip_store)],
    ):
        assert main(command) == 0, command
    return shop
