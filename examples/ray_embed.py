"""Encode a folder of photos with Ray Data: each actor holds the encoder, each block of rows is one batch.

    pip install 'ray[data]' onelabel
    python examples/ray_embed.py photos resnet50.tv_in1k features.npz --workers 2
    onelabel train labels.csv --features features.npz --method em --out run

Writes float32 vectors ``X`` (photos, D) and ``ids``. Mirror images, going on after an interruption, and
checks of what has changed are what ``onelabel embed`` has beyond this.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch

from onelabel.images.decode import decode
from onelabel.images.folder import list_images
from onelabel.io.atomic import atomic_write, check_output
from onelabel.models.backbones import load_backbone
from onelabel.training.embedding import TimmEncoder


class Encode:
    """What an actor does: load the network once, then turn rows of ids into rows of vectors.

    Args:
        root: folder of the photos.
        spec: timm name or ``local-dir:PATH``.
        device: ``"cpu"``, or ``"cuda"`` where Ray gives each actor a GPU.
    """

    def __init__(self, root: str, spec: str, device: str) -> None:
        self.root = Path(root)
        self.encoder = TimmEncoder(load_backbone(spec), device)

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        """Add the vector of each photo to its row."""
        pixels = [self.encoder.preprocess(decode(self.root / name)) for name in rows["id"]]
        return {"row": rows["row"], "vector": self.encoder.encode_images(torch.stack(pixels)).cpu().numpy()}


def embed(root: str, spec: str, workers: int, batch_size: int, gpus: float) -> tuple[list[str], Any]:
    """Return ids and vectors (N, D) float32 of the photos in a folder."""
    ids = list_images(root)
    data = ray.data.from_items([{"row": row, "id": name} for row, name in enumerate(ids)])
    found = data.map_batches(
        Encode,
        fn_constructor_args=(root, spec, "cuda" if gpus else "cpu"),
        batch_size=batch_size,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_gpus=gpus,
    )
    vectors: Any = None
    for batch in found.iter_batches(batch_size=1024):
        if vectors is None:
            vectors = np.empty((len(ids), batch["vector"].shape[1]), np.float32)
        vectors[batch["row"]] = batch["vector"]  # blocks come in any order
    return ids, vectors


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos")
    parser.add_argument("backbone")
    parser.add_argument("out")
    parser.add_argument("--workers", type=int, default=2, help="actors, each with the network")
    parser.add_argument("--batch-size", type=int, default=32, help="photos per pass")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs, or shares of one, for each actor")
    options = parser.parse_args()
    out = check_output(options.out)
    ids, vectors = embed(options.photos, options.backbone, options.workers, options.batch_size, options.gpus)
    with atomic_write(out, "wb") as stream:
        np.savez(stream, X=vectors, ids=np.array(ids))
    print(f"{len(ids)} photos × {vectors.shape[1]} numbers written to {out} by {options.workers} workers")


if __name__ == "__main__":
    main()
