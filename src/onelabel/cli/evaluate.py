"""``onelabel evaluate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onelabel.cli.guards import check_device, check_json, check_limits
from onelabel.cli.reading import photo_folder, read_labels
from onelabel.io.errors import OneLabelError

if TYPE_CHECKING:
    from onelabel.evaluation.evaluate import Evaluation

EXAMPLES = """
onelabel evaluate run labels.csv --exhaustive --images photos
onelabel evaluate run labels.csv --exhaustive --features features --split test --json test.json
onelabel evaluate run labels.csv --exhaustive --images photos --bootstrap 1000
"""


def evaluate(
    run: str,
    labels: str,
    *,
    images: str | None = None,
    features: str | None = None,
    split: str | None = None,
    json: str | None = None,
    bootstrap: int = 0,
    show: int = 20,
    batch_size: int = 32,
    workers: int = 0,
    max_pixels: int = 100_000_000,
    device: str = "cpu",
    overwrite: bool = False,
    **reading: Any,
) -> Evaluation:
    """Score a trained model on labelled photos, with only those labels that are known.

    Args:
        run: run folder of a training, or its bundle folder.
        labels: CSV, parquet, JSON or .npy file, folder, or published data set (see --format).
        images: folder of the photos; may be left out for class folders.
        features: instead of photos, a store made by the model's own encoder, or the .npz it was trained on.
        split: part of the labels to score on; by default the test images where there are splits.
        json: file for all figures, as JSON.
        bootstrap: how many times the images (or groups) are drawn again for an interval of the mAP, such as
            1000; 0 gives none.
        show: how many classes to list, lowest AP first.
        batch_size: photos per pass through the network.
        workers: extra processes that read photos.
        max_pixels: largest allowed width × height of a photo.
        device: where the network runs, such as cpu or cuda.
        overwrite: replace the JSON file if it exists.
    """
    import json as json_module

    if features is None:
        images = photo_folder(labels, images, reading.get("format"))
    check_limits(show=show, batch_size=batch_size, workers=workers, max_pixels=max_pixels)
    check_json(json, labels, run, images, features, overwrite=overwrite)
    if bootstrap and bootstrap < 2:
        raise OneLabelError(f"--bootstrap must be 2 or more, or 0 for no interval, not {bootstrap}")
    if (images is None) == (features is None):
        raise OneLabelError("give either --images DIR or --features STORE")
    if reading.get("classes") is not None:
        raise OneLabelError("the model knows its classes: leave --classes out")
    from onelabel.evaluation.bootstrap import bootstrap_map
    from onelabel.io.atomic import atomic_write
    from onelabel.models.bundle_read import load_bundle
    from onelabel.training.judge import choose_split, judge, score_features, score_photos, warnings_on

    check_device(device)
    bundle = load_bundle(run, device)
    table = read_labels(labels, images=images, class_ids=bundle.class_ids, **reading)
    table = choose_split(table, split)
    if features is not None:
        logits = score_features(bundle, table, features)
    else:
        logits = score_photos(bundle, table, str(images), batch_size, workers, max_pixels)
    found = judge(bundle, table, logits, warnings_on(run, table))
    print(found.table(classes=show))
    figures = found.to_dict()
    if bootstrap:
        interval = bootstrap_map(logits, table.dense(), draws=bootstrap, groups=table.groups)
        print(f"\n{interval}")
        figures["map_interval"] = interval.to_dict()
    if json is not None:
        with atomic_write(json) as stream:
            json_module.dump(figures, stream, indent=1, ensure_ascii=False)
    return found
