"""Millions of images: time and memory of labels, loader, store, evaluation and check.

Each part runs in a process of its own, so that its peak memory, imports included, is its own (VmHWM; with
worker processes, the memory that they do not share, USS). The data is made in a temporary folder.

python benchmarks/scale.py                      all parts at full size (6 GB of disk, about 10 minutes)
python benchmarks/scale.py table store          these parts
python benchmarks/scale.py --share 0.01         everything at a hundredth of the size
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from memory import largest, status, unshared

ROWS, CLASSES = 10_000_000, 10_000
"""Of the label table."""

_PIECE = 100_000


def write_long_csv(path: Path, rows: int, classes: int) -> None:
    """One drawn class for each image."""
    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as stream:
        stream.write("image,label\n")
        for start in range(0, rows, _PIECE):
            drawn = rng.integers(0, classes, min(_PIECE, rows - start))
            stream.writelines(
                f"photos/{(start + i) // 1000:05d}/{start + i:08d}.jpg,class{number:05d}\n"
                for i, number in enumerate(drawn)
            )


def table(folder: Path, share: float, exhaustive: bool = False) -> str:
    """A single-positive table from a long CSV."""
    from onelabel.labels.readers import load_labels
    from onelabel.labels.readers.base import ReadOptions

    file = folder.parent / "long.csv"
    if not file.exists():
        write_long_csv(file, int(ROWS * share), CLASSES)
    began = time.perf_counter()
    read = load_labels(file, ReadOptions(exhaustive=exhaustive or None)).table
    seconds, counts = time.perf_counter() - began, read.counts()
    unknown = int(counts.unknown.sum())
    return (
        f"{len(read):,} images x {read.num_classes:,} classes in {seconds:.0f} s; {unknown:,} entries unknown"
    )


def exhaustive(folder: Path, share: float) -> str:
    """The same table, what is not marked being absent."""
    return table(folder, share, exhaustive=True)


def make_photos(folder: Path, images: int, size: int, distinct: bool) -> None:
    """Small photos: all different, or names of the same few files."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for row in range(images):
        place = folder / f"{row // 1000:04d}"
        if row % 1000 == 0:
            place.mkdir(parents=True)
        path = place / f"{row:07d}.png"
        if distinct or row % 1000 == 0:
            Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(
                path, compress_level=1
            )
        else:
            os.link(place / f"{row // 1000 * 1000:07d}.png", path)


def loader(folder: Path, share: float) -> str:
    """One epoch over a million photos with four loader workers: their memory at a tenth and at the end."""
    from onelabel.images.dataset import ImageRows
    from onelabel.images.transforms import Preprocess
    from onelabel.io.ids import IdTable
    from onelabel.training.photo_rows import EpochOrder, photo_batches

    images = int(1_000_000 * share)
    make_photos(folder, images, 8, distinct=False)
    ids = IdTable.from_strings(f"{row // 1000:04d}/{row:07d}.png" for row in range(images))
    preprocess = Preprocess(8, "squash", "bilinear", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    batches = photo_batches(ImageRows(folder, ids, preprocess), 256, 4, EpochOrder(0, images))
    seen, marks, began = 0, [], time.perf_counter()
    for index, _ in batches:
        before, seen = seen, seen + len(index)
        if before < images // 10 <= seen or seen == images:
            marks.append([(unshared(process), status("RssAnon", process)) for process in children()])
    seconds = time.perf_counter() - began
    own, allocated = np.subtract(marks[1], marks[0]).max(axis=0)
    held = ", ".join(f"{value:.0f}" for value, _ in marks[1])
    return (
        f"{seen:,} photos in {seconds:.0f} s; workers hold {held} MB that are not shared, at most {own:+.1f} "
        f"MB since a tenth, because less is shared; allocated: at most {allocated:+.1f} MB since a tenth"
    )


def children() -> list[int]:
    """The worker processes of this one, in order."""
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="utf-8")
    return [int(part) for part in text.split()]


