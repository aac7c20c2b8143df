"""From photos to a file of predictions: ``onelabel predict``."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from onelabel.images.decode import MAX_PIXELS
from onelabel.images.folder import expand_photos
from onelabel.io.atomic import atomic_write, check_output
from onelabel.io.errors import ImageError, OneLabelError, unknown_name
from onelabel.io.progress import progress
from onelabel.models.bundle import Bundle
from onelabel.models.bundle_read import load_bundle

COLUMNS = ("image", "class", "probability", "decision")
OnBadImage = Literal["stop", "skip"]
Row = tuple[str, str, float, int]


@dataclass(frozen=True)
class Predicted:
    """What was predicted.

    Args:
        images: number of photos in the file.
        classes: number of classes of the model.
        skipped: errors of the photos that are not in it.
        thresholds_source: where the thresholds of the decisions come from.
        probabilities: what the probabilities are: calibrated on what, or not.
    """

    images: int
    classes: int
    skipped: tuple[ImageError, ...]
    thresholds_source: str
    probabilities: str


def predict_to_file(
    run: str | Path,
    photos: Sequence[str],
    out: str | Path,
    *,
    on_bad_image: OnBadImage = "stop",
    batch_size: int = 32,
    workers: int = 0,
    max_pixels: int = MAX_PIXELS,
    device: str = "cpu",
    overwrite: bool = False,
) -> Predicted:
    """Write a row per photo and class: image, class id, probability, decision (1 present, -1 absent).

    The file appears only when it is complete. Probabilities are written so that they read back exactly as
    the float32 values that the decisions were made from.

    Args:
        run: run folder, or its bundle folder.
        photos: files, folders or patterns.
        out: a ``.csv`` file with a header, or a ``.jsonl`` file with one object per line.
        on_bad_image: ``"stop"`` raises at a photo that cannot be used; ``"skip"`` leaves it out and reports
            it.
        batch_size: photos per pass through the network.
        workers: extra processes that decode photos.
        max_pixels: larger photos count as ones that cannot be used.
        device: where the network runs.
        overwrite: replace ``out`` if it exists.

    Raises:
        OneLabelError: nothing usable under ``run`` or ``photos``, or ``out`` cannot be written.
        ImageError: names the photo that cannot be used.
    """
    out = check_output(out, overwrite=overwrite)
    write_rows = _writer(out)
    if on_bad_image not in ("stop", "skip"):
        raise unknown_name("on_bad_image", on_bad_image, ("stop", "skip"))
    paths = expand_photos(photos)
    _require_text(paths)
    bundle = load_bundle(run, device)
    skipped: list[ImageError] = []

    def on_bad(error: ImageError) -> None:
        if on_bad_image == "stop":
            raise error
        skipped.append(error)

    found = bundle.predict(
        paths, batch_size=batch_size, workers=workers, max_pixels=max_pixels, on_bad_image=on_bad
    )
    with atomic_write(out) as stream:
        write_rows(stream, _rows(bundle, found, len(paths)))
        if len(skipped) == len(paths):
            raise OneLabelError(f"none of the {len(paths)} photos can be used; the first: {skipped[0]}")
    return Predicted(
        images=len(paths) - len(skipped),
        classes=len(bundle.classes),
        skipped=tuple(skipped),
        thresholds_source=bundle.thresholds.source,
        probabilities=bundle.probability_source,
    )


def _rows(bundle: Bundle, found: Iterator[tuple[Path, NDArray[np.float32]]], total: int) -> Iterator[Row]:
    ids = bundle.class_ids
    with progress("predict", total, "photos") as advance:
        for path, probs in found:
            # The shortest text that reads back as the same float32.
            shown = [float(str(value)) for value in probs]
            yield from zip(
                [path.as_posix()] * len(ids), ids, shown, bundle.decide(probs).tolist(), strict=True
            )
            advance()


def _writer(out: Path) -> Callable[[IO[Any], Iterator[Row]], None]:
    writers = {".csv": _write_csv, ".jsonl": _write_jsonl}
    if out.suffix not in writers:
        raise OneLabelError(f"cannot tell the format of {out}: its name must end in .csv or .jsonl")
    return writers[out.suffix]


def _write_csv(stream: IO[Any], rows: Iterator[Row]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)


def _write_jsonl(stream: IO[Any], rows: Iterator[Row]) -> None:
    for row in rows:
        json.dump(dict(zip(COLUMNS, row, strict=True)), stream, ensure_ascii=False)
        stream.write("\n")


def _require_text(paths: Sequence[Path]) -> None:
    for path in paths:
        try:
            str(path).encode()
        except UnicodeEncodeError:
            raise OneLabelError(f"the name of photo {str(path)!r} is not valid UTF-8; rename it") from None
