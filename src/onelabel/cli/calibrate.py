"""``onelabel calibrate``."""

from __future__ import annotations

from typing import Any, Literal

from onelabel.cli.guards import check_device, check_limits
from onelabel.cli.reading import photo_folder, read_labels
from onelabel.io.errors import OneLabelError

EXAMPLES = """
onelabel calibrate run checked.csv --exhaustive --images photos
onelabel calibrate run checked.csv --exhaustive --images photos --rule precision:0.9 --platt
onelabel calibrate run checked.csv --exhaustive --features features --rule cost:5:1
onelabel calibrate run labels.csv --images photos --rule recall:0.9
"""


def calibrate(
    run: str,
    labels: str,
    *,
    images: str | None = None,
    features: str | None = None,
    split: str | None = None,
    rule: str = "f1",
    scope: Literal["shrunk", "class", "all"] | None = None,
    platt: bool = False,
    show: int = 20,
    batch_size: int = 32,
    workers: int = 0,
    max_pixels: int = 100_000_000,
    device: str = "cpu",
    **reading: Any,
) -> None:
    """Fit thresholds, and with --platt probabilities, to labelled photos; they are stored in the model.

    Use photos that the model was not trained on, and evaluate on others. The model's former thresholds and
    calibration are replaced, its weights stay.

    Args:
        run: run folder of a training, or its bundle folder.
        labels: CSV, parquet, JSON or .npy file, folder, or published data set (see --format).
        images: folder of the photos; may be left out for class folders.
        features: instead of photos, a store made by the model's own encoder, or the .npz it was trained on.
        split: part of the labels to fit to; by default the validation images where there are splits.
        rule: f1, precision:P, recall:R, cost:FN:FP (cost of a missed and of a false positive), or share:PI.
            Where only positives are known: recall:R of the known positives, or share:PI of all probabilities.
        scope: thresholds per class, drawn to a common one the more the rarer the class (shrunk), per class
            (class), or one (all). By default shrunk, but all for recall and share.
        platt: calibrate the probabilities first; needs known absences.
        show: how many classes to list, rarest first.
        batch_size: photos per pass through the network.
        workers: extra processes that read photos.
        max_pixels: largest allowed width × height of a photo.
        device: where the network runs, such as cpu or cuda.
    """
    if features is None:
        images = photo_folder(labels, images, reading.get("format"))
    check_limits(show=show, batch_size=batch_size, workers=workers, max_pixels=max_pixels)
    if (images is None) == (features is None):
        raise OneLabelError("give either --images DIR or --features STORE")
    if reading.get("classes") is not None:
        raise OneLabelError("the model knows its classes: leave --classes out")
    from pathlib import Path

    from onelabel.evaluation.rules import parse_rule
    from onelabel.evaluation.text import threshold_lines
    from onelabel.models.bundle_read import load_bundle
    from onelabel.training.decide import store_decisions, with_calibration, with_thresholds
    from onelabel.training.judge import choose_split, score_features, score_photos, trained_on

    parsed = parse_rule(rule)
    check_device(device)
    bundle = load_bundle(run, device, without_decisions=True)
    table = read_labels(labels, images=images, class_ids=bundle.class_ids, **reading)
    table = choose_split(table, split, "val")
    if features is not None:
        logits = score_features(bundle, table, features)
    else:
        logits = score_photos(bundle, table, str(images), batch_size, workers, max_pixels)
    name = Path(labels).name
    if platt:
        bundle = with_calibration(bundle, table, logits, name)
    bundle, found = with_thresholds(bundle, table, logits, name, parsed, scope)
    store_decisions(run, bundle, table)
    print("\n".join(threshold_lines(found, show)))
    for note in (*trained_on(run, table), *found.notes):
        print(f"note: {note}")
    print(f"probabilities: {bundle.probability_source}")
    print(f"decisions: threshold {bundle.thresholds.source}")
    print(f"stored in {run}; onelabel predict uses them")
