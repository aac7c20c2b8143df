"""Make the tiny vision-language model of the demo: ``python scripts/train_tiny_clip.py --out FOLDER``.

Trained from nothing, as CLIP is (Radford et al. 2021, https://arxiv.org/abs/2103.00020): a symmetric
contrastive loss draws each picture and its caption together. A caption names *one* object of its picture, at
random, and says nothing of the others. The scenes are of the part ``captions``, which no other part shares.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from onelabel.demo.scenes import make_scene, part_seed

IMAGE_SIZE = 64
EMBED_DIM = 64
CONTEXT = 16  # tokens of a caption; the longest below has 9
CAPTIONS = (
    "a photo of a {}.",
    "a picture of a {}.",
    "a photo of the {}.",
    "a drawing of a {}.",
    "there is a {} here.",
    "a {}",
    "{}",
)
MODEL: dict[str, Any] = {
    "embed_dim": EMBED_DIM,
    "vision_cfg": {"timm_model_name": "test_resnet", "timm_pool": "avg", "image_size": IMAGE_SIZE},
    # The vocabulary of 49,408 words is most of the file: 12 numbers a word is what 2 MB leave room for.
    "text_cfg": {"context_length": CONTEXT, "vocab_size": 49408, "width": 12, "heads": 2, "layers": 1},
}
PREPROCESS: dict[str, Any] = {
    "size": IMAGE_SIZE,
    "mode": "RGB",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "interpolation": "bicubic",
    "resize_mode": "squash",
}


def draw_scenes(count: int, seed: int) -> tuple[Tensor, list[list[str]]]:
    """Draw the scenes: pictures (count, 3, 64, 64) uint8 and the names of the objects in each."""
    pictures = torch.empty(count, 3, IMAGE_SIZE, IMAGE_SIZE, dtype=torch.uint8)
    names = []
    for index in range(count):
        scene, objects = make_scene(part_seed("captions", seed), index)
        small = scene.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
        flat = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8)
        pictures[index] = flat.view(IMAGE_SIZE, IMAGE_SIZE, 3).permute(2, 0, 1)
        names.append(objects)
    return pictures, names


def normalise(pictures: Tensor) -> Tensor:
    """Bring bytes to the range the model is used with."""
    mean, std = (torch.tensor(PREPROCESS[key]).view(3, 1, 1) for key in ("mean", "std"))
    return (pictures.float() / 255 - mean) / std


def augment(pictures: Tensor, generator: torch.Generator, shift: int = 4) -> Tensor:
    """Mirror half of the batch at random and move all of it by up to ``shift`` pixels."""
    mirrored = torch.rand(len(pictures), generator=generator) < 0.5
    pictures = torch.where(mirrored.view(-1, 1, 1, 1), pictures.flip(-1), pictures)
    padded = nn.functional.pad(pictures, (shift,) * 4, mode="replicate")
    down, right = torch.randint(0, 2 * shift + 1, (2,), generator=generator).tolist()
    return padded[..., down : down + IMAGE_SIZE, right : right + IMAGE_SIZE]


def caption(objects: list[str], rng: Random) -> str:
    """Name one object of a scene."""
    return rng.choice(CAPTIONS).format(rng.choice(objects))


def batches(
    pictures: Tensor, names: list[list[str]], size: int, generator: torch.Generator, rng: Random
) -> Iterator[tuple[Tensor, list[str]]]:
    """Yield one epoch in random order, each scene with a new caption; what fills no batch is left out."""
    order = torch.randperm(len(names), generator=generator)
    for rows in order.split(size):
        if len(rows) == size:
            images = normalise(augment(pictures[rows], generator)).contiguous(
                memory_format=torch.channels_last
            )
            yield images, [caption(names[row], rng) for row in rows.tolist()]


def optimiser(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    """AdamW; no decay on vectors, scales and the vocabulary, whose unused words would only fade."""
    decayed, plain = [], []
    for name, parameter in model.named_parameters():
        (plain if parameter.ndim < 2 or "embedding" in name else decayed).append(parameter)
    return torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}], rate
    )


def train(model: nn.Module, pictures: Tensor, names: list[list[str]], args: argparse.Namespace) -> None:
    """Train with the contrastive loss; prints one line an epoch."""
    generator, rng = torch.Generator().manual_seed(args.seed), Random(args.seed)
    tokenise = open_clip.SimpleTokenizer(context_length=CONTEXT)
    loss_of, optimise = open_clip.ClipLoss(), optimiser(model, args.rate)
    steps = args.epochs * (len(names) // args.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimise, args.rate, total_steps=steps, pct_start=0.1)
    started = time.monotonic()
    for epoch in range(1, args.epochs + 1):
        total = 0.0
        for images, captions in batches(pictures, names, args.batch, generator, rng):
            loss = loss_of(*model(images, tokenise(captions)))
            optimise.zero_grad()
            loss.backward()
            optimise.step()
            schedule.step()
            total += loss.item() * args.batch / len(names)
        print(f"epoch {epoch}: loss {total:.4f}, {time.monotonic() - started:.0f} s", flush=True)


def save(model: nn.Module, folder: Path) -> None:
    """Write the open_clip folder; weights in half precision, so that the file stays under 2 MB."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.half().contiguous() if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }
    save_file(weights, folder / "open_clip_model.safetensors")
    config = {"model_cfg": MODEL, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line, draw, train, save."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--scenes", type=int, default=24000)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    torch.use_deterministic_algorithms(True)
    pictures, names = draw_scenes(args.scenes, args.seed)
    model = open_clip.CLIP(**MODEL).to(memory_format=torch.channels_last)  # a third less time on a CPU
    train(model, pictures, names, args)
    save(model, args.out)


if __name__ == "__main__":
    main()
