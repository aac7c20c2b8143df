"""``onelabel predict``."""

from __future__ import annotations

from typing import Literal

from onelabel.cli.guards import check_device, check_file, check_limits

EXAMPLES = """
onelabel predict run photo.jpg --out tags.csv
onelabel predict run photos/ more/*.png --out tags.jsonl
"""


def predict(
    run: str,
    photos: list[str],
    *,
    out: str,
    on_bad_image: Literal["stop", "skip"] = "stop",
    max_pixels: int = 100_000_000,
    batch_size: int = 32,
    workers: int = 0,
    device: str = "cpu",
    overwrite: bool = False,
) -> None:
    """Name what is on photos: a row per photo and class with probability and decision.

    Needs neither network nor training data.

    Args:
        run: run folder of a training, or its bundle folder.
        photos: files, folders or patterns such as 'photos/*.jpg'.
        out: file to write: .csv, or .jsonl with one line per photo and class.
        on_bad_image: stop at an unreadable photo, or skip it and list it at the end.
        max_pixels: largest allowed width × height of a photo.
        batch_size: photos per pass through the network.
        workers: extra processes that read photos.
        device: where the network runs, such as cpu or cuda.
        overwrite: replace the file if it exists.
    """
    check_limits(max_pixels=max_pixels, batch_size=batch_size, workers=workers)
    check_file(out, run, *photos, overwrite=overwrite)
    from onelabel.models.predict import predict_to_file

    check_device(device)

    found = predict_to_file(
        run,
        photos,
        out,
        on_bad_image=on_bad_image,
        batch_size=batch_size,
        workers=workers,
        max_pixels=max_pixels,
        device=device,
        overwrite=overwrite,
    )
    for error in found.skipped:
        print(f"skipped: {error}")
    print(f"{found.images} photos × {found.classes} classes written to {out}")
    print(f"probabilities: {found.probabilities}")
    print(f"decisions (1 present, -1 absent): threshold {found.thresholds_source}")
