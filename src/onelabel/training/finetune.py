"""Fine-tuning a whole network on photos, through Lightning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onelabel.images.dataset import ImageRows
from onelabel.io.progress import Advance
from onelabel.models.backbones import Backbone
from onelabel.models.maps import require_maps
from onelabel.training.checkpoint import Checkpoints
from onelabel.training.common import Log, Trained, no_log
from onelabel.training.course import Course
from onelabel.training.first_weights import first_head
from onelabel.training.photo_network import PhotoNetwork, single_values_spared
from onelabel.training.photo_rows import machine_errors_explained
from onelabel.training.recipe import Recipe
from onelabel.training.team import ALONE, Strategy, Team

if TYPE_CHECKING:
    from onelabel.training.lightning_loop import Precision


def _no_advance(count: int = 1) -> None:
    """Show nothing."""


def fine_tune(
    recipe: Recipe,
    backbone: Backbone,
    train: ImageRows,
    val: ImageRows | None,
    *,
    precision: Precision = "32",
    workers: int = 0,
    log: Log = no_log,
    advance: Advance = _no_advance,
    checkpoints: Checkpoints | None = None,
    team: Team = ALONE,
    strategy: Strategy = "ddp",
) -> Trained:
    """Train a backbone and a head on photos.

    The learning rate is ``lr`` for the backbone and ``lr · head_lr_multiplier`` for the head. Images come
    in the order of :func:`onelabel.training.order.epoch_order` and are mirrored, after the resize, by
    :func:`onelabel.vlm.mirror.mirror_bits`; both depend on seed and epoch only. The last batch of an epoch
    is kept, however small. BatchNorm layers train as usual, except that a layer which gets a single value per
    channel (a batch of one image that has shrunk to one position) uses its running statistics, because one
    value has no variance. In the first ``recipe.head_only_epochs`` the head trains alone.

    The network trains in ``precision``; head, loss and all scores are computed in float32, so the scores
    are those of the saved model.

    Args:
        recipe: method, source and settings, fresh.
        backbone: changed in place: it ends with the weights of the kept epoch, in eval mode, on the CPU.
        train: photos of ``recipe.parts.train``, in its order.
        val: of ``recipe.parts.val``, or None.
        precision: "32", or mixed precision with "bf16" or "16" (for GPUs).
        workers: extra processes that read photos.
        log: called with a dictionary after each epoch.
        advance: called with the number of photos done, training and validation.
        checkpoints: where the run is saved, and what it goes on from; or None.
        team: the processes that train together, each with the same arguments; ``batch_size`` counts the
            images of all. Losses, per-image state and scores are those of one process, to rounding;
            BatchNorm sees the images of its own process, and the statistics of the first one are kept.
        strategy: whether each of several processes holds all weights, gradients and moments ("ddp"), or a
            part of them ("fsdp", see :func:`onelabel.training.sharding.shard`).

    Raises:
        ImageError: names a photo that cannot be read.
        OneLabelError: the loss became non-finite, the machine has too little memory, or the weights of an
            earlier run do not fit.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> from onelabel.labels.table import LabelTable
        >>> from onelabel.methods.registry import create
        >>> from onelabel.models.backbones import load_backbone
        >>> from onelabel.training.parts import Parts
        >>> from onelabel.training.photo_rows import photo_rows
        >>> from onelabel.training.settings import Settings
        >>> folder = tempfile.mkdtemp()
        >>> for name in ("a.png", "b.png"):
        ...     Image.new("RGB", (20, 20), "red").save(f"{folder}/{name}")
        >>> table = LabelTable.from_dense(["a.png", "b.png"], ["cat", "dog"], [[1, 0], [0, 1]])
        >>> recipe = Recipe(Parts(table, None, ()), create("em"), Settings(epochs=2, select="last"))
        >>> backbone = load_backbone("test_resnet", pretrained=False)
        >>> photos = photo_rows(table, folder, backbone.preprocess, max_pixels=1_000_000)
        >>> trained = fine_tune(recipe, backbone, photos, None)
        >>> trained.epoch, trained.head.out_features
        (2, 2)
    """
    if recipe.settings.boostlu != 1:
        require_maps(backbone)
    head = first_head(recipe, backbone.dim, backbone)
    network = PhotoNetwork(backbone, head).train()
    if checkpoints is not None and checkpoints.saved is not None and checkpoints.saved.over:
        course = Course(recipe, network, None, checkpoints=checkpoints)
    else:
        from onelabel.training.lightning_loop import FineTuning, fit

        module = FineTuning(network, recipe, train, val, workers, log, advance, checkpoints, team)
        with machine_errors_explained(), single_values_spared(backbone):
            fit(module, precision, strategy)
        course = module.course
    trained = course.result(network, head)
    network.eval()
    return trained
