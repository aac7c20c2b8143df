"""``onelabel predict``."""

from __future__ import annotations

from typing import Literal

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
        overwrite: replace the file if it exists.
    """
