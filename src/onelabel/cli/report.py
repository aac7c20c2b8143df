"""``onelabel report``."""

from __future__ import annotations

from typing import Any

from onelabel.cli.guards import check_device, check_file, check_json, check_limits
from onelabel.cli.reading import photo_folder, read_labels
from onelabel.io.errors import OneLabelError

EXAMPLES = """
onelabel report run --out report.html --images photos
onelabel report run --out report.html --labels checked.csv --exhaustive --images photos
onelabel report run --out report.html --labels checked.csv --exhaustive --features features --split test
"""


def report(
    run: str,
    *,
    out: str,
    labels: str | None = None,
    images: str | None = None,
    features: str | None = None,
    split: str | None = None,
    bootstrap: int | None = None,
    examples: int = 8,
    batch_size: int = 32,
    workers: int = 0,
    max_pixels: int = 100_000_000,
    device: str = "cpu",
    overwrite: bool = False,
    **reading: Any,
) -> None:
    """Write a page about a run, to be opened in a browser: one HTML file, and its numbers as JSON beside it.

    Without --labels, the model is judged by the validation images of the run, which flatters it. The options
    that say how labels are read are those of --labels.

    Args:
        run: run folder of a training.
        out: the .html file; the JSON file has the same name with .json.
        labels: labelled photos that were not trained on, to judge the model by.
        images: folder of the photos, to show some and to score those of --labels; may be left out for class
            folders.
        features: score the photos of --labels from a store made by the model's own encoder, or from the .npz
            file it was trained on.
        split: part of --labels to judge by; by default the test images where there are splits.
        bootstrap: how many times the images (or groups) are drawn again for the interval of the mAP; 0 gives
            none; by default 1000, or fewer where that would take long.
        examples: photos of each kind to show; 0 for none.
        batch_size: photos per pass through the network.
        workers: extra processes that read photos.
        max_pixels: largest allowed width × height of a photo.
        device: where the network runs, such as cpu or cuda.
        overwrite: replace the two files if they exist.
    """
    from onelabel.report.extra import require_report_extra
    from onelabel.report.page import data_path

    if labels is not None and features is None:
        images = photo_folder(labels, images, reading.get("format"))
    check_limits(batch_size=batch_size, workers=workers, max_pixels=max_pixels)
    if bootstrap is not None and (bootstrap < 0 or bootstrap == 1):
        raise OneLabelError(f"--bootstrap must be 2 or more, or 0 for no interval, not {bootstrap}")
    if examples < 0:
        raise OneLabelError(f"--examples must be 0 or more, not {examples}")
    if not out.endswith(".html"):
        raise OneLabelError(f"a page is written: the name of {out} must end in .html")
    check_file(out, run, labels, images, features, overwrite=overwrite)
    check_json(data_path(out), run, labels, images, features, overwrite=overwrite)
    _check_labels(labels, images, features, split, reading)
    require_report_extra()
    from onelabel.models.bundle_read import load_bundle
    from onelabel.report.gather import gather
    from onelabel.report.run_report import write_report
    from onelabel.training.judge import choose_split, score_features, score_photos
    from onelabel.training.run_folder import RunFolder

    check_device(device)
    folder, bundle = RunFolder.open(run), load_bundle(run, device)
    given = None
    if labels is not None:
        table = read_labels(labels, images=images, class_ids=bundle.class_ids, **reading)
        table = choose_split(table, split)
        if features is not None:
            logits = score_features(bundle, table, features)
        else:
            logits = score_photos(bundle, table, str(images), batch_size, workers, max_pixels)
        given = f"{len(table):,} images of {labels}", table, logits
    material = gather(folder, bundle, given=given, photos=images, draws=bootstrap)
    write_report(out, material, examples=examples, max_pixels=max_pixels)
    for gap in material.gaps:
        print(f"note: {gap}")
    print(f"written: {out}, and its numbers to {data_path(out)}")


def _check_labels(
    labels: str | None, images: str | None, features: str | None, split: str | None, reading: dict[str, Any]
) -> None:
    """Check that nothing is given that nobody looks at, and that labelled images can be scored."""
    if reading.get("classes") is not None:
        raise OneLabelError("the model knows its classes: leave --classes out")
    if labels is None:
        options = {"features": features, "split": split, **reading}
        given = [key for key, value in options.items() if value not in (None, "auto")]
        if given:
            flag = f"--{given[0].replace('_', '-')}"
            raise OneLabelError(f"{flag} is about the images of --labels FILE: give one, or leave it out")
    elif images is None and features is None:
        raise OneLabelError(
            "--labels are judged by photos or features: give --images DIR or --features STORE"
        )
