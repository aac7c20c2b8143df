"""A fine-tuning run from photos to model: everything is opened and checked before the run folder is made."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch

from onelabel.io.errors import OneLabelError
from onelabel.io.progress import progress
from onelabel.models.backbones import load_backbone
from onelabel.models.maps import require_maps
from onelabel.training.common import no_log
from onelabel.training.finetune import fine_tune
from onelabel.training.finish import finish_run
from onelabel.training.first_weights import at_photo_size, first_head
from onelabel.training.identity import identity
from onelabel.training.method_state import write_state
from onelabel.training.photo_rows import photo_rows, require_readable
from onelabel.training.recipe import Recipe
from onelabel.training.resume import KEEP, Keep, claimed
from onelabel.training.space import bytes_needed
from onelabel.training.team import ALONE, Strategy, Team
from onelabel.training.team_run import open_together

if TYPE_CHECKING:
    from onelabel.training.lightning_loop import Precision


def train_backbone(
    recipe: Recipe,
    backbone_spec: str,
    images: str,
    out: str,
    config: Mapping[str, Any],
    *,
    precision: Precision,
    workers: int,
    max_pixels: int,
    photo_size: int | None = None,
    keep: Keep = KEEP,
    team: Team = ALONE,
    strategy: Strategy = "ddp",
) -> str:
    """Fine-tune a network on photos; return what to print.

    Args:
        recipe: what to train.
        backbone_spec: timm name or ``local-dir:PATH``.
        images: folder of the photos.
        out: run folder, which must be free or the folder of a run to replace.
        config: resolved settings, for ``config.yaml``.
        precision: "32", "bf16" or "16".
        workers: extra processes that read photos.
        max_pixels: larger photos are refused.
        photo_size: see :func:`~onelabel.training.first_weights.at_photo_size`; None for the network's own
            preprocessing.
        keep: how the run is kept against interruptions.
        team: the processes that train together; the first writes the folder, the others return nothing.
        strategy: see :func:`~onelabel.training.finetune.fine_tune`.

    Raises:
        OneLabelError: unknown backbone, missing or unusable photos, or a run that fails.
    """
    _check_machine(precision, workers, strategy, team)
    backbone = load_backbone(backbone_spec)
    if photo_size is not None:
        backbone = at_photo_size(backbone, photo_size)
    if recipe.settings.boostlu != 1:
        require_maps(backbone)
    head = first_head(recipe, backbone.dim, backbone)
    start = backbone.fingerprint
    tables = [recipe.parts.train] if recipe.parts.val is None else [recipe.parts.train, recipe.parts.val]
    photos = [photo_rows(table, images, backbone.preprocess, max_pixels) for table in tables]
    require_readable(*photos)
    needed = bytes_needed(recipe, torch.nn.ModuleList([head, backbone]))
    run, checkpoints = open_together(team, out, config, identity(recipe, head, start), needed, keep)
    images_per_epoch = sum(map(len, photos))
    with nullcontext() if run is None else claimed(run, checkpoints):
        with progress("train", recipe.settings.epochs * images_per_epoch) as advance:
            advance(checkpoints.epoch * images_per_epoch)
            trained = fine_tune(
                recipe, backbone, photos[0], photos[1] if photos[1:] else None, precision=precision,
                workers=workers, log=no_log if run is None else run.log, advance=advance,
                checkpoints=checkpoints, team=team, strategy=strategy,
            )  # fmt: skip
        if run is None:
            return ""
        fingerprints = {"features": backbone.fingerprint, "fine_tuned_from": start}
        write_state(run.path, recipe.method, recipe.parts.train)
        said = finish_run(run, recipe, trained, backbone, fingerprints)
        checkpoints.remove()
    return f"{trained.ended}\n{said}"


def _check_machine(precision: Precision, workers: int, strategy: Strategy, team: Team) -> None:
    """Refuse what this machine or this release cannot do.

    Raises:
        OneLabelError: says what to change.
    """
    if workers < 0:
        raise OneLabelError(f"--workers must be 0 or more, not {workers}")
    if strategy == "fsdp" and team.size == 1:
        raise OneLabelError(
            "--strategy fsdp shares the weights out to several processes: give --devices 2 or more, or use "
            "torchrun or srun"
        )
    if strategy == "fsdp" and precision == "16":
        raise OneLabelError("--strategy fsdp works with --precision 32 or bf16, not with 16")
    if precision == "16" and not torch.accelerator.is_available():
        raise OneLabelError("--precision 16 needs a GPU and there is none: use bf16 or 32")
