"""``onelabel train``."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any, Literal

from onelabel.cli.choices import METHOD, RULE, SOURCE
from onelabel.cli.guards import check_beside, check_limits, check_result
from onelabel.cli.reading import photo_folder, read_labels
from onelabel.cli.several import take_place
from onelabel.io.errors import OneLabelError
from onelabel.sources.registry import inputs_of
from onelabel.training.place import find_place

CHOICES = (METHOD, SOURCE, RULE)
EXAMPLES = """
onelabel train labels.csv --features features --method em --out run
onelabel train labels.csv --features features --vlm-store clip --method vlpl --out run
onelabel train labels.csv --features features --source tags.npz --method gpr --out run
onelabel train labels.csv --features features --vlm-store clip --source vlpl,tags.npz --method gpr --out run
onelabel train labels.csv --images photos --backbone resnet50.tv_in1k --epochs 10 --lr 1e-5 --out run
onelabel train labels.csv --features features --method em --method.alpha 0.2 --seed 1 --out run
onelabel train labels.csv --images photos --backbone resnet50.tv_in1k --init run --photo-size 448 --out whole
onelabel train labels.csv --features features --method em --out run --resume
onelabel train labels.csv --images photos --backbone resnet50.tv_in1k --method em --devices 4 --out run
onelabel train labels.csv --images photos --backbone convnextv2_huge --devices 8 --strategy fsdp --out run
onelabel train --config run/config.yaml --out again
"""
_FOR_FINE_TUNING = (
    "head_lr_multiplier", "precision", "workers", "max_pixels", "photo_size", "freeze_epochs",
    "freeze_batchnorm", "strategy",
)  # fmt: skip


def train(
    labels: str,
    *,
    out: str,
    features: str | None = None,
    images: str | None = None,
    backbone: str | None = None,
    vlm_store: str | None = None,
    template: str = "a photo of a {}.",
    method: Mapping[str, Any] | None = None,
    source: Mapping[str, Any] | None = None,
    rule: Mapping[str, Any] | None = None,
    rules: str | None = None,
    expected_positives: float | None = None,
    val: str | None = None,
    val_exhaustive: bool | None = None,
    val_fraction: float = 0.2,
    split_seed: int = 1200,
    epochs: int | None = None,
    batch_size: int = 16,
    optimizer: Literal["adam", "sgd"] = "adam",
    lr: float | None = None,
    head_lr_multiplier: float = 1.0,
    weight_decay: float = 0.0,
    head: Literal["linear", "mlp"] = "linear",
    head_width: int = 512,
    head_init: Literal["zero", "prior"] = "zero",
    boostlu: float = 1.0,
    init: str | None = None,
    freeze_epochs: int = 0,
    freeze_batchnorm: bool = True,
    photo_size: int | None = None,
    select: Literal["observed", "full", "last"] = "observed",
    stop: Literal["never", "no-gain", "drop-2", "drop-3", "drop-2-or-2-misses"] = "never",
    ema: float = 0.0,
    mirror: bool = True,
    seed: int = 0,
    precision: Literal["32", "bf16", "16"] = "32",
    devices: int = 1,
    strategy: Literal["ddp", "fsdp"] = "ddp",
    workers: int = 1,
    max_pixels: int = 100_000_000,
    checkpoint_every: float = 10.0,
    resume: bool = False,
    overwrite: bool = False,
    **reading: Any,
) -> None:
    """Train a classifier from partial labels: a head on cached features, or a whole network.

    With --features, a head is trained in seconds on a store made by onelabel embed (or an .npz file
    with X and ids). With --images and --backbone, the whole network is fine-tuned.

    Args:
        labels: CSV, parquet, JSON or .npy file, folder, or published data set (see --format).
        out: run folder to make.
        features: store made by onelabel embed, or .npz file with X and ids: train a head on it.
        images: folder of the photos, for fine-tuning; may be left out for class folders.
        backbone: timm network to fine-tune: name or local-dir:PATH.
        vlm_store: store made by onelabel embed --vlm, for pseudo-labels.
        template: prompt of a class for pseudo-labels, with {} for its name; several with | between them, or a
            file with one on each line, are averaged.
        method: name and parameters of the method.
        source: where pseudo-labels come from: vlpl, a CSV or .npz file, a run, a set; several with commas.
        rule: what decides on the scores of the source, where it is not to decide itself.
        rules: YAML file with rules for single classes, such as "dog: {name: threshold, positive: 0.8}".
        expected_positives: expected number of labels per image, for methods that use it.
        val: labels of separate validation images; without it and without a split column, a part is drawn.
        val_exhaustive: in --val, what is not marked is absent; by default as --exhaustive says.
        val_fraction: share of the training images drawn to choose the epoch; 0 for none.
        split_seed: of that draw.
        epochs: passes over the images; by default 25 for a head, 10 for fine-tuning.
        batch_size: images per step, of all devices together.
        optimizer: adam, or sgd with momentum 0.9.
        lr: learning rate; by default 1e-3 for a head, 1e-5 for fine-tuning.
        head_lr_multiplier: of the head's learning rate in fine-tuning; some papers use 10.
        weight_decay: L2 penalty on the weights.
        head: linear, or mlp for one hidden layer.
        head_width: width of the hidden layer of --head mlp.
        head_init: start of the head's bias: zero, or the log-odds of the share of marked images.
        boostlu: raise evidence for a class by this factor (BoostLU); 5 as published, 1 for none.
        init: run whose weights are the first ones: of its head, and of its network where both have one; from
            a run of role, role-li takes the estimated labels too.
        freeze_epochs: epochs at the beginning in which only the head trains, in fine-tuning.
        freeze_batchnorm: BatchNorm keeps its statistics in those epochs; without, they move (GR's code).
        photo_size: squash photos to this width and height with ImageNet statistics, as the papers do at 448;
            by default the network's own preprocessing.
        select: how the epoch is chosen: observed (labels as they are), full (complete labels), last.
        stop: end early, after no gain in the selection score, a drop of 2 or 3 points (0.01), and so on.
        ema: decay of a moving average of the weights, scored and kept in their place; 0 for none.
        mirror: train on mirrored images too, at random.
        seed: of the initial weights, the order and the mirroring.
        precision: of fine-tuning.
        devices: number of GPUs of this machine that fine-tune together (processes, where there are none); for
            several machines see docs/scale.md.
        strategy: what each device holds: ddp, all weights; fsdp, its share of weights, gradients and moments,
            for networks that are too large for one.
        workers: extra processes that read photos, of each device.
        max_pixels: largest allowed width × height of a photo.
        checkpoint_every: seconds between two checkpoints, written at the end of epochs; 0 for each epoch.
        resume: go on with the interrupted run in --out, with the same result as if it had never stopped.
        overwrite: replace the run folder if it exists.
    """
    if backbone is not None:
        images = photo_folder(labels, images, reading.get("format"))
    config = {
        key: value for key, value in locals().items() if key not in ("reading", "overwrite", "resume")
    } | reading
    config["devices"] = take_place(devices)
    _require_way(config)
    if method is None:
        raise OneLabelError("give --method NAME; onelabel methods lists them")
    check_limits(
        batch_size=batch_size, expected_positives=expected_positives, max_pixels=max_pixels, seed=seed,
        split_seed=split_seed, val_fraction=val_fraction, workers=workers, devices=devices,
    )  # fmt: skip
    if resume and overwrite:
        raise OneLabelError("--resume goes on with a run and --overwrite begins it again: give one of them")
    from onelabel.training.run_folder import require_free

    require_free(out, overwrite=overwrite or resume)
    inputs = (
        labels,
        features,
        images,
        vlm_store,
        val,
        init,
        *inputs_of(source),
        rules,
        reading.get("classes"),
    )
    check_beside(out, labels)
    check_result(out, *inputs, overwrite=overwrite or resume)
    from onelabel.cli.train_steps import finished, read_val, resolve, start

    config = resolve(config)
    if resume and finished(config):
        return
    from onelabel.cli.train_team import launch_all, together

    if devices > 1 and find_place() is None:
        launch_all(config, resume=resume, overwrite=overwrite)
        return
    with together() as team:
        table = read_labels(labels, images=images, **reading)
        start(config, table, read_val(config, table.class_ids, reading), resume=resume, team=team)


def _require_way(config: Mapping[str, Any]) -> None:
    """Check that the options name one of the two ways to train, and nothing of the other."""
    if (config["features"] is None) == (config["backbone"] is None):
        raise OneLabelError(
            "give either --features STORE (a head, in seconds) or --backbone NAME with --images DIR"
        )
    if config["features"] is None and config["images"] is None:
        raise OneLabelError("--backbone reads photos: give their folder with --images DIR")
    if config["val"] is None and config["val_exhaustive"] is not None:
        raise OneLabelError("--val-exhaustive says how --val FILE is read: give one, or leave it out")
    if config["features"] is not None and config["devices"] != 1:
        raise OneLabelError(
            "a head on --features trains in seconds, in one process: leave --devices out, and start it "
            "without torchrun or srun"
        )
    parameters = signature(train).parameters
    if config["head"] == "linear" and config["head_width"] != parameters["head_width"].default:
        raise OneLabelError("--head-width is that of --head mlp: give both, or leave it out")
    if config["photo_size"] is not None and config["photo_size"] < 1:
        raise OneLabelError(f"--photo-size must be 1 or more, not {config['photo_size']}")
    for name in _FOR_FINE_TUNING:
        if config["features"] is not None and config[name] != parameters[name].default:
            raise OneLabelError(
                f"--{name.replace('_', '-')} is for fine-tuning (--backbone) and does nothing with "
                "--features: leave it out"
            )
