"""``onelabel compare``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from onelabel.cli.choices import RULE
from onelabel.cli.guards import check_beside, check_limits
from onelabel.cli.reading import photo_folder, read_labels
from onelabel.io.errors import OneLabelError
from onelabel.sources.registry import inputs_of

CHOICES = (RULE,)
EXAMPLES = """
onelabel compare full.csv --exhaustive --simulate --features features --out comparison
onelabel compare full.csv --exhaustive --simulate --features x.npz --methods an,em,gpr --lrs 1e-3,1e-2 --out c
onelabel compare labels.csv --features features --vlm-store clip --sources vlpl,tags.npz --out comparison
onelabel compare labels.csv --features features --checked checked.csv --checked-exhaustive --out comparison
onelabel compare full.csv --exhaustive --simulate --features features --tune 20 --out tuned
onelabel compare labels.csv --images photos --backbone resnet50.tv_in1k --methods an,em --seeds 3 --out c
"""
_MOST_JOBS = 1024


def compare(
    labels: str,
    *,
    out: str,
    features: str | None = None,
    images: str | None = None,
    backbone: str | None = None,
    methods: str = "all",
    sources: str = "",
    vlm_store: str | None = None,
    template: str = "a photo of a {}.",
    rule: Mapping[str, Any] | None = None,
    seeds: int = 5,
    simulate: bool = False,
    checked: str | None = None,
    checked_exhaustive: bool | None = None,
    epochs: int | None = None,
    batch_size: int = 16,
    lrs: str | None = None,
    tune: int = 0,
    select: Literal["observed", "full"] = "observed",
    expected_positives: float | None = None,
    test_fraction: float = 0.2,
    val_fraction: float = 0.2,
    mirror: bool = True,
    jobs: int | None = None,
    workers: int = 0,
    max_pixels: int = 100_000_000,
    overwrite: bool = False,
    **reading: Any,
) -> None:
    """Find the method that suits your data: many under one budget, with several seeds, and what is noise.

    Every method is trained with the same splits, epochs and learning rates, and with both starts of the
    head's bias. AN, chance, the sources of pseudo-labels alone and, where they exist, complete labels are
    always among the rows. An interrupted comparison goes on where it was: give the same command again; with
    more --seeds or --methods, what is there is kept.

    Args:
        labels: CSV, parquet, JSON or .npy file, folder, or published data set (see --format).
        out: folder for the results; one that an earlier compare made is gone on with.
        features: store made by onelabel embed, or .npz file with X and ids: train heads on it.
        images: folder of the photos, for fine-tuning; may be left out for class folders.
        backbone: timm network to fine-tune instead: name or local-dir:PATH.
        methods: all, or names separated by commas; module:Class for your own.
        sources: pseudo-labels for the methods that need some, separated by commas: vlpl, a CSV or .npz file,
            a run, a set.
        vlm_store: store made by onelabel embed --vlm, for sources that read one.
        template: prompt of a class for pseudo-labels, with {} for its name.
        rule: what decides on the scores of the sources, where they are not to decide themselves.
        seeds: number of runs of each method.
        simulate: the labels are complete; one positive of each training image is drawn, anew for each seed.
        checked: labels of images that people checked completely, to judge by; they are never trained on.
        checked_exhaustive: in --checked, what is not marked is absent; by default as --exhaustive says.
        epochs: passes over the images; by default 25 for a head, 10 for fine-tuning.
        batch_size: images per step.
        lrs: learning rates to try, with commas; by default 1e-3 for a head, 1e-5 for fine-tuning. With
            --tune the ends of the range: by default 1e-4,1e-1, or 1e-6,1e-3.
        tune: number of trials of Optuna for each method and seed, instead of every learning rate.
        select: what chooses epoch and settings: observed (labels as methods see them), or full (complete
            labels of the validation images, which one label per image does not give).
        expected_positives: expected number of labels per image, for methods that use it.
        test_fraction: share of the images drawn for testing, where no split names them.
        val_fraction: share of the others drawn for choosing, where no split names them.
        mirror: train on mirrored images too, at random.
        jobs: processes; by default one for each core, and one for fine-tuning.
        workers: extra processes that read photos.
        max_pixels: largest allowed width × height of a photo.
        overwrite: begin again in a folder that an earlier compare made.
    """
    if backbone is not None:
        images = photo_folder(labels, images, reading.get("format"))
    config = {key: value for key, value in locals().items() if key not in ("reading", "overwrite", "jobs")}
    _require_way(config)
    check_limits(
        batch_size=batch_size, expected_positives=expected_positives, max_pixels=max_pixels, workers=workers
    )
    if jobs is not None and not 1 <= jobs <= _MOST_JOBS:
        raise OneLabelError(f"--jobs must be from 1 to {_MOST_JOBS}, not {jobs}")
    check_beside(out, labels)
    _spare_inputs(config, reading)
    from onelabel.cli.compare_steps import make_plan, read_data, start

    plan = make_plan(config)
    table = read_labels(labels, images=images, **reading)
    start(plan, read_data(config, table, reading), out, jobs, overwrite=overwrite)


def _require_way(config: Mapping[str, Any]) -> None:
    """Check that the options name one way to train, and what belongs to each other."""
    if (config["features"] is None) == (config["backbone"] is None):
        raise OneLabelError(
            "give either --features STORE (heads, in seconds) or --backbone NAME with --images DIR"
        )
    if config["backbone"] is not None and config["images"] is None:
        raise OneLabelError("--backbone reads photos: give their folder with --images DIR")
    if config["checked"] is None and config["checked_exhaustive"] is not None:
        raise OneLabelError("--checked-exhaustive says how --checked FILE is read: give one, or leave it out")


def _spare_inputs(config: Mapping[str, Any], reading: Mapping[str, Any]) -> None:
    """Refuse an ``--out`` that is, or holds, something that is read here."""
    from pathlib import Path

    sources = [part.strip() for part in config["sources"].split(",") if part.strip()]
    read = [path for source in sources for path in inputs_of({"name": source})]
    read += [config[key] for key in ("labels", "features", "images", "vlm_store", "checked")]
    for given in filter(None, [*read, reading.get("classes")]):
        if Path(given).resolve().is_relative_to(Path(config["out"]).resolve()):
            raise OneLabelError(f"--out {config['out']} holds {given}, which is read here; give another name")
