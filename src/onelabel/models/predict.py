"""From photos to a file of predictions: ``onelabel predict``."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from onelabel.images.decode import MAX_PIXELS
from onelabel.images.folder import expand_photos
from onelabel.images.loading import loader_faults_explained
from onelabel.io.atomic import atomic_write, check_output
from onelabel.io.errors import ImageError, OneLabelError, unknown_name
from onelabel.io.manifest import digest_file
from onelabel.io.progress import progress
from onelabel.io.shares import WHOLE, Share
from onelabel.models.bundle import Bundle
from onelabel.models.bundle_read import find_bundle, load_bundle
from onelabel.models.predict_parts import Pieces, Told, digest_of, partial_folder, require_some

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
    share: Share = WHOLE,
) -> Predicted:
    """Write a row per photo and class: image, class id, probability, decision (1 present, -1 absent).

    The file appears only when it is complete. Probabilities are written so that they read back exactly as
    the float32 values that the decisions were made from.

    Several processes that share the folder of ``out`` each predict a share of the photos, at the same time or
    not; the file that the last one writes is the same, byte for byte, as that of one process. Until then
    their work lies in ``OUT.partial``; what is finished there is not done again.

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
        overwrite: replace ``out`` if it exists, and discard unfinished work for something else.
        share: which of several processes this is.

    Raises:
        LeftToOthersError: this share is finished; the file is written by another process.
        OneLabelError: nothing usable under ``run`` or ``photos``, or ``out`` cannot be written.
        ImageError: names the photo that cannot be used.
    """
    out = check_output(out, overwrite=overwrite)
    form = _form_of(out)
    if on_bad_image not in ("stop", "skip"):
        raise unknown_name("on_bad_image", on_bad_image, ("stop", "skip"))
    paths = expand_photos(photos)
    _require_text(paths)
    settings = {"batch_size": batch_size, "max_pixels": max_pixels, "on_bad_image": on_bad_image}
    in_pieces = share.of > 1 or partial_folder(out).is_dir()
    identity = _identity(run, paths, settings | {"format": out.suffix}) if in_pieces else {}
    pieces = Pieces(out, identity, len(paths), batch_size, share)
    bundle = load_bundle(run, device)

    def write(stream: IO[str], rows: range) -> Told:
        skipped: list[ImageError] = []

        def on_bad(error: ImageError) -> None:
            if on_bad_image == "stop":
                raise error
            skipped.append(error)

        some = paths[rows.start : rows.stop]
        found = bundle.predict(
            some, batch_size=batch_size, workers=workers, max_pixels=max_pixels, on_bad_image=on_bad
        )
        with loader_faults_explained():
            form.write(stream, _rows(bundle, found, len(some), bar=not in_pieces))
        return Told(len(some) - len(skipped), tuple((error.path, error.problem) for error in skipped))

    if in_pieces:
        told = pieces.run(write, form.header, overwrite)
    else:
        with atomic_write(out) as stream:
            stream.write(form.header)
            told = [write(stream, range(len(paths)))]
            require_some(told)
    return Predicted(
        images=sum(piece.images for piece in told),
        classes=len(bundle.classes),
        skipped=tuple(ImageError(*one) for piece in told for one in piece.skipped),
        thresholds_source=bundle.thresholds.source,
        probabilities=bundle.probability_source,
    )


def _identity(run: str | Path, paths: Sequence[Path], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides the predictions, by name: the model's files, the photos, the settings."""
    files = sorted(file for file in find_bundle(run).rglob("*") if file.is_file())
    return {
        "model": digest_of(digest_file(file) for file in files),
        "photos": digest_of(path.as_posix() for path in paths),
        **settings,
    }


def _rows(
    bundle: Bundle, found: Iterator[tuple[Path, NDArray[np.float32]]], total: int, *, bar: bool
) -> Iterator[Row]:
    ids = bundle.class_ids
    with progress("predict", total, "photos") if bar else nullcontext(lambda count=1: None) as advance:  # noqa: ARG005
        for path, probs in found:
            # The shortest text that reads back as the same float32.
            shown = [float(str(value)) for value in probs]
            yield from zip(
                [path.as_posix()] * len(ids), ids, shown, bundle.decide(probs).tolist(), strict=True
            )
            advance()


@dataclass(frozen=True)
class _Form:
    """How rows are written.

    Args:
        header: what stands before them.
        write: writes rows.
    """

    header: str
    write: Callable[[IO[str], Iterator[Row]], None]


def _write_csv(stream: IO[str], rows: Iterator[Row]) -> None:
    csv.writer(stream, lineterminator="\n").writerows(rows)


def _write_jsonl(stream: IO[str], rows: Iterator[Row]) -> None:
    for row in rows:
        json.dump(dict(zip(COLUMNS, row, strict=True)), stream, ensure_ascii=False)
        stream.write("\n")


_FORMS = {".csv": _Form(",".join(COLUMNS) + "\n", _write_csv), ".jsonl": _Form("", _write_jsonl)}


def _form_of(out: Path) -> _Form:
    if out.suffix not in _FORMS:
        raise OneLabelError(f"cannot tell the format of {out}: its name must end in .csv or .jsonl")
    return _FORMS[out.suffix]


def _require_text(paths: Sequence[Path]) -> None:
    for path in paths:
        try:
            str(path).encode()
        except UnicodeEncodeError:
            raise OneLabelError(f"the name of photo {str(path)!r} is not valid UTF-8; rename it") from None
