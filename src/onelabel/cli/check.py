"""``onelabel check``."""

from __future__ import annotations

from typing import Any

from onelabel.cli.guards import check_json, check_limits
from onelabel.cli.reading import photo_folder, read_loaded

EXAMPLES = """
onelabel check labels.csv --images photos
onelabel check labels.csv --images photos --strict --json findings.json
"""


def check(
    labels: str,
    *,
    images: str | None = None,
    strict: bool = False,
    json: str | None = None,
    max_pixels: int = 100_000_000,
    workers: int | None = None,
    overwrite: bool = False,
    **reading: Any,
) -> int:
    """Show what is known and what is broken in labels and photos, before anything is trained.

    Exit code: 0, or 1 with --strict and at least one finding, or 2 for a mistake in the arguments.

    Args:
        labels: CSV, parquet, JSON or .npy file, folder, or published data set (see --format).
        images: folder of the photos; without it only labels are checked, but for class folders.
        strict: end with exit code 1 when there are findings.
        json: file for all findings, as JSON.
        max_pixels: largest allowed width × height of a photo.
        workers: processes that read photos; all cores by default.
        overwrite: replace the JSON file if it exists.
    """
    import json as json_module

    from onelabel.io.atomic import atomic_write
    from onelabel.labels.check import render, run_checks

    images = photo_folder(labels, images, reading.get("format"))
    check_limits(max_pixels=max_pixels, workers=workers)
    check_json(json, labels, images, reading.get("classes"), overwrite=overwrite)
    loaded = read_loaded(labels, images=images, **reading)
    report = run_checks(loaded.table, images, max_pixels=max_pixels, workers=workers, copies=loaded.copies)
    print(render(report))
    if json is not None:
        with atomic_write(json) as stream:
            json_module.dump(report.to_dict(), stream, indent=1, ensure_ascii=False)
    return report.exit_code(strict)
