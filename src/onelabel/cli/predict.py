"""``onelabel predict``."""

from __future__ import annotations

from typing import Literal

from onelabel.cli.guards import check_device, check_file, check_limits
from onelabel.cli.sharing import this_device, this_share

EXAMPLES = """
onelabel predict run photo.jpg --out tags.csv
onelabel predict run photos/ more/*.png --out tags.jsonl
onelabel predict run photos/ --part 2/8 --out tags.csv
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
    part: str | None = None,
    overwrite: bool = False,
) -> None:
    """Name what is on photos: a row per photo and class with probability and decision.

    Needs neither network nor training data. Several processes that share the folder can each do a part:
    started by torchrun, by srun, as a SLURM array, or with --part. The file appears when the last part is
    finished, the same as from one process.

    Args:
        run: run folder of a training, or its bundle folder.
        photos: files, folders or patterns such as 'photos/*.jpg'.
        out: file to write: .csv, or .jsonl with one line per photo and class.
        on_bad_image: stop at an unreadable photo, or skip it and list it at the end.
        max_pixels: largest allowed width × height of a photo.
        batch_size: photos per pass through the network.
        workers: extra processes that read photos.
        device: where the network runs, such as cpu or cuda.
        part: I/N: do the I-th of N parts; by default what torchrun or SLURM say, else everything.
        overwrite: replace the file if it exists.
    """
    check_limits(max_pixels=max_pixels, batch_size=batch_size, workers=workers)
    check_file(out, run, *photos, overwrite=overwrite)
    share = this_share(part)
    from onelabel.models.predict import predict_to_file
    from onelabel.models.predict_parts import LeftToOthersError

    device = this_device(device, share)
    check_device(device)
    try:
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
            share=share,
        )
    except LeftToOthersError as done:
        print(done)
        return
    for error in found.skipped:
        print(f"skipped: {error}")
    print(f"{found.images} photos × {found.classes} classes written to {out}")
    print(f"probabilities: {found.probabilities}")
    print(f"decisions (1 present, -1 absent): threshold {found.thresholds_source}")