def store(folder: Path, share: float) -> str:
    """Random batches of 256 rows from a store of a million embeddings of length 512, warm."""
    from onelabel.io.ids import IdTable
    from onelabel.vlm.layout import Manifest, Plan, usual_shard_rows
    from onelabel.vlm.store import EmbeddingStore

    images = int(1_000_000 * share)
    ids = IdTable.from_strings(f"{row:07d}.jpg" for row in range(images))
    plan = Plan(ids, 512, {"weights": "random"}, False, usual_shard_rows(images))
    rng, path = np.random.default_rng(0), folder / "store"
    path.mkdir()
    manifest = Manifest.begin(path, plan)
    for shard in range(plan.num_shards):
        rows = rng.standard_normal(plan.shape_of(shard), dtype=np.float32).astype(np.float16)
        manifest.add(shard, rows, np.zeros((len(rows), 32), np.uint8))
    manifest.complete()
    opened, times = EmbeddingStore.open(path), []
    opened.rows(np.arange(images))[0]  # warm
    for _ in range(200):
        index = rng.integers(0, images, 256)
        began = time.perf_counter()
        opened.rows(index)
        times.append(time.perf_counter() - began)
    low, middle, high = (1000 * float(np.percentile(times, at)) for at in (5, 50, 95))
    return f"256 of {images:,} x 512 in {middle:.2f} ms (5 % {low:.2f}, 95 % {high:.2f})"


def evaluation(folder: Path, share: float) -> str:
    """All metrics of a million images and a thousand classes, both matrices on disk."""
    from onelabel.evaluation.evaluate import evaluate

    images, classes = int(1_000_000 * share), 1000
    scores = np.lib.format.open_memmap(folder / "scores.npy", "w+", np.float16, (images, classes))
    labels = np.lib.format.open_memmap(folder / "labels.npy", "w+", np.int8, (images, classes))
    rng = np.random.default_rng(0)
    for start in range(0, images, _PIECE):
        rows = slice(start, min(start + _PIECE, images))
        true = rng.random((rows.stop - start, classes), np.float32) < 0.02
        scores[rows] = rng.standard_normal(true.shape, np.float32) + true
        labels[rows] = np.where(true, 1, -1)
    scores, labels = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("scores", "labels"))
    began = time.perf_counter()
    with largest() as anonymous:
        found = evaluate(scores, labels, [f"class{c}" for c in range(classes)], 1.0)
    seconds = time.perf_counter() - began
    worst = max(abs(slow_ap(scores[:, c], labels[:, c]) - found.mean_ap.ap[c]) for c in range(5))
    exact = f"five classes differ by at most {worst:.1e} from scikit-learn"
    return (
        f"{images:,} x {classes:,} in {seconds:.0f} s, {exact}; at most {anonymous[0]:,.0f} MB besides files"
    )


def slow_ap(scores: np.ndarray, labels: np.ndarray) -> float:
    """Scikit-learn's average precision, in percent of one."""
    from sklearn.metrics import average_precision_score  # type: ignore[import-untyped]

    return float(average_precision_score(labels > 0, scores.astype(np.float64)))


def check(folder: Path, share: float) -> str:
    """``onelabel check`` on 100,000 photos; the memory of a tenth of them beside it."""
    from onelabel.labels.check import run_checks
    from onelabel.labels.readers import load_labels
    from onelabel.labels.readers.base import ReadOptions

    images, peaks, rates = int(100_000 * share), [], []
    make_photos(folder, images, 64, distinct=True)
    for part in (images // 10, images):
        file = folder / f"{part}.csv"
        rows = (f"{row // 1000:04d}/{row:07d}.png,class{row % 20}\n" for row in range(part))
        file.write_text("image,label\n" + "".join(rows), encoding="utf-8")
        began = time.perf_counter()
        run_checks(load_labels(file, ReadOptions()).table, folder)
        rates.append(part / (time.perf_counter() - began))
        peaks.append(status("VmHWM"))
    memory = f"peak {peaks[0]:.0f} MB at a tenth, {peaks[1]:.0f} MB at all"
    return f"{images:,} photos, {rates[1]:,.0f} a second; {memory}"


PARTS: dict[str, Callable[[Path, float], str]] = {
    part.__name__: part for part in (table, exhaustive, loader, store, evaluation, check)
}


def run_part(name: str, folder: Path, share: float) -> str:
    """Run a part in a process of its own; return its line with its peak memory."""
    place = folder / name
    place.mkdir()
    command = [sys.executable, __file__, "--inside", name, str(place), "--share", str(share)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else f"failed: {done.stderr.strip()[-500:]}"


def results(names: list[str], share: float) -> Iterator[str]:
    """Run parts one after the other; yield a line for each."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name in names:
            yield f"{name:<11} {run_part(name, Path(folder), share)}"


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--share", type=float, default=1.0, help="of the full sizes")
    parser.add_argument("--inside", nargs=2, metavar=("PART", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        name, folder = options.inside
        line = PARTS[name](Path(folder), options.share)
        print(f"{line}; peak {status('VmHWM'):,.0f} MB")
        return
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    for line in results(options.parts or list(PARTS), options.share):
        print(line, flush=True)


if __name__ == "__main__":
    main()
