"""``onelabel ablate``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from onelabel.cli.choices import METHOD, SOURCE
from onelabel.cli.guards import check_beside, check_limits
from onelabel.cli.reading import photo_folder, read_labels
from onelabel.io.errors import OneLabelError

CHOICES = (replace(METHOD, usual=lambda _chosen: "vlpl"), SOURCE)
EXAMPLES = """
onelabel ablate labels.csv --study grid --features features --vlm-store clip --out grid
onelabel ablate cub.csv --study grid --thresholds 0.01,0.03,0.05 --features f --vlm-store clip --out cub
onelabel ablate labels.csv --study negatives --seeds 0,1,2 --features features --vlm-store clip --out delta
onelabel ablate labels.csv --study smoothing --images photos --backbone resnet50 --vlm-store clip --out rho
"""
_FOR_FINE_TUNING = {
    "head_lr_multiplier": 1.0, "photo_size": None, "precision": "32", "workers": 1, "max_pixels": 100_000_000,
}  # fmt: skip


def ablate(
    labels: str,
    *,
    study: Literal["negatives", "smoothing", "grid"],
    vlm_store: str,
    out: str,
    features: str | None = None,
    images: str | None = None,
    backbone: str | None = None,
    method: Mapping[str, Any] | None = None,
    source: Mapping[str, Any] | None = None,
    template: str = "a photo of a {}.",
    negatives: str | None = None,
    rho: str | None = None,
    temperatures: str | None = None,
    thresholds: str | None = None,
    seeds: str = "0",
    name: str | None = None,
    beside: str | None = None,
    val_fraction: float = 0.2,
    split_seed: int = 1200,
    epochs: int | None = None,
    batch_size: int = 16,
    lr: float | None = None,
    head_lr_multiplier: float = 1.0,
    head_init: Literal["zero", "prior"] = "zero",
    select: Literal["observed", "full", "last"] = "full",
    mirror: bool = True,
    photo_size: int | None = None,
    precision: Literal["32", "bf16", "16"] = "32",
    workers: int = 1,
    max_pixels: int = 100_000_000,
    **reading: Any,
) -> int:
    """Train VLPL over and over with one thing changed: the ablations of its paper, as table and figure.

    The mAP is that of the test images where there is such a split, else of the validation images. A finished
    cell is kept: the same command goes on where it was interrupted, tries failed cells again, and with more
    values or seeds adds cells.

    Args:
        labels: as for onelabel train; validation and test images need complete labels for --select full.
        study: negatives (the share of classes that become negative pseudo-labels), smoothing (of
            pseudo-labels), or grid (temperature and threshold).
        vlm_store: store made by onelabel embed --vlm.
        out: folder to make, or to go on with.
        features: store made by onelabel embed, or .npz file with X and ids: train heads on it, in seconds.
        images: folder of the photos, for fine-tuning; may be left out for class folders.
        backbone: timm network to fine-tune: name or local-dir:PATH.
        method: name and parameters of the method.
        source: where pseudo-labels come from.
        template: prompt of a class, with {} for its name.
        negatives: shares for --study negatives; by default 0,0.1,0.2,0.3,0.4.
        rho: targets of positive pseudo-labels for --study smoothing; by default 1,0.9.
        temperatures: for --study grid; by default 0.01,0.03,0.05,0.07,0.09.
        thresholds: for --study grid; by default 0.1,0.2,0.3; for many classes the paper has 0.01,0.03,0.05.
        seeds: of the runs, separated by commas.
        name: of the data set in the figure; by default the name of the label file.
        beside: folders of finished grids of other data sets, separated by commas, for the same figure.
        val_fraction: share of the training images drawn to choose the epoch; 0 for none.
        split_seed: of that draw.
        epochs: passes over the images; by default 25 for a head, 10 for fine-tuning.
        batch_size: images per step.
        lr: learning rate of Adam; by default 1e-3 for a head, 1e-5 for fine-tuning.
        head_lr_multiplier: of the head's learning rate in fine-tuning.
        head_init: start of the head's bias: zero, or the log-odds of the share of marked images.
        select: how the epoch is chosen: full (complete labels, as published), observed, last.
        mirror: train on mirrored images too, at random.
        photo_size: of fine-tuning, pixels a side; 448 as published; by default the network's own.
        precision: of fine-tuning.
        workers: extra processes that read photos.
        max_pixels: largest allowed width × height of a photo.
    """
    if backbone is not None:
        images = photo_folder(labels, images, reading.get("format"))
    if (features is None) == (backbone is None):
        raise OneLabelError("give either --features STORE or --backbone NAME with --images DIR")
    if backbone is not None and images is None:
        raise OneLabelError("--backbone reads photos: give their folder with --images DIR")
    _refuse_useless(features, locals())
    check_limits(
        batch_size=batch_size, max_pixels=max_pixels, split_seed=split_seed, val_fraction=val_fraction,
        workers=workers,
    )  # fmt: skip
    check_beside(out, labels)
    from onelabel.recipes.ablation_studies import axes_of, seeds_of

    values = {"negatives": negatives, "rho": rho, "temperatures": temperatures, "thresholds": thresholds}
    axes, wanted_seeds = axes_of(study, values), seeds_of(seeds)
    from onelabel.report.extra import require_report_extra

    require_report_extra()
    from onelabel.cli.ablate_steps import start

    shared = {key: value for key, value in locals().items() if key not in ("reading", "values", "seeds")}
    table = read_labels(labels, images=images, **reading)
    return start(shared, table)


def _refuse_useless(features: str | None, given: Mapping[str, Any]) -> None:
    """Refuse options of fine-tuning where heads are trained on features."""
    for option, usual in _FOR_FINE_TUNING.items():
        if features is not None and given[option] != usual:
            raise OneLabelError(
                f"--{option.replace('_', '-')} is for fine-tuning (--backbone) and does nothing with "
                "--features: leave it out"
            )
