"""Images per second that reach the encoder: our loader against a transcription of the released data item.

The released item of AEVLP decodes a photo twice and makes the 448 x 448 image of the classifier and 17 views
at 224 x 224, all as normalised float32. Ours decodes once and hands over the 17 views as uint8, which are
normalised where the encoder runs; that step is timed too. Both go through torch's DataLoader with the same
workers and batch, in turns. Without workers the seconds are those of the processor, so that other programs on
the machine count little; with workers, handing over takes part of the time, and it needs idle cores.

python benchmarks/embed.py PHOTOS                 a folder of photos
python benchmarks/embed.py PHOTOS --require 3     exit code 1 if the loader is less than 3 times faster
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate
from torchvision import transforms  # type: ignore[import-untyped]

from onelabel.images.decode import MAX_PIXELS
from onelabel.images.folder import list_images
from onelabel.images.named import IMAGENET_MEAN, IMAGENET_STD, named_preprocessing
from onelabel.images.transforms import Preprocess
from onelabel.images.views import ViewPlan, view_plan
from onelabel.io.ids import IdTable
from onelabel.vlm.embed import HashedImages

OWN = Preprocess(224, "crop", "bicubic", (0.481, 0.458, 0.408), (0.269, 0.261, 0.276))
AEVLP = named_preprocessing("released-aevlp", OWN)


class ReleasedItem(Dataset[tuple[Tensor, Tensor]]):
    """What ``ds_multilabel.__getitem__`` of AEVLP (0bad82a, ``datasets.py``) computes of a photo."""

    def __init__(self, paths: list[Path], grid: int) -> None:
        self.paths, self.grid = paths, grid
        tail = [
            transforms.RandomHorizontalFlip(0.5),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
        self.large = transforms.Compose([transforms.Resize((448, 448)), *tail])
        self.small = transforms.Compose([transforms.Resize((224, 224)), *tail])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        with Image.open(self.paths[index]) as photo:
            image = self.large(photo.convert("RGB"))
        with Image.open(self.paths[index]) as photo:
            whole = photo.convert("RGB")
        width, height = (side // self.grid for side in whole.size)
        views = [self.small(whole)]
        for row in range(self.grid):
            for column in range(self.grid):
                left, upper = column * width, row * height
                views.append(self.small(whole.crop((left, upper, left + width, upper + height))))
        return image, torch.cat([view.unsqueeze(0) for view in views])


def collate_ours(items: list[Any]) -> Tensor:
    pixels: Tensor = default_collate([pixels for pixels, _ in items])
    return pixels


def seconds(loader: DataLoader[Any], normalise: bool = False) -> float:
    clock = time.perf_counter if loader.num_workers else time.process_time
    begin = clock()
    for batch in loader:
        if normalise:
            AEVLP.normalise(batch.flatten(0, 1))
    return clock() - begin


def loaders(paths: list[Path], root: Path, plan: ViewPlan, options: Any) -> dict[str, DataLoader[Any]]:
    ids = IdTable.from_strings(path.relative_to(root).as_posix() for path in paths)
    common: dict[str, Any] = {"batch_size": options.batch, "num_workers": options.workers}
    ours = HashedImages(root, ids, AEVLP, plan, MAX_PIXELS)
    return {
        "released item": DataLoader(ReleasedItem(paths, options.grid), **common),
        "ours": DataLoader(ours, collate_fn=collate_ours, **common),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--grid", type=int, default=4)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--workers", type=int, default=0, help="0: in this process, on one core")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--require", type=float, default=0.0, help="smallest ratio that counts as passed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    paths = [options.photos / name for name in list_images(options.photos)]
    made = loaders(paths, options.photos, view_plan(f"grid:{options.grid}"), options)
    runs = {name: (loader, False) for name, loader in made.items()}
    runs["ours, normalised by the main process"] = (made["ours"], True)
    rounds = [{name: seconds(*run) for name, run in runs.items()} for _ in range(options.repeats)]
    times = {name: min(spent[name] for spent in rounds) for name in runs}
    cores = max(1, options.workers)
    sides = np.median([Image.open(path).size for path in paths], axis=0)
    print(
        f"{len(paths)} photos, median {sides[0]:.0f} x {sides[1]:.0f}, {options.workers} workers, one thread"
    )
    for name, spent in times.items():
        rate = len(paths) / spent
        ratio = times["released item"] / spent
        print(f"{name:40s} {rate / cores:7.1f} images/s per core  {ratio:5.2f} times")
    return int(times["released item"] / times["ours"] < options.require)


if __name__ == "__main__":
    raise SystemExit(main())
