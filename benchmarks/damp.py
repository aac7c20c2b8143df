"""One epoch of DAMP pseudo-labels from cached cosines: time, and memory that does not follow the images.

A store of random unit vectors is written, its cosines with random classes are cached, and the pseudo-labels
of every image are asked for once, in a drawn order, with fresh mirror bits. Memory is what the process has
for itself (RssAnon), sampled while it works; pages of the files belong to the system, which takes them back
as it needs them.

python benchmarks/damp.py                  100,000 images x 80 classes x 17 views x 2, and a quarter of them
python benchmarks/damp.py --require 20     exit code 1 if the pass takes more than 20 seconds
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from memory import largest, status
from onelabel.images.views import view_plan
from onelabel.io.ids import IdTable
from onelabel.labels.table import LabelTable
from onelabel.sources.damp import DampSource
from onelabel.vlm.layout import Manifest, Plan, usual_shard_rows
from onelabel.vlm.store import EmbeddingStore


def write(folder: Path, images: int, grid: int, dim: int) -> EmbeddingStore:
    """A store as ``onelabel embed --views grid:G`` writes it, of random unit vectors."""
    ids = IdTable.from_strings(f"{row:07d}.jpg" for row in range(images))
    views = view_plan(f"grid:{grid}")
    fingerprint = {"weights": "random", "views": views.spec}
    folder.mkdir()
    plan = Plan(ids, dim, fingerprint, True, usual_shard_rows(images), views.names)
    manifest, rng = Manifest.begin(folder, plan), np.random.default_rng(0)
    for shard in range(plan.num_shards):
        rows = rng.standard_normal(plan.shape_of(shard), dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
        manifest.add(shard, rows.astype(np.float16), np.zeros((len(rows), 32), np.uint8))
    manifest.complete()
    return EmbeddingStore.open(folder)


def one_pass(source: DampSource, table: LabelTable, batch: int) -> int:
    """Ask for the pseudo-labels of all images in a drawn order; return the number of positives."""
    order, positives = np.random.default_rng(1).permutation(len(table)), 0
    for start in range(0, len(order), batch):
        index = order[start : start + batch]
        labels = torch.from_numpy(table.rows(index))
        never = torch.zeros(len(index), dtype=torch.bool)
        positives += int((source.pseudo(torch.from_numpy(index), labels, never, 1)[0] == 1).sum())
    return positives


def measure(images: int, options: argparse.Namespace, cache: bool) -> float:
    with tempfile.TemporaryDirectory() as place:
        store = write(Path(place) / "store", images, options.grid, options.dim)
        rng = np.random.default_rng(2)
        classes, rows = [f"class {c}" for c in range(options.classes)], np.arange(images)
        positive = rng.integers(0, options.classes, images)
        table = LabelTable.from_entries(store.ids, classes, rows, positive, np.ones(images, np.int8))
        source = DampSource(store, rng.normal(size=(options.classes, options.dim)), top_k=3, cache=cache)
        begin = time.perf_counter()
        source.start(table)
        started, before = time.perf_counter() - begin, status("RssAnon")
        with largest() as memory:
            begin = time.perf_counter()
            positives = one_pass(source, table, options.batch)
            spent = time.perf_counter() - begin
    kind = "cached cosines" if cache else "embeddings"
    print(
        f"{images:,} images, {kind}: start {started:.1f} s, pass {spent:.1f} s, "
        f"memory {before:.0f} MB, at most {memory[0] - before:.0f} MB more; {positives:,} positives",
        flush=True,
    )
    return spent


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--grid", type=int, default=4)
    parser.add_argument("--dim", type=int, default=64, help="cached cosines do not depend on it")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--embeddings", action="store_true", help="also without cached cosines")
    parser.add_argument("--require", type=float, default=float("inf"), help="seconds that count as passed")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    views = options.grid**2 + 1
    print(
        f"{options.classes} classes, {views} views x 2, batches of {options.batch}, {options.threads} threads"
    )
    measure(options.images // 4, options, cache=True)
    spent = measure(options.images, options, cache=True)
    if options.embeddings:
        measure(options.images, options, cache=False)
    return int(spent > options.require)


if __name__ == "__main__":
    raise SystemExit(main())
