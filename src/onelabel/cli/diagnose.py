"""``onelabel diagnose``."""

from __future__ import annotations

from typing import Any

from onelabel.cli.guards import check_device, check_limits, check_result
from onelabel.cli.reading import photo_folder, read_labels, read_second
from onelabel.io.errors import OneLabelError

EXAMPLES = """
onelabel diagnose run labels.csv --complete full.csv --features features --out diagnosis
onelabel diagnose run labels.csv --complete full.csv --images photos --split train --k 10,-8 --out diagnosis
"""


def diagnose(
    run: str,
    labels: str,
    *,
    complete: str,
    out: str,
    images: str | None = None,
    features: str | None = None,
    split: str | None = None,
    k: str | None = None,
    bins: int = 100,
    show: int = 20,
    batch_size: int = 32,
    workers: int = 0,
    max_pixels: int = 100_000_000,
    device: str = "cpu",
    overwrite: bool = False,
    **reading: Any,
) -> None:
    """Show how a model sees the labels that are missing, where the truth is known.

    Three figures and their numbers: how far missing positives and true negatives lie apart, missing
    positives per class, and FN / (FN + TN) by predicted probability with the estimate K of the loss on it.

    Args:
        run: run folder of a training, or its bundle folder.
        labels: what the training knew: as for onelabel train.
        complete: the truth of the same images, read in the same way; what is not marked there is absent.
        out: folder to make.
        images: folder of the photos to score.
        features: instead, a store made by the model's own encoder, or the .npz it was trained on; with
            neither, the scores that the run saved of its validation images.
        split: part of the labels to look at; by default the training images where there are splits.
        k: parameters W,B of K = sigmoid(W p + B); by default those of the epoch that the run kept, for
            methods with such an estimate (gr, gr-pl, gpr, aevlp).
        bins: number of bins of the probability.
        show: how many classes to list, most missing positives first.
        batch_size: photos per pass through the network.
        workers: extra processes that read photos.
        max_pixels: largest allowed width × height of a photo.
        device: where the network runs, such as cpu or cuda.
        overwrite: replace the folder if it exists.
    """
    if images is not None and features is not None:
        raise OneLabelError("give --images DIR or --features STORE, not both")
    if not 2 <= bins <= 10_000:
        raise OneLabelError(f"--bins must be 2 to 10000, not {bins}")
    if features is None:
        images = photo_folder(labels, images, reading.get("format"))
    check_limits(show=show, batch_size=batch_size, workers=workers, max_pixels=max_pixels)
    check_result(out, run, labels, complete, images, features, overwrite=overwrite)
    if reading.get("classes") is not None:
        raise OneLabelError("the model knows its classes: leave --classes out")
    from onelabel.report.extra import require_report_extra

    require_report_extra()
    from onelabel.models.bundle_read import load_bundle
    from onelabel.recipes.diagnostics_k import k_given, k_of_run
    from onelabel.recipes.diagnostics_run import diagnose_run, saved_scores, truth_of, unknown_part
    from onelabel.training.judge import score_features, score_photos

    estimate = None if k is None else k_given(k)
    check_device(device)
    bundle = load_bundle(run, device)
    ids = bundle.class_ids
    observed = unknown_part(read_labels(labels, images=images, class_ids=ids, **reading), split)
    print("\ncomplete labels:")
    whole = read_second(complete, ids, {**reading, "images": images}, exhaustive=True)
    truth = truth_of(observed, whole)
    print(f"\nlooking at {len(observed):,} images")
    if features is not None:
        logits = score_features(bundle, observed, features)
    elif images is not None:
        logits = score_photos(bundle, observed, images, batch_size, workers, max_pixels)
    else:
        logits = saved_scores(run, observed)
    estimate = estimate or k_of_run(run, bundle)
    print(diagnose_run(observed, truth, logits, estimate, out, bins=bins, show=show, overwrite=overwrite))
