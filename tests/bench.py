"""What benchmarks are given in tests: archives, a network and a vision-language model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import timm
import torch

from fake_archives import write_archive


@dataclass(frozen=True)
class Bench:
    """What a benchmark on a small machine is given.

    Args:
        root: folder of all; observed labels and embeddings are shared in ``prepared``.
        clip: ``local-dir:`` of a CLIP-type model.
        net: ``local-dir:`` of a timm network.
    """

    root: Path
    clip: str
    net: str

    def data(self, data_set: str) -> Path:
        """Folder of a data set."""
        return self.root / data_set

    def command(self, recipe: str, out: Path, *more: str) -> list[str]:
        """Arguments of ``onelabel`` for one short run."""
        data = str(self.data(recipe.split("/")[0]))
        small = ["--backbone", self.net, "--photo-size", "32", "--epochs", "1", "--workers", "0"]
        place = ["--data", data, "--out", str(out), "--prepared", str(self.root / "prepared")]
        return ["benchmark", recipe, *place, *small, *more]


def build_bench(root: Path, clip: Path, data_sets: Iterable[str]) -> Bench:
    """Write data sets and a network.

    Args:
        root: an empty folder.
        clip: folder of a CLIP-type model.
        data_sets: which, by name.
    """
    for number, data_set in enumerate(data_sets):
        write_archive(data_set, root / data_set, seed=number)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model("test_resnet", pretrained=False)
    timm.models.save_for_hf(network, str(root / "net"), safe_serialization=True)
    return Bench(root, f"local-dir:{clip}", f"local-dir:{root / 'net'}")
